import { crossEntropyGradient, crossEntropyHvp } from '../../../reference/cross-entropy.js';
import { softmax } from '../../../reference/softmax.js';
import { crossEntropy, tensor } from '../../../src/index.js';
import type { ConformanceCase } from '../../case.js';
import { assertClose } from '../../check.js';
import { owning } from '../../owning.js';
import { checkEach } from '../../sweep.js';
import { operationPrecision } from '../../tolerance.js';
import { factorsCase, type RangeDType } from './full-range.js';

/** Rows of x/T, with the class of each row's target first. */
const confident = [
  { target: 0, x: [0, -2000, -3000, -2500, -2000] },
  { target: 0, x: [0, -40, -50, -60, -44] },
  { target: 3, x: [Number.NEGATIVE_INFINITY, -2000, -3000, 0, -2000] },
  { target: 4, x: [-52, -40, -50, -60, 0] },
];
const undecided = [
  { target: 1, x: [0, 0.5, -1, 0.25, -0.5] },
  { target: 2, x: [1, -1, -1, 0, 0.5] },
];
/** Far below other rows, as far as kernels may let rows share a reference. */
const low = { target: 1, x: [-90, -89, -92, -95, -91] };

interface Setting {
  readonly label: string;
  readonly rows: readonly { readonly target: number; readonly x: readonly number[] }[];
  /** Exponents of 2 of the temperature, the class weights and the directions. */
  readonly temperature: number;
  readonly weight: number;
  readonly direction: number;
}

const gradients: Readonly<Record<RangeDType, readonly Setting[]>> = {
  float32: [
    { label: 'weight / T overflows', rows: [...confident, ...undecided], temperature: -66, weight: 100, direction: 0 },
    {
      label: 'large weights',
      rows: [...confident.slice(1, 2), low, low, low],
      temperature: 0,
      weight: 100,
      direction: 0,
    },
    {
      label: 'small weights',
      rows: [...confident, ...undecided, low],
      temperature: -90,
      weight: -105,
      direction: 0,
    },
    { label: '1 / T overflows', rows: [...confident, ...undecided], temperature: -140, weight: -30, direction: 0 },
  ],
  float64: [
    { label: 'weight / T overflows', rows: [...confident, ...undecided], temperature: -66, weight: 1000, direction: 0 },
    {
      label: 'large weights',
      rows: [...confident.slice(1, 2), low, low, low],
      temperature: 0,
      weight: 1000,
      direction: 0,
    },
    {
      label: 'small weights',
      rows: [...confident, ...undecided, low],
      temperature: -90,
      weight: -1010,
      direction: 0,
    },
    { label: '1 / T overflows', rows: [...confident, ...undecided], temperature: -1060, weight: -30, direction: 0 },
  ],
};

const products: Readonly<Record<RangeDType, readonly Setting[]>> = {
  float32: [
    { label: 'a large gradient', rows: [...confident, ...undecided], temperature: -66, weight: 100, direction: -80 },
    { label: 'a small gradient', rows: undecided, temperature: 60, weight: -80, direction: 100 },
    { label: 'large terms', rows: undecided, temperature: -66, weight: 0, direction: 63 },
    { label: 'large weights and directions', rows: undecided, temperature: 50, weight: 100, direction: 60 },
    { label: 'small weights and directions', rows: undecided, temperature: -50, weight: -100, direction: -60 },
  ],
  float64: [
    { label: 'a large gradient', rows: [...confident, ...undecided], temperature: -66, weight: 1000, direction: -500 },
    { label: 'a small gradient', rows: undecided, temperature: 60, weight: -1000, direction: 200 },
    { label: 'large terms', rows: undecided, temperature: -66, weight: 0, direction: 960 },
    { label: 'large weights and directions', rows: undecided, temperature: 450, weight: 900, direction: 500 },
    { label: 'small weights and directions', rows: undecided, temperature: -450, weight: -800, direction: -400 },
  ],
};

/** The place of a class that is masked, with the largest logit. */
const removed = 2;

/** Logits along an axis, targets of both kinds, options, and the gradients at weights of 1. */
function problemOf({ rows: stated, temperature: exponent, weight }: Setting, axis: 0 | 1, isMasked = false) {
  const rows = isMasked
    ? stated.map(({ target, x }) => ({ target: target < removed ? target : target + 1, x: x.toSpliced(removed, 0, 7) }))
    : stated;
  const classes = isMasked ? 6 : 5;
  const mask = isMasked ? Array.from({ length: classes }, (_, c) => c !== removed) : null;
  const temperature = 2 ** exponent;
  const count = rows.length;
  const at = (row: number, c: number) => (axis === 1 ? row * classes + c : c * count + row);
  const x = new Float64Array(count * classes);
  const oneHot = new Float64Array(count * classes);
  const byRow = new Float64Array(count * classes);
  for (const [row, { target, x: values }] of rows.entries()) {
    oneHot[at(row, target)] = 1;
    for (const [c, value] of values.entries()) {
      x[at(row, c)] = value * temperature;
      byRow[row * classes + c] = value;
    }
  }
  const targets = rows.map(({ target }) => target);
  // At a temperature of 1: it is divided by the power of 2.
  const ordinary = crossEntropyGradient(
    byRow,
    { kind: 'indices', values: targets },
    { outer: count, classes, inner: 1 },
    { reduction: 'none', mask: mask && rows.flatMap(() => mask) },
  );
  const gradient = ordinary.map((value) => value / temperature);
  const shape = axis === 1 ? [count, classes] : [classes, count];
  const options = {
    axis,
    temperature,
    ...(mask && { mask: axis === 1 ? [mask] : mask.map((isKept) => [isKept]) }),
    weight: new Array<number>(classes).fill(2 ** weight),
    reduction: 'none',
  } as const;
  return { classes, count, at, x, byRow, oneHot, targets, ordinary, gradient, shape, options };
}

/** Relative error of a probability that is exp(−60) or more, and of its product with four factors. */
const unitsOf = (precision: ReturnType<typeof operationPrecision>) => precision.exp(60) + 160;

export function gradientCase(dtype: RangeDType): ConformanceCase {
  return factorsCase('cross-entropy/factors-of-gradient', dtype, { kernel: null }, (backend) =>
    checkEach(
      gradients[dtype].flatMap((setting) =>
        ([1, 0] as const).flatMap((axis) => [false, true].map((isMasked) => ({ setting, axis, isMasked }))),
      ),
      ({ setting, axis, isMasked }) => `${setting.label}, axis ${axis}${isMasked ? ', masked' : ''}`,
      ({ setting, axis, isMasked }) => {
        const { at, x, oneHot, targets, ordinary, shape, options, classes } = problemOf(setting, axis, isMasked);
        const precision = operationPrecision(backend.supports, dtype);
        const expected = new Float64Array(ordinary.length);
        const power = setting.weight - setting.temperature;
        const half = Math.trunc(power / 2);
        for (const [i, value] of ordinary.entries()) {
          const product = value * 2 ** half * 2 ** (power - half);
          expected[at(Math.floor(i / classes), i % classes)] = dtype === 'float32' ? Math.fround(product) : product;
        }
        const tolerance = expected.map((value) =>
          Number.isFinite(value) ? precision.stored(precision.unit * unitsOf(precision) * Math.abs(value), value) : 0,
        );
        return owning(async (own) => {
          const logits = own(tensor([...x], { shape, dtype, backend }));
          const probabilities = own(tensor([...oneHot], { shape, dtype, backend }));
          for (const target of [targets, probabilities]) {
            const result = own(crossEntropy.gradient(logits, target, options));
            assertClose('crossEntropy.gradient', await result.data(), expected, tolerance);
          }
        });
      },
    ),
  );
}

export function productCase(dtype: RangeDType): ConformanceCase {
  return factorsCase('cross-entropy/factors-of-products', dtype, { kernel: null }, (backend) =>
    checkEach(
      products[dtype],
      ({ label }) => label,
      (setting) => {
        const { x, byRow, targets, gradient, shape, options, classes, count } = problemOf(setting, 1);
        const precision = operationPrecision(backend.supports, dtype);
        const units = precision.unit * (unitsOf(precision) + classes);
        const size = 2 ** setting.direction;
        // Terms of opposite signs that overflow have a sum of 0 if the tangent is the same everywhere.
        const tangent = gradient.map((_, i) => (setting.weight === 0 ? size : size * (1 + (i % 3))));
        const cotangent = new Float64Array(count).fill(setting.weight === 0 ? size * 2 ** -8 : size);
        const share = 2 ** -100;
        const times = (i: number, direction: number) =>
          ((gradient[i] ?? 0) * (direction * share) * 2 ** setting.weight) / share;
        const vjp = gradient.map((_, i) => times(i, cotangent[0] ?? 0));
        const sum = (of: (term: number) => number) =>
          Array.from({ length: count }, (_, row) => {
            let total = 0;
            for (let c = 0; c < classes; c++) {
              const i = row * classes + c;
              total += of((gradient[i] ?? 0) * ((tangent[i] ?? 0) * share) * 2 ** setting.weight);
            }
            return total;
          });
        const bound = (terms: number, value: number) => precision.stored(units * terms + 2 * precision.floor, value);
        return owning(async (own) => {
          const given = (values: Float64Array, of: readonly number[]) =>
            own(tensor([...values], { shape: of, dtype, backend }));
          const logits = given(x, shape);
          const ofVjp = own(crossEntropy.vjp(logits, targets, given(cotangent, [count]), options));
          const ofJvp = own(crossEntropy.jvp(logits, targets, given(tangent, shape), options));
          if (setting.weight !== 0) {
            const product = own(
              crossEntropy.hvp(logits, targets, given(cotangent, [count]), given(tangent, shape), options),
            );
            const { expected, terms } = secondDerivatives(byRow, tangent, classes, setting);
            const bounds = terms.map((size, i) => bound(size, expected[i] ?? Number.NaN));
            assertClose('crossEntropy.hvp', await product.data(), expected, bounds);
          }
          const vjpBounds = vjp.map((value) => bound(Math.abs(value), value));
          assertClose('crossEntropy.vjp', await ofVjp.data(), vjp, vjpBounds);
          const changes = sum((term) => term).map((value) => value / share);
          const sizes = sum(Math.abs);
          const jvpBounds = sizes.map((value, row) => bound(value, changes[row] ?? 0) / share);
          assertClose('crossEntropy.jvp', await ofJvp.data(), changes, jvpBounds);
        });
      },
    ),
  );
}

/**
 * The second derivatives of the rows at a temperature and weights of 1, and the terms that remain after cancellation (see `tolerance-hvp.ts`), times the power of 2
 * of all factors: of the directions, the weight and 1 / T².
 */
function secondDerivatives(
  byRow: Float64Array,
  tangent: Float64Array,
  classes: number,
  { temperature, weight, direction }: Setting,
) {
  const size = 2 ** direction;
  const t = tangent.map((value) => value / size);
  const count = byRow.length / classes;
  const rows = { outer: count, classes, inner: 1 };
  const none = { kind: 'indices', values: new Int32Array(count) } as const;
  const ones = new Float64Array(count).fill(1);
  const ordinary = crossEntropyHvp(byRow, none, ones, t, rows, { reduction: 'none' });
  const p = softmax(byRow, rows);
  const power = 2 * direction + weight - 2 * temperature;
  const half = Math.trunc(power / 2);
  const scaled = (value: number) => value * 2 ** half * 2 ** (power - half);
  const terms = p.map((share, i) => {
    const first = i - (i % classes);
    const at = Array.from({ length: classes }, (_, c) => first + c);
    const top = at.find((k) => (p[k] ?? 0) > 0.5);
    const gap = (k: number) => Math.abs((t[k] ?? 0) - (top === undefined ? 0 : (t[top] ?? 0)));
    return scaled(share * (gap(i) + at.reduce((sum, k) => sum + (p[k] ?? 0) * gap(k), 0)));
  });
  return { expected: ordinary.map(scaled), terms };
}
