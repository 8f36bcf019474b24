import {
  type ReferenceCrossEntropyOptions,
  type ReferenceTarget,
  rowCount,
  targetWeights,
} from '../reference/cross-entropy.js';
import { nearest } from '../reference/doubledouble.js';
import { type ReferenceParameters, rowValues, softmax, type Values } from '../reference/functions.js';
import { elements } from '../reference/row-entries.js';
import type { Rows } from '../src/index.js';
import type { Precision } from './precision.js';
import { divisionUnits, expUnits, rowBounds, rowErrors, summation, sumOf } from './rounding.js';
import { sumUnits, targetUnits } from './tolerance-cross-entropy.js';

/**
 * Bounds of the second derivatives, which consist of centred directions `v − ⟨p, v⟩`. In a row with a probability above ½, the direction's
 * value at that entry has to be subtracted from the others first: bounds are relative to the remaining differences, not to |v|.
 */
interface Centred {
  /** `|v_i − v_k| + Σ_j p_j |v_j − v_k|`: the terms of the centred direction. */
  readonly size: number;
  /** Its absolute error. */
  readonly error: number;
}

/** A probability of a row and its relative error, in units. */
interface Probability {
  readonly p: number;
  readonly units: number;
}

/** Above it, a correct implementation subtracts the value at the largest probability; a little above ½, because the probability itself is rounded. */
const dominant = 0.51;

/**
 * The value that is subtracted from a row's direction, and how large it may be: nothing may be subtracted, or the value at any entry with a similar
 * probability, if it is at most 2 Σ|p v|. A larger one takes digits of the entries that are small beside it.
 */
function offsetOf(row: readonly { readonly p: number; readonly v: number }[]): {
  readonly offset: number;
  readonly slack: number;
} {
  const largest = row.reduce((most, { p }) => Math.max(most, p), 0);
  const top = row.find(({ p }) => p === largest);
  if (top !== undefined && largest > dominant) return { offset: top.v, slack: 0 };
  const slack = row.reduce((most, { p, v }) => (p >= 0.99 * largest ? Math.max(most, Math.abs(v)) : most), 0);
  return { offset: 0, slack: Math.min(slack, 2 * sumOf(row, ({ p, v }) => p * Math.abs(v))) };
}

/**
 * The bounds of a row's centred direction, entry by entry: a difference, a product and their sum for the mean; a difference for the
 * direction and one for the result. `excess` is |Σ p − 1| of given probabilities: adding a constant c to v changes the result by `excess` · c.
 */
function centred<E extends Probability>(
  { unit, floor }: Precision,
  row: readonly E[],
  excess: number,
  direction: (entry: E) => number,
): (entry: E) => Centred {
  const { offset, slack } = offsetOf(row.map((entry) => ({ p: entry.p, v: direction(entry) })));
  const moved = (entry: E) => Math.abs(direction(entry) - offset) + slack;
  const mean = sumOf(row, (entry) => entry.p * moved(entry));
  const flushed = floor * sumOf(row, (entry) => 1 + moved(entry));
  const ofMean =
    unit * (sumOf(row, (entry) => entry.p * moved(entry) * entry.units) + (summation(row.length) + 3) * mean);
  return (entry) => ({
    size: moved(entry) + mean,
    error: (2 * unit + excess) * moved(entry) + ofMean + flushed,
  });
}

/**
 * The hvp of given probabilities, `s ⊙ (a ⊙ b − ⟨s, a ⊙ b⟩) / T²`: the errors of both centred directions, their product, the sum of the
 * products (one more product and one more difference), the product with s and two divisions.
 */
export function softmaxHvpTolerance(
  precision: Precision,
  s: Values,
  g: Values,
  t: Values,
  expected: Values,
  rows: Rows,
  { temperature = 1 }: ReferenceParameters = {},
): Float64Array {
  const { unit, floor } = precision;
  const scale = 1 / temperature ** 2;
  return rowBounds(precision, expected, rows, (at) => {
    const row = at.map((i) => ({
      p: s[i] ?? Number.NaN,
      units: 0,
      g: g[i] ?? Number.NaN,
      t: t[i] ?? Number.NaN,
    }));
    const excess = Math.abs(sumOf(row, ({ p }) => p) - 1);
    const centredG = centred(precision, row, excess, (entry) => entry.g);
    const centredT = centred(precision, row, excess, (entry) => entry.t);
    const products = row.map((entry) => {
      const [a, b] = [centredG(entry), centredT(entry)];
      const size = a.size * b.size;
      return { p: entry.p, size, error: a.size * b.error + b.size * a.error + unit * size + floor };
    });
    const mean = sumOf(products, ({ p, size }) => p * size);
    const flushed = floor * sumOf(products, ({ size }) => 1 + size);
    const ofMean = sumOf(products, ({ p, error }) => p * error) + unit * (summation(at.length) + 1) * mean + flushed;
    const after = 2 + 2 * divisionUnits(temperature);
    return products.map(({ p, size, error }) => {
      const rounding = p * (error + ofMean + unit * after * (size + mean) + excess * size);
      return scale * rounding + floor * roundedToZero(temperature, 1 + size + mean);
    });
  });
}

/**
 * The double backward of given probabilities, `(h ⊙ (g − ⟨s, g⟩) − g ⟨s, h⟩) / T`: the error of the centred cotangent, a product and a
 * sum for the mean of h, two products, their difference and a division.
 */
export function softmaxDoubleBackwardTolerance(
  precision: Precision,
  s: Values,
  g: Values,
  h: Values,
  expected: Values,
  rows: Rows,
  { temperature = 1 }: ReferenceParameters = {},
): Float64Array {
  const { unit, floor } = precision;
  const scale = 1 / Math.abs(temperature);
  return rowBounds(precision, expected, rows, (at) => {
    const row = at.map((i) => ({
      p: s[i] ?? Number.NaN,
      units: 0,
      g: g[i] ?? Number.NaN,
      h: Math.abs(h[i] ?? Number.NaN),
    }));
    const excess = Math.abs(sumOf(row, ({ p }) => p) - 1);
    const centredG = centred(precision, row, excess, (entry) => entry.g);
    const mean = sumOf(row, ({ p, h }) => p * h);
    const ofMean = unit * (summation(at.length) + 1) * mean + floor * sumOf(row, ({ h }) => 1 + h);
    const after = 2 + divisionUnits(temperature);
    return row.map((entry) => {
      const { size, error } = centredG(entry);
      const terms = entry.h * size + Math.abs(entry.g) * mean;
      const rounding = entry.h * error + Math.abs(entry.g) * ofMean + unit * after * terms;
      return scale * rounding + floor * roundedToZero(temperature, 2 + terms);
    });
  });
}

/** The hvp of log-softmax, `−Σg p ⊙ (t − ⟨p, t⟩) / T²`: the exps of y, the centred tangent, the sum of the cotangent, two products and two divisions. */
export function logSoftmaxHvpTolerance(
  precision: Precision,
  y: Values,
  g: Values,
  t: Values,
  expected: Values,
  rows: Rows,
  { temperature = 1 }: ReferenceParameters = {},
): Float64Array {
  return rowBounds(precision, expected, rows, (at) => {
    const row = at.map((i) => {
      const log = y[i] ?? Number.NaN;
      const units = log === Number.NEGATIVE_INFINITY ? 0 : expUnits(precision, log);
      return { p: Math.exp(log), units, t: t[i] ?? Number.NaN };
    });
    const excess = Math.abs(sumOf(row, ({ p }) => p) - 1);
    const cotangent = rowValues(g, at);
    const factor = { size: Math.abs(sumOf(cotangent)), error: summation(at.length) * sumOf(cotangent, Math.abs) };
    return curvatureBounds(precision, row, excess, factor, temperature);
  });
}

/** The hvp of log-sum-exp, `g p ⊙ (t − ⟨p, t⟩) / T²`: the probabilities' bounds, the centred tangent, two products and two divisions. */
export function logSumExpHvpTolerance(
  precision: Precision,
  x: Values,
  g: Values,
  t: Values,
  expected: Values,
  rows: Rows,
  parameters: ReferenceParameters = {},
): Float64Array {
  const p = softmax(x, rows, parameters);
  return rowBounds(precision, expected, rows, (at, r) =>
    logSumExpCurvature(precision, x, p, at, { size: Math.abs(g[r] ?? Number.NaN), error: 0 }, t, parameters),
  );
}

/** The hvp of cross-entropy: that of log-sum-exp, where the factor has the errors of the target's weights, of their sum and of the reduction. */
export function crossEntropyHvpTolerance(
  precision: Precision,
  x: Values,
  target: ReferenceTarget,
  g: Values,
  t: Values,
  expected: Values,
  rows: Rows,
  options: ReferenceCrossEntropyOptions,
): Float64Array {
  const p = softmax(x, rows, options);
  const { count, units: ofCount } = meanCount(target, rows, options);
  const units = targetUnits(options) + sumUnits(target, rows, options) + ofCount + 2;
  return rowBounds(precision, expected, rows, (at, r) => {
    const q = targetWeights(target, at, r, options);
    if (!q) return at.map(() => precision.floor);
    const upstream = Math.abs((g[g.length === 1 ? 0 : r] ?? Number.NaN) / count);
    const weights = q.map(nearest);
    const factor = {
      size: upstream * Math.abs(sumOf(weights)),
      error: upstream * units * sumOf(weights, Math.abs),
    };
    return logSumExpCurvature(precision, x, p, at, factor, t, options);
  });
}

/** The hvp of sigmoid, relative: `g t y (1 − y) (1 − 2y)` is four products and two differences; 1 − 2y is exact near its zero. */
export function sigmoidHvpTolerance(
  precision: Precision,
  _y: Values,
  g: Values,
  t: Values,
  expected: Values,
): Float64Array {
  return elements(expected.length, (i) => {
    const value = expected[i] ?? Number.NaN;
    const flushed = (1 + Math.abs(g[i] ?? Number.NaN)) * (1 + Math.abs(t[i] ?? Number.NaN));
    return precision.stored(6 * precision.unit * Math.abs(value) + precision.floor * flushed, value);
  });
}

/** The divisor of the mean, and the units of its own sum and of the division. */
function meanCount(target: ReferenceTarget, rows: Rows, options: ReferenceCrossEntropyOptions) {
  const { reduction = 'mean', weight } = options;
  if (reduction !== 'mean') return { count: 1, units: 0 };
  const summed = weight && target.kind === 'indices' ? summation(rows.outer * rows.inner) : 0;
  return { count: nearest(rowCount(target, rows, options)), units: summed + 5 };
}

/** The factor of a row: its size, and its absolute error in units. */
interface Factor {
  readonly size: number;
  readonly error: number;
}

function logSumExpCurvature(
  precision: Precision,
  x: Values,
  probabilities: Values,
  at: readonly number[],
  factor: Factor,
  t: Values,
  parameters: ReferenceParameters,
): readonly number[] {
  const { temperature = 1, mask } = parameters;
  const errors = rowErrors(precision, x, at, parameters);
  const row = at.map((i) => {
    const p = probabilities[i] ?? Number.NaN;
    const units = p === 0 ? 0 : errors.term(i) + errors.sum + 5;
    // A masked entry has no effect, whatever the tangent there.
    return { p, units, t: mask && !mask[i] ? 0 : (t[i] ?? Number.NaN) };
  });
  return curvatureBounds(precision, row, 0, factor, temperature);
}

/** `factor · p ⊙ (t − ⟨p, t⟩) / T²`. */
function curvatureBounds(
  precision: Precision,
  row: readonly (Probability & { readonly t: number })[],
  excess: number,
  factor: Factor,
  temperature: number,
): readonly number[] {
  const { unit, floor } = precision;
  const scale = 1 / temperature ** 2;
  const bounds = centred(precision, row, excess, ({ t }) => t);
  const after = 2 + 2 * divisionUnits(temperature);
  return row.map((entry) => {
    const { size, error } = bounds(entry);
    const relative = factor.size * (entry.units + after) + factor.error;
    const rounding = entry.p * (factor.size * error + unit * relative * size);
    return scale * rounding + floor * roundedToZero(temperature, (1 + size) * (1 + factor.size));
  });
}

/** How many times the smallest number is lost where products and their quotients underflow. */
function roundedToZero(temperature: number, size: number): number {
  const scale = 1 / Math.abs(temperature);
  return 1 + scale + scale ** 2 * size;
}
