import { softmax, type Tensor, tensor } from '../../../src/index.js';
import type { ConformanceCase } from '../../case.js';
import { assertClose } from '../../check.js';
import { owning } from '../../owning.js';
import { checkEach } from '../../sweep.js';
import { operationPrecision } from '../../tolerance.js';
import { factorsCase, type RangeDType } from './full-range.js';

interface VjpSetting {
  readonly label: string;
  readonly temperature: number;
  /** The first probability, the others, and the cotangents beside the first, which has 0. */
  readonly first: number;
  readonly others: number;
  readonly cotangent: number;
}

const vjps: Readonly<Record<RangeDType, readonly VjpSetting[]>> = {
  float32: [
    { label: 'T is large', temperature: 2 ** 60, first: 1, others: 2 ** -108, cotangent: 2 ** 100 },
    { label: 'T is small', temperature: 2 ** -60, first: 1, others: 2 ** -108, cotangent: 2 ** -40 },
    { label: 'T is very small', temperature: 2 ** -110, first: 1, others: 2 ** -108, cotangent: 2 ** -40 },
    { label: '1 / T overflows', temperature: 2 ** -140, first: 1, others: 2 ** -124, cotangent: 2 ** -15 },
    { label: 'probabilities that are no softmax', temperature: 2 ** 40, first: 0, others: 1, cotangent: 2 ** 127 },
  ],
  float64: [
    {
      label: 'T is large',
      temperature: 2 ** 90,
      first: 1,
      others: (1 + Math.SQRT1_2) * 2 ** -960,
      cotangent: 2 ** 500,
    },
    {
      label: 'T is small',
      temperature: 2 ** -90,
      first: 1,
      others: (1 + Math.SQRT1_2) * 2 ** -900,
      cotangent: 2 ** -160,
    },
    {
      label: 'T is very small',
      temperature: 2 ** -200,
      first: 1,
      others: (1 + Math.SQRT1_2) * 2 ** -900,
      cotangent: 2 ** -160,
    },
    {
      label: '1 / T overflows',
      temperature: 2 ** -1060,
      first: 1,
      others: (1 + Math.SQRT1_2) * 2 ** -1020,
      cotangent: 2 ** -35,
    },
    { label: 'probabilities that are no softmax', temperature: 2 ** 40, first: 0, others: 1, cotangent: 2 ** 1023 },
  ],
};

export function vjpCase(dtype: RangeDType): ConformanceCase {
  return factorsCase('vjp/factors', dtype, { kernel: null, classes: 20 }, (backend) =>
    checkEach(
      vjps[dtype].flatMap((setting) =>
        [3, 5, 20].flatMap((classes) => ([1, 0] as const).map((axis) => ({ setting, classes, axis }))),
      ),
      ({ setting, classes, axis }) => `${setting.label}, ${classes} classes, axis ${axis}`,
      ({ setting: { temperature, first, others, cotangent }, classes, axis }) => {
        const precision = operationPrecision(backend.supports, dtype);
        const count = 5;
        const entry = (i: number) => (axis === 1 ? i % classes : Math.floor(i / count));
        const of = (value: (c: number) => number) =>
          Float64Array.from({ length: count * classes }, (_, i) => value(entry(i)));
        const s = of((c) => (c === 0 ? first : others));
        const g = of((c) => (c === 0 ? 0 : cotangent * (c % 2 ? 1 : -0.75)));
        // In units of the cotangent, which may be the largest number.
        const shares = Array.from({ length: classes - 1 }, (_, k) => (k % 2 ? -0.75 : 1));
        const mean = others * shares.reduce((total, share) => total + share, 0);
        const size = shares.reduce((total, share) => total + Math.abs(share), 0);
        const excess = Math.abs(1 - first - (classes - 1) * others);
        const scale = Number.isFinite(cotangent / temperature) ? 1 : 2 ** 100;
        const unit = cotangent / scale / temperature;
        const expected = of(
          (c) => (c === 0 ? first : others) * ((c === 0 ? 0 : (shares[c - 1] ?? 0)) - mean) * unit * scale,
        );
        const bounds = of((c) => {
          const [p, share] = c === 0 ? [first, 0] : [others, Math.abs(shares[c - 1] ?? 0)];
          return (
            p * (precision.unit * 40 * (share + others * size) + 2 * excess * size) * unit * scale + precision.floor
          );
        });
        return owning(async (own) => {
          const shape = axis === 1 ? [count, classes] : [classes, count];
          const given = (values: Float64Array): Tensor => own(tensor([...values], { shape, dtype, backend }));
          const probabilities = given(s);
          const result = own(softmax.vjp(probabilities, given(g), { axis, temperature }));
          assertClose('softmax.vjp', await result.data(), expected, bounds);
          if (classes > 3 || first === 0) return;
          const matrices = own(softmax.jacobian(probabilities, { axis, temperature }));
          const size = others / temperature;
          const small = -others * size;
          const matrix = [2 * size, -size, -size, -size, size, small, -size, small, size];
          const entries = Float64Array.from({ length: count * 9 }, (_, i) => matrix[i % 9] ?? Number.NaN);
          const bound = entries.map((value) => precision.unit * 20 * Math.abs(value) + precision.floor);
          assertClose('softmax.jacobian', await matrices.data(), entries, bound);
        });
      },
    ),
  );
}
