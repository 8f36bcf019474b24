import { type Backend, crossEntropy, logSoftmax, logSumExp, softmax, tensor } from '@softgrad/core';
import { reference, referenceCrossEntropy } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import type { FarErrors } from './far-temperatures.js';

/**
 * At ±1 the sum of the other exponentials is often just below 1, where 1 + it is in the range for which GPUs have no accurate log. Half an ULP of a gap
 * of 160 is 64 ULP of its exponential, and of a gap of 40 16 ULP; at 1e4 ± 8 differences are exact.
 */
const kinds = [
  { name: '±1', range: 1, offset: 0, temperature: 1 },
  { name: '±80', range: 80, offset: 0, temperature: 1 },
  { name: '±20 T, T = 2.87', range: 20 * 2.87, offset: 0, temperature: 2.87 },
  { name: '±20 T, T = 0.01', range: 0.2, offset: 0, temperature: 0.01 },
  { name: '1e4 ± 8', range: 8, offset: 1e4, temperature: 1 },
] as const;
export const rowLengths = [2, 3, 128, 1000] as const;

/** The largest error of each result in ULP, over probabilities of at least 1e-30. */
export interface Accuracy {
  readonly softmax: number;
  readonly logSoftmax: number;
  /** logSoftmax below −32, beside which the error of the logarithm is small. */
  readonly lowLogSoftmax: number;
  readonly logSumExp: number;
  readonly loss: number;
  readonly gradient: number;
}

/** What the programs of engines webgl and webgpu keep to at temperatures far from 1, wherever they run, with logits near each other too. */
export const farBounds: FarErrors = {
  softmax: 4.4,
  logSoftmax: 2.1,
  logSumExp: 2.1,
  loss: 2.1,
  gradient: 4.5,
  hvp: 8,
};

const problems = rowLengths.flatMap((classes) => kinds.map((kind) => ({ ...kind, classes })));
const expectations = new Map<(typeof problems)[number], ReturnType<typeof expectationOf>>();

/** Operands and expected results, computed once for all engines. */
function expectationOf({ range, offset, temperature, classes }: (typeof problems)[number]) {
  const outer = Math.ceil(4000 / classes);
  let state = classes;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const x = Float32Array.from({ length: outer * classes }, () => offset + range * (2 * random() - 1));
  const target = Int32Array.from({ length: outer }, () => Math.floor(random() * classes));
  const rows = { outer, classes, inner: 1 };
  const ofTarget = { kind: 'indices', values: target } as const;
  const log = reference.logSumExp(x, rows, { temperature });
  const largest = log.map((_, row) =>
    x.subarray(row * classes, (row + 1) * classes).reduce((most, logit) => Math.max(most, logit / temperature), -1e9),
  );
  return {
    x,
    target,
    shape: [outer, classes] as const,
    softmax: reference.softmax(x, rows, { temperature }),
    logSoftmax: reference.logSoftmax(x, rows, { temperature }),
    logSumExp: log,
    // Where the maximum and the logarithm cancel, the result has the error of the maximum.
    terms: log.map((value, row) => Math.max(Math.abs(value), Math.abs(largest[row]))),
    ...referenceCrossEntropy(x, ofTarget, rows, { temperature, reduction: 'none' }),
  };
}

/** The largest error in ULP of the expected value, or of `terms` where they are larger; NaN if a result is NaN. */
function worstUlp(actual: ArrayLike<number>, expected: Float64Array, terms = expected): number {
  return expected.reduce((worst, value, i) => {
    const size = Math.max(Math.abs(value), Math.abs(terms[i]));
    if (size < 1e-30) return worst;
    return Math.max(worst, Math.abs(actual[i] - value) / 2 ** (Math.floor(Math.log2(size)) - 23));
  }, 0);
}

/** The errors of each problem with rows of these lengths in turn. */
export async function* errorsOf(
  backend: Backend,
  lengths: readonly number[] = rowLengths,
): AsyncGenerator<readonly [problem: string, errors: Accuracy]> {
  for (const problem of problems.filter(({ classes }) => lengths.includes(classes))) {
    const expected = expectations.get(problem) ?? expectationOf(problem);
    expectations.set(problem, expected);
    const { temperature } = problem;
    const x = tensor(expected.x, { shape: expected.shape, backend });
    const target = tensor(expected.target, { backend });
    const { loss, gradient } = crossEntropy(x, target, { temperature, reduction: 'none' });
    const logs = await logSoftmax(x, { temperature }).data();
    const errors: Accuracy = {
      softmax: worstUlp(await softmax(x, { temperature }).data(), expected.softmax),
      logSoftmax: worstUlp(logs, expected.logSoftmax),
      lowLogSoftmax: worstUlp(
        logs,
        expected.logSoftmax.map((value) => (value < -32 ? value : 0)),
      ),
      logSumExp: worstUlp(await logSumExp(x, { temperature }).data(), expected.logSumExp, expected.terms),
      loss: worstUlp(await loss.data(), expected.loss),
      gradient: worstUlp(await gradient.data(), expected.gradient),
    };
    yield [`${problem.classes} classes, ${problem.name}`, errors];
  }
}

/**
 * @param backendOf gives the backend, which stays open: see {@link openedOnce}
 * @param lengths of rows
 */
export function testAccuracy(
  title: string,
  backendOf: () => Promise<Backend>,
  bounds: Accuracy,
  lengths: readonly number[] = rowLengths,
): void {
  test(`${title}: results are as accurate for large gaps between logits as for small ones, at any temperature`, async () => {
    for await (const [problem, errors] of errorsOf(await backendOf(), lengths)) {
      for (const op of Object.keys(bounds) as (keyof Accuracy)[]) {
        expect.soft(errors[op], `${op}, ${problem}`).toBeLessThanOrEqual(bounds[op]);
      }
    }
  });
}
