import type { Rows } from '../src/backend/interface.js';
import {
  add,
  type DoubleDouble,
  div,
  exactly,
  exp,
  mul,
  nan,
  nearest,
  one,
  scaled,
  sub,
  zero,
} from './doubledouble.js';
import { complement, isDominant } from './log-softmax.js';
import { logSumExpCurvature } from './log-sum-exp.js';
import { logProbabilities } from './probabilities.js';
import { isMasked, type ReferenceParameters, type RowEntries, rowIndices, total, type Values } from './row-entries.js';

/** Class indices, one for each row, or probabilities in the layout of the logits. */
export interface ReferenceTarget {
  readonly kind: 'indices' | 'probabilities';
  readonly values: Values;
}

/** The options of PyTorch's `cross_entropy` (torch.nn.CrossEntropyLoss), in addition to those of softmax. */
export interface ReferenceCrossEntropyOptions extends ReferenceParameters {
  readonly weight?: Values | null;
  readonly labelSmoothing?: number;
  readonly ignoreIndex?: number;
  readonly reduction?: 'mean' | 'sum' | 'none';
}

export interface ReferenceCrossEntropy {
  /** One value for each row if the reduction is 'none', else one value. */
  readonly loss: Float64Array;
  /** The gradient of the loss (for 'none', of each row's own loss) with respect to the logits. */
  readonly gradient: Float64Array;
}

/**
 * The loss and its gradient with respect to the logits: `(p Σ q − q) / T` for each row, with p = softmax(x/T) and q from `targetWeights`. Both are summed,
 * or divided by N: Σ weight[target] over the rows that are not ignored (indices), or the number of rows (probabilities). If all rows are
 * ignored, or of classes of weight 0, the mean is NaN, as in PyTorch, and the gradient is 0.
 */
export function crossEntropy(
  x: Values,
  target: ReferenceTarget,
  rows: Rows,
  options: ReferenceCrossEntropyOptions = {},
): ReferenceCrossEntropy {
  return {
    loss: crossEntropyLoss(x, target, rows, options),
    gradient: crossEntropyGradient(x, target, rows, options),
  };
}

/** `−Σ_c q_c log p_c` for each row, reduced. Terms with q = 0 are 0. */
export function crossEntropyLoss(
  x: Values,
  target: ReferenceTarget,
  rows: Rows,
  given: ReferenceCrossEntropyOptions = {},
): Float64Array {
  const { options, count } = reduced(target, rows, given);
  const { temperature = 1, reduction } = options;
  let quarters: Float64Array | null = null;
  const losses = rowIndices(rows).map((at, row) => {
    const q = targetWeights(target, at, row, options);
    if (!q) return zero;
    const log = logProbabilities(x, at, options);
    let far: RowEntries | null = null;
    let loss = zero;
    let undefinedRow = false;
    let c = 0;
    for (const i of at) {
      const logarithm = log(i, c);
      const weight = q[c] ?? nan;
      if (Number.isNaN(logarithm.hi)) undefinedRow = true;
      if (weight.hi !== 0) {
        // log p may overflow although its product with a weight does not; the term log Σ is negligible then.
        if (Number.isFinite(logarithm.hi) || !Number.isFinite(x[i] ?? Number.NaN)) {
          loss = sub(loss, mul(weight, logarithm));
        } else {
          quarters ??= Float64Array.from(x, (value) => value / 4);
          far ??= logProbabilities(quarters, at, { ...options, temperature: temperature * 2 ** 62 });
          loss = sub(loss, scaled(mul(weight, far(i, c)), 2 ** 64));
        }
      }
      c++;
    }
    return undefinedRow ? nan : loss;
  });
  if (reduction === 'none') return Float64Array.from(losses, nearest);
  return Float64Array.of(count === null ? Number.NaN : nearest(div(total(losses), count)));
}

/** `(p Σ q − q) / T` for each row, divided as the reduction requires; 0 where masked or ignored. */
export function crossEntropyGradient(
  x: Values,
  target: ReferenceTarget,
  rows: Rows,
  given: ReferenceCrossEntropyOptions = {},
): Float64Array {
  const gradient = new Float64Array(x.length);
  eachSlope(x, target, rows, given, (_, i, value) => {
    gradient[i] = nearest(value);
  });
  return gradient;
}

/** Calls `visit` with the gradient at each entry that is neither masked nor ignored. */
function eachSlope(
  x: Values,
  target: ReferenceTarget,
  rows: Rows,
  given: ReferenceCrossEntropyOptions,
  visit: (row: number, i: number, value: DoubleDouble) => void,
): void {
  const { options, count } = reduced(target, rows, given);
  const divisor = count && mul(exactly(options.temperature ?? 1), count);
  rowIndices(rows).forEach((at, row) => {
    const q = targetWeights(target, at, row, options);
    if (!q) return;
    const log = logProbabilities(x, at, options);
    const sum = total(q);
    let c = 0;
    for (const i of at) {
      if (!isMasked(options, i)) visit(row, i, over(slope(log(i, c), q, c, sum), divisor));
      c++;
    }
  });
}

/** A part of a derivative of the reduced loss: 0 for a mean over nothing. */
function over(part: DoubleDouble, divisor: DoubleDouble | null): DoubleDouble {
  return divisor === null ? mul(part, zero) : div(part, divisor);
}

/** The options with weights that a mean can add, and the divisor of the reduction; null for a mean over nothing. */
export function reduced(target: ReferenceTarget, rows: Rows, given: ReferenceCrossEntropyOptions) {
  const { reduction = 'mean' } = given;
  const isMean = reduction === 'mean';
  const options = { ...(isMean && target.kind === 'indices' ? balanced(given) : given), reduction };
  return { options, count: isMean ? divisorOf(target, rows, options) : one };
}

/** `p Σ q − q_c` with p = exp(log). If p is above ½, computed as `p Σ_{k≠c} q_k − q_c (1 − p)`, which is equal and does not cancel. */
function slope(log: DoubleDouble, q: readonly DoubleDouble[], c: number, sum: DoubleDouble): DoubleDouble {
  const weight = q[c] ?? nan;
  if (!isDominant(log)) return sub(mul(exp(log), sum), weight);
  const others = total(q.map((other, k) => (k === c ? zero : other)));
  return sub(mul(exp(log), others), mul(weight, complement(log)));
}

/** The gradient times the cotangent of the loss: one value, or one for each row if the reduction is 'none'. */
export function crossEntropyVjp(
  x: Values,
  target: ReferenceTarget,
  cotangent: Values,
  rows: Rows,
  options: ReferenceCrossEntropyOptions = {},
): Float64Array {
  const product = new Float64Array(x.length);
  eachSlope(x, target, rows, options, (row, i, value) => {
    product[i] = nearest(value) * (cotangent[cotangent.length === 1 ? 0 : row] ?? Number.NaN);
  });
  return product;
}

/** The change of the loss along a tangent of the logits. */
export function crossEntropyJvp(
  x: Values,
  target: ReferenceTarget,
  tangent: Values,
  rows: Rows,
  options: ReferenceCrossEntropyOptions = {},
): Float64Array {
  const changes = rowIndices(rows).map(() => zero);
  eachSlope(x, target, rows, options, (row, i, value) => {
    changes[row] = add(changes[row] ?? zero, mul(value, exactly(tangent[i])));
  });
  return Float64Array.from(options.reduction === 'none' ? changes : [total(changes)], nearest);
}

/** The derivative of crossEntropyVjp along a tangent t of the logits: `g Σq p_i Σ_j p_j (t_i − t_j) / T²`, divided as the reduction requires. */
export function crossEntropyHvp(
  x: Values,
  target: ReferenceTarget,
  cotangent: Values,
  tangent: Values,
  rows: Rows,
  options: ReferenceCrossEntropyOptions = {},
): Float64Array {
  const isMean = options.reduction === undefined || options.reduction === 'mean';
  const count = isMean ? divisorOf(target, rows, options) : one;
  const out = new Float64Array(x.length);
  rowIndices(rows).forEach((at, row) => {
    const q = targetWeights(target, at, row, options);
    if (!q) return;
    const upstream = exactly(cotangent[cotangent.length === 1 ? 0 : row]);
    const entry = logSumExpCurvature(x, at, over(mul(upstream, total(q)), count), tangent, options);
    at.forEach((i, c) => {
      out[i] = nearest(entry(i, c));
    });
  });
  return out;
}

/** Weights of a mean, scaled by a power of 2 that makes the largest about 1; a common factor does not change the mean. */
function balanced(options: ReferenceCrossEntropyOptions): ReferenceCrossEntropyOptions {
  if (!options.weight) return options;
  const largest = Array.from(options.weight).reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
  if (largest === 0 || (largest > 2 ** -500 && largest < 2 ** 500)) return options;
  const exponent = -Math.floor(Math.log2(largest));
  const half = Math.trunc(exponent / 2);
  return { ...options, weight: Array.from(options.weight, (weight) => weight * 2 ** half * 2 ** (exponent - half)) };
}

/**
 * The weights q of one row, or null where the row is ignored: the target (one-hot for an index) smoothed to
 * `(1 − ε) q + ε/K` over its K kept entries, then times the class weights, then 0 where masked.
 */
export function targetWeights(
  target: ReferenceTarget,
  at: readonly number[],
  row: number,
  { mask, weight, labelSmoothing = 0, ignoreIndex = -100 }: ReferenceCrossEntropyOptions,
): DoubleDouble[] | null {
  const index = target.kind === 'indices' ? target.values[row] : undefined;
  if (target.kind === 'indices' && index === ignoreIndex) return null;
  const kept = at.filter((i) => !mask || mask[i]).length;
  const certain = sub(one, exactly(labelSmoothing));
  const spread = div(exactly(labelSmoothing), exactly(kept));
  return at.map((i, c) => {
    if (mask && !mask[i]) return zero;
    const share = target.kind === 'indices' ? Number(c === index) : target.values[i];
    const smoothed = add(mul(certain, exactly(share)), spread);
    return weight ? mul(smoothed, exactly(weight[c])) : smoothed;
  });
}

/** The divisor of the mean; null if no class index is counted, or all that are counted have weight 0. Weights that cancel are divided by. */
function divisorOf(target: ReferenceTarget, rows: Rows, options: ReferenceCrossEntropyOptions): DoubleDouble | null {
  const { weight, ignoreIndex = -100 } = options;
  const counts = (index: number) => index !== ignoreIndex && weight?.[index] !== 0;
  return target.kind === 'probabilities' || Array.from(target.values).some(counts)
    ? rowCount(target, rows, options)
    : null;
}

/** The divisor of the mean. */
export function rowCount(
  target: ReferenceTarget,
  { outer, inner }: Rows,
  { weight, ignoreIndex = -100 }: ReferenceCrossEntropyOptions,
): DoubleDouble {
  if (target.kind === 'probabilities') return exactly(outer * inner);
  const counted = Array.from(target.values).filter((index) => index !== ignoreIndex);
  return total(counted.map((index) => exactly(weight ? weight[index] : 1)));
}
