import {
  type ReferenceCrossEntropyOptions,
  type ReferenceTarget,
  rowCount,
  targetWeights,
} from '../reference/cross-entropy.js';
import { nan, nearest } from '../reference/doubledouble.js';
import { logSoftmax, rowIndices, softmax, type Values } from '../reference/functions.js';
import { isMasked } from '../reference/row-entries.js';
import type { Rows } from '../src/index.js';
import type { Precision } from './precision.js';
import { divisionUnits, logProbabilityUnits, rowErrors, summation, sumOf } from './rounding.js';

/**
 * The loss: each log-probability's bound weighted by the target, the weight's own error, the product of both, the sum over the classes,
 * and for 'mean' and 'sum' the rounding of the reduction.
 */
export function crossEntropyLossTolerance(
  precision: Precision,
  x: Values,
  target: ReferenceTarget,
  expected: Values,
  rows: Rows,
  options: ReferenceCrossEntropyOptions,
): Float64Array {
  const logs = logSoftmax(x, rows, options);
  const reduced = options.reduction !== 'none';
  const { scale, units } = reduction(target, rows, options);
  const relative = targetUnits(options) + 1 + sumUnits(target, rows, options) + units;
  const bounds = rowIndices(rows).map((at, r) => {
    const q = targetWeights(target, at, r, options);
    if (!q) return precision.floor;
    const row = rowErrors(precision, x, at, options);
    const terms = at.map((i, c) => {
      const weight = Math.abs(nearest(q[c] ?? nan));
      const log = logs[i] ?? Number.NaN;
      if (weight === 0) return 0;
      return weight * (logProbabilityUnits(row, i, log) + relative * Math.abs(log));
    });
    return scale * precision.unit * sumOf(terms) + precision.floor * (1 + at.length * (1 + scale));
  });
  const total = reduced ? [sumOf(bounds)] : bounds;
  return Float64Array.from(total, (bound, i) => precision.stored(bound, expected[i] ?? Number.NaN));
}

/** The gradient, relative to both of its terms, p Σ q and q; times the cotangent of the loss, if given. */
export function crossEntropyGradientTolerance(
  precision: Precision,
  x: Values,
  target: ReferenceTarget,
  cotangent: Values | null,
  expected: Values,
  rows: Rows,
  options: ReferenceCrossEntropyOptions,
): Float64Array {
  const bounds = gradientBounds(precision, x, target, rows, options);
  const product = cotangent ? 2 : 0;
  const out = new Float64Array(x.length);
  rowIndices(rows).forEach((at, r) => {
    const factor = cotangent ? Math.abs(cotangent[cotangent.length === 1 ? 0 : r] ?? Number.NaN) : 1;
    for (const i of at) {
      const value = expected[i] ?? Number.NaN;
      const bound = factor * (bounds[i] ?? Number.NaN) + product * precision.unit * Math.abs(value) + precision.floor;
      out[i] = precision.stored(bound, value);
    }
  });
  return out;
}

/**
 * The jvp: the gradient's bounds weighted by the tangent's distances from its mean ⟨p, t⟩, because the gradient's rows add up to 0, and by the
 * rounding error of this mean; the difference and the sums over classes and rows.
 */
export function crossEntropyJvpTolerance(
  precision: Precision,
  x: Values,
  target: ReferenceTarget,
  tangent: Values,
  expected: Values,
  rows: Rows,
  options: ReferenceCrossEntropyOptions,
): Float64Array {
  const bounds = gradientBounds(precision, x, target, rows, options, 2 + summation(rows.classes));
  const p = softmax(x, rows, options);
  const sums = rowIndices(rows).map((at) => {
    const row = rowErrors(precision, x, at, options);
    const kept = at.filter((i) => !isMasked(options, i));
    const term = (i: number) => (p[i] ?? Number.NaN) * (tangent[i] ?? Number.NaN);
    const mean = sumOf(kept, term);
    const units = (i: number) => row.term(i) + row.sum + summation(kept.length) + 7;
    const ofMean = precision.unit * sumOf(kept, (i) => (p[i] === 0 ? 0 : Math.abs(term(i)) * units(i)));
    return sumOf(kept, (i) => {
      const size = Math.abs((tangent[i] ?? Number.NaN) - mean) + ofMean;
      return (bounds[i] ?? Number.NaN) * size + precision.floor * (1 + size);
    });
  });
  const total = options.reduction === 'none' ? sums : [sumOf(sums)];
  return Float64Array.from(total, (bound, i) => precision.stored(bound, expected[i] ?? Number.NaN));
}

/**
 * Absolute bounds of the gradient's entries: the errors of p Σ q, whose factors are rounded and multiplied, and of q; of their difference, the
 * division by the temperature and the reduction. `extra` units are added for further steps.
 *
 * Where p_i is above ½ this would cancel, so the terms are those of `p_i Σ_{j≠i} q_j − q_i Σ_{j≠i} p_j`.
 */
function gradientBounds(
  precision: Precision,
  x: Values,
  target: ReferenceTarget,
  rows: Rows,
  options: ReferenceCrossEntropyOptions,
  extra = 0,
): Float64Array {
  const logs = logSoftmax(x, rows, options);
  const out = new Float64Array(x.length);
  const { scale, units } = reduction(target, rows, options);
  const tempered = scale / Math.abs(options.temperature ?? 1);
  const ofTarget = targetUnits(options);
  const after = 1 + divisionUnits(options.temperature) + units + extra;
  // (Q e − q S) / S, which does not cancel where p is nearly 1, multiplies q by S and divides by S: four operations and a division.
  const ofSum = 8;
  rowIndices(rows).forEach((at, r) => {
    const q = targetWeights(target, at, r, options)?.map(nearest);
    if (!q) return;
    const row = rowErrors(precision, x, at, options);
    const sum = sumOf(q, Math.abs);
    // exp(log p) turns the absolute error of log p into a relative one; otherwise p is a quotient.
    const relative = (i: number) =>
      Math.max(logProbabilityUnits(row, i, logs[i] ?? Number.NaN) + precision.exp(0), row.term(i) + row.sum + 5);
    /** p and the part of it that is error, in units. Where the mask keeps nothing of a row, 0 is exact and the errors of its sum are undefined. */
    const probability = (i: number) => Math.exp(logs[i] ?? Number.NaN);
    const erring = (i: number) => (probability(i) === 0 ? 0 : probability(i) * relative(i));
    const products = ofTarget + sumUnits(target, rows, options) + 1 + after;
    at.forEach((i, c) => {
      const p = probability(i);
      const own = Math.abs(q[c] ?? Number.NaN);
      const isTop = p > 0.5;
      const taken = isTop ? q.reduce((all, weight, j) => (j === c ? all : all + Math.abs(weight)), 0) : sum;
      const left = isTop ? sumOf(at, (j) => (j === i ? 0 : probability(j))) : 1;
      const lost = isTop ? sumOf(at, (j) => (j === i ? 0 : erring(j))) + summation(at.length) * left : 0;
      const expected = taken * (erring(i) + p * products);
      const rounding = expected + own * (left * (ofTarget + ofSum + after) + lost);
      out[i] =
        tempered * precision.unit * rounding +
        precision.floor * (1 + tempered * (1 + sum + (isTop ? own * at.length : 0)));
    });
  });
  return out;
}

/** Relative error of the target's weights: (1 − ε) q + ε/K is two products, a quotient and a sum; a class weight is one product. */
export function targetUnits({ labelSmoothing = 0, weight }: ReferenceCrossEntropyOptions): number {
  return (labelSmoothing === 0 ? 0 : 8) + (weight ? 1 : 0);
}

/** The rounding of the sum of the target's weights over the classes: none if there is only one weight. */
export function sumUnits(
  { kind }: ReferenceTarget,
  { classes }: Rows,
  { labelSmoothing = 0 }: ReferenceCrossEntropyOptions,
) {
  return kind === 'indices' && labelSmoothing === 0 ? 0 : summation(classes);
}

/** 1/N for the mean, and the units of three steps: the sum over the rows, the computation of N where it is a sum of weights, and the division by N. */
function reduction(target: ReferenceTarget, rows: Rows, options: ReferenceCrossEntropyOptions) {
  const { reduction: kind = 'mean' } = options;
  if (kind === 'none') return { scale: 1, units: 0 };
  const sum = summation(rows.outer * rows.inner);
  if (kind === 'sum') return { scale: 1, units: sum };
  const count = options.weight && target.kind === 'indices' ? sum : 0;
  return { scale: 1 / nearest(rowCount(target, rows, options)), units: sum + count + 5 };
}
