import { at } from './at.js';
import type { Unusual } from './form.js';
import { innerProducts } from './host-softmax.js';
import type { LossReduction } from './input.js';
import { type Numbers, scaled } from './numbers.js';
import { oncePerProblem } from './once-per-problem.js';
import { batchSize, type Problem } from './problem.js';

/** A gradient with respect to the probabilities: the given upstream gradient, or that of the cross-entropy. */
export interface Cotangent {
  readonly symbol: string;
  readonly values: Float64Array;
  /** ⟨s, g⟩ of each row. */
  readonly inner: Float64Array;
  /** s ⊙ (|g| + ⟨s, |g|⟩) / T: the terms that the vector-Jacobian product adds up. */
  readonly terms: Numbers;
}

/** The known gradients with respect to the probabilities. */
export const cotangents = oncePerProblem((problem): readonly Cotangent[] => [
  ...(problem.g ? [cotangent(problem, 'g', problem.g)] : []),
  ...lossFactors(problem).flatMap(({ factor, over }) => {
    const g = lossCotangent(problem);
    return g ? [cotangent(problem, g.symbol + over, scaled(g.values, factor))] : [];
  }),
]);

export function cotangent(problem: Problem, symbol: string, values: Float64Array): Cotangent {
  const { s, n, f, temperature } = problem;
  let inner: Float64Array | undefined;
  let absoluteInner: Float64Array | undefined;
  return {
    symbol,
    values,
    get inner() {
      inner ??= innerProducts(s, values, n, f);
      return inner;
    },
    terms: (k) => {
      absoluteInner ??= innerProducts(s, values.map(Math.abs), n, f);
      return (at(s, k) * (Math.abs(at(values, k)) + at(absoluteInner, Math.floor(k / f)))) / temperature;
    },
  };
}

/** The gradient of the cross-entropy in the output of the layer, −y / s of a softmax; null where it is infinite. */
function lossCotangent({ s, y, layer }: Problem): Pick<Cotangent, 'symbol' | 'values'> | null {
  if (!y) return null;
  if (layer === 'log-softmax') return { symbol: '−y', values: y.map((value) => -value) };
  if (layer === 'sigmoid') {
    const values = s.map((value, k) => (value - at(y, k)) / (value * (1 - value)));
    return values.every(Number.isFinite) ? { symbol: '(σ − y) / (σ (1 − σ))', values } : null;
  }
  if (y.some((value, k) => value > 0 && s[k] === 0)) return null;
  return { symbol: '−y / s', values: y.map((value, k) => (value === 0 ? 0 : -value / at(s, k))) };
}

/** A factor of the summed losses, and how it is written in a formula. */
export interface LossFactor {
  readonly factor: number;
  readonly over: string;
  readonly reduction: LossReduction;
  readonly unusual?: Unusual | undefined;
}

/** 1 for the sum of the losses and 1/n for their mean; both if the reduction is unknown. */
export const lossFactors = oncePerProblem((problem): readonly LossFactor[] => {
  const { y, f, reduction, target, layer } = problem;
  if (!y) return [];
  const n = batchSize(problem);
  const sum: LossFactor = { factor: 1, over: '', reduction: 'sum' };
  const divisor = target?.divisor ?? n;
  const byRows: LossFactor = { factor: 1 / n, over: ' / n', reduction: 'mean' };
  const mean: LossFactor =
    layer === 'sigmoid'
      ? { factor: 1 / (n * f), over: ' / (n f)', reduction: 'mean' }
      : divisor === n
        ? byRows
        : {
            factor: 1 / divisor,
            over: ` / ${Number(divisor.toPrecision(6))}, ${whatCounts(target)}`,
            reduction: 'mean',
          };
  // The mean over no rows at all is 0 / 0.
  const means = divisor === 0 ? [] : [mean];
  if (reduction !== null) return reduction === 'sum' ? [sum] : means;
  const all: readonly LossFactor[] = [sum, ...means, { ...byRows, unusual: 'all rows' }];
  return all.filter(({ factor }, k) => all.findIndex((other) => other.factor === factor) === k);
});

/** True if the sum and the mean are the same, so that a diagnosis names neither: for one row, unless it is of a sigmoid, whose mean is over its entries. */
export function sumIsMean(problem: Problem): boolean {
  return batchSize(problem) === 1 && problem.reduction === null && problem.layer !== 'sigmoid';
}

/** What the mean of a cross-entropy of class indices divides by. */
export function whatCounts(target: Problem['target']): string {
  return target?.weight ? 'the weights of the targets' : 'the rows that count';
}
