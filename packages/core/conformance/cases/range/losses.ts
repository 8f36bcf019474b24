import { crossEntropy as referenceCrossEntropy } from '../../../reference/cross-entropy.js';
import { type Backend, crossEntropy, tensor } from '../../../src/index.js';
import { type ConformanceCase, defineCase, dtypeOnly, dtypeSuffix } from '../../case.js';
import { assertClose } from '../../check.js';
import { owning } from '../../owning.js';
import { checkEach } from '../../sweep.js';
import { operationPrecision, summation } from '../../tolerance.js';
import { fullRangeCase, inDType, type RangeDType, type RangeRow } from './full-range.js';

/** Weights of a mean for which their sum, its reciprocal or a product with a loss overflows or underflows. */
const extremeWeights = {
  float32: [1e-40, 1e-30, 3e38],
  float64: [1e-310, 1e-200, 1.7e308],
} as const satisfies Record<RangeDType, readonly number[]>;

export function weightsCase(dtype: RangeDType, labelSmoothing: number): ConformanceCase {
  const id = `cross-entropy/extreme-weights:labelSmoothing=${labelSmoothing}${dtypeSuffix(dtype)}`;
  return defineCase(id, { dtype, kernel: null }, (backend) =>
    checkEach(
      extremeWeights[dtype],
      (weight) => `weights of ${weight}`,
      (size) => {
        const x = inDType([1, 2, 3, 3, 1, 2], dtype);
        const weight = inDType([size, size / 2, size], dtype);
        return checkLoss(backend, dtype, { x, targets: [0, 1], temperature: 1, labelSmoothing, weight });
      },
    ),
  );
}

/** Logits for which log p overflows while its product with a small target weight does not. */
const farLogits = {
  float32: [1, 10, 0.5].map((temperature) => ({ x: [3e38, -3e38, 0], temperature })),
  float64: [1, 10, 0.5].map((temperature) => ({ x: [1.7e308, -1.7e308, 0], temperature })),
} as const satisfies Record<RangeDType, readonly RangeRow[]>;

export function farLossCase(dtype: RangeDType): ConformanceCase {
  return fullRangeCase(`cross-entropy/range${dtypeOnly(dtype)}`, { dtype, kernel: null }, (backend) =>
    checkEach(
      farLogits[dtype],
      ({ temperature }) => `temperature ${temperature}`,
      ({ x, temperature }) =>
        checkLoss(backend, dtype, {
          x: inDType(x, dtype),
          targets: [0],
          temperature,
          labelSmoothing: 0.1,
          weight: null,
        }),
    ),
  );
}

interface LossStatement {
  readonly x: Float64Array;
  readonly targets: readonly number[];
  readonly temperature: number;
  readonly labelSmoothing: number;
  readonly weight: Float64Array | null;
}

/** Loss and gradient of rows of three classes, compared relative to the terms that they consist of. */
async function checkLoss(backend: Backend, dtype: RangeDType, statement: LossStatement): Promise<void> {
  const { x, targets, temperature, labelSmoothing, weight } = statement;
  const rows = { outer: targets.length, classes: 3, inner: 1 };
  const target = { kind: 'indices', values: targets } as const;
  const expected = referenceCrossEntropy(x, target, rows, { temperature, labelSmoothing, weight });
  const precision = operationPrecision(backend.supports, dtype);
  // An exp, a logarithm near 1, and thirty roundings of a row's terms, which all have one sign or are at most 1/T.
  const units = precision.exp(2) + precision.log(0) + 30 + summation(3);
  const options = { temperature, labelSmoothing, ...(weight && { weight: [...weight] }) };
  const bound = (size: number, value: number) =>
    precision.stored(precision.unit * units * size + precision.floor, value);
  const [loss = Number.NaN] = expected.loss;
  const bounds = expected.gradient.map((value) => bound(1 / temperature, value));
  await owning(async (own) => {
    const logits = own(tensor([...x], { shape: [targets.length, 3], dtype, backend }));
    const result = crossEntropy(logits, [...targets], options);
    const [ofLoss, ofGradient] = [own(result.loss), own(result.gradient)];
    assertClose('loss', await ofLoss.data(), [loss], [bound(Math.abs(loss), loss)]);
    assertClose('gradient', await ofGradient.data(), expected.gradient, bounds);
  });
}
