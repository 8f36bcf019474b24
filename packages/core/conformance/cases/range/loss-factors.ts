import { crossEntropyLoss } from '../../../reference/cross-entropy.js';
import { crossEntropy, tensor } from '../../../src/index.js';
import type { ConformanceCase } from '../../case.js';
import { assertClose } from '../../check.js';
import { owning } from '../../owning.js';
import { checkEach } from '../../sweep.js';
import { operationPrecision } from '../../tolerance.js';
import { factorsCase, type RangeDType } from './full-range.js';

interface LossSetting {
  readonly label: string;
  /** Exponents of 2. */
  readonly temperature: number;
  readonly weight: number;
  readonly labelSmoothing: number;
  readonly x: readonly number[];
  readonly target: readonly number[];
}

const losses: Readonly<Record<RangeDType, readonly LossSetting[]>> = {
  float32: [
    {
      label: 'T is large',
      temperature: 100,
      weight: 30,
      labelSmoothing: 0.1,
      x: [0, -(2 ** 20), -3],
      target: [0, 1, 0],
    },
    {
      label: 'T is small',
      temperature: -125,
      weight: 0,
      labelSmoothing: 2 ** -20,
      x: [0, -40, -75],
      target: [1, 0, 0],
    },
  ],
  float64: [
    {
      label: 'T is large',
      temperature: 1000,
      weight: 30,
      labelSmoothing: 0.1,
      x: [0, -(2 ** 20), -3],
      target: [0, 1, 0],
    },
    {
      label: 'T is small',
      temperature: -1020,
      weight: 0,
      labelSmoothing: 2 ** -20,
      x: [0, -40, -75],
      target: [1, 0, 0],
    },
  ],
};

export function lossCase(dtype: RangeDType): ConformanceCase {
  return factorsCase('cross-entropy/factors-of-loss', dtype, { kernel: null }, (backend) =>
    checkEach(
      losses[dtype],
      ({ label }) => label,
      ({ temperature: exponent, weight: size, labelSmoothing, x: quotients, target }) => {
        const precision = operationPrecision(backend.supports, dtype);
        const temperature = 2 ** exponent;
        const weight = quotients.map(() => 2 ** size);
        const x = quotients.map((value) => value * temperature);
        const options = { temperature, weight, labelSmoothing, reduction: 'none' } as const;
        const rows = { outer: 1, classes: x.length, inner: 1 };
        const loss = crossEntropyLoss(x, { kind: 'probabilities', values: target }, rows, options);
        const bounds = loss.map((value) =>
          Number.isFinite(value) ? precision.stored(precision.unit * 60 * value, value) : 0,
        );
        return owning(async (own) => {
          const given = (values: readonly number[]) =>
            own(tensor([...values], { shape: [1, x.length], dtype, backend }));
          const result = own(crossEntropy.loss(given(x), given(target), options));
          assertClose('crossEntropy.loss', await result.data(), loss, bounds);
        });
      },
    ),
  );
}
