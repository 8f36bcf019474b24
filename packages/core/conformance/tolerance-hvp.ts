import {
  type ReferenceCrossEntropyOptions,
  type ReferenceTarget,
  rowCount,
  targetWeights,
} from '../reference/cross-entropy.js';
import { nearest } from '../reference/doubledouble.js';
import { type ReferenceParameters, softmax, type Values } from '../reference/functions.js';
import type { Rows } from '../src/index.js';
import { divisionUnits, expUnits, type Precision, rowBounds, rowErrors, summation } from './tolerance.js';
import { sumUnits, targetUnits } from './tolerance-cross-entropy.js';

/**
 * Bounds of the second derivatives, which are made of centred directions `v − ⟨p, v⟩`. In a row with a probability above ½, the direction
 * at that entry has to be taken off the others first: bounds are relative to what is left then, and not to |v|.
 */
interface Centred {
  /** `|v_i − v_k| + Σ_j p_j |v_j − v_k|`, an entry each: what the centred direction is made of. */
  readonly sizes: readonly number[];
  /** Absolute errors of the centred direction. */
  readonly errors: readonly number[];
}

/** Probabilities of a row and what is known of them. */
interface Row {
  readonly p: readonly number[];
  /** Relative errors of the probabilities, in units. */
  readonly units: readonly number[];
  /** |Σ p − 1| of probabilities that are given: a constant added to v counts by as much. */
  readonly excess: number;
}

/** Above it, a right implementation takes the largest probability's entry off; a little above ½, since that is itself rounded. */
const dominant = 0.51;

/** What is subtracted from a row's direction, and how large it may be where that is nothing or any of the entries of like probability. */
function offsetOf(p: readonly number[], v: readonly number[]): { readonly offset: number; readonly slack: number } {
  const largest = p.reduce((a, b) => Math.max(a, b), 0);
  if (largest > dominant) return { offset: v[p.indexOf(largest)], slack: 0 };
  const slack = v.reduce((most, value, i) => (p[i] >= 0.99 * largest ? Math.max(most, Math.abs(value)) : most), 0);
  return { offset: 0, slack };
}

/** A difference, a product and their sum for the mean; a difference for the direction and one for what is left. */
function centred({ unit, floor }: Precision, { p, units, excess }: Row, v: readonly number[]): Centred {
  const { offset, slack } = offsetOf(p, v);
  const moved = v.map((value) => Math.abs(value - offset) + slack);
  const mean = sum(moved.map((size, i) => p[i] * size));
  const flushed = floor * sum(moved.map((size) => 1 + size));
  const ofMean = unit * (sum(moved.map((size, i) => p[i] * size * units[i])) + (summation(p.length) + 3) * mean);
  return {
    sizes: moved.map((size) => size + mean),
    errors: moved.map((size) => (2 * unit + excess) * size + ofMean + flushed),
  };
}

/**
 * The hvp of given probabilities, `s ⊙ (a ⊙ b − ⟨s, a ⊙ b⟩) / T²`: the errors of both centred directions, their product, the sum of the
 * products (a product and a difference more), the product with s and two divisions.
 */
export function softmaxHvpTolerance(
  precision: Precision,
  s: Values,
  g: Values,
  t: Values,
  expected: Values,
  rows: Rows,
  temperature = 1,
): Float64Array {
  const { unit, floor } = precision;
  const scale = 1 / temperature ** 2;
  return rowBounds(precision, expected, rows, (at) => {
    const p = at.map((i) => s[i]);
    const excess = Math.abs(sum(p) - 1);
    const row = { p, units: p.map(() => 0), excess };
    const [a, b] = [g, t].map((v) =>
      centred(
        precision,
        row,
        at.map((i) => v[i]),
      ),
    );
    const sizes = a.sizes.map((size, i) => size * b.sizes[i]);
    const errors = sizes.map((size, i) => a.sizes[i] * b.errors[i] + b.sizes[i] * a.errors[i] + unit * size + floor);
    const mean = sum(sizes.map((size, i) => p[i] * size));
    const flushed = floor * sum(sizes.map((size) => 1 + size));
    const ofMean = sum(errors.map((error, i) => p[i] * error)) + unit * (summation(at.length) + 1) * mean + flushed;
    const after = 2 + 2 * divisionUnits(temperature);
    return sizes.map((size, i) => {
      const rounding = p[i] * (errors[i] + ofMean + unit * after * (size + mean) + excess * size);
      return scale * rounding + floor * roundedToZero(temperature, 1 + size + mean);
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
  temperature = 1,
): Float64Array {
  return rowBounds(precision, expected, rows, (at) => {
    const p = at.map((i) => Math.exp(y[i]));
    const units = at.map((i) => (y[i] === Number.NEGATIVE_INFINITY ? 0 : expUnits(precision, y[i])));
    const row = { p, units, excess: Math.abs(sum(p) - 1) };
    const cotangent = at.map((i) => g[i]);
    const factor = { size: Math.abs(sum(cotangent)), error: summation(at.length) * sum(cotangent.map(Math.abs)) };
    return curvatureBounds(
      precision,
      row,
      factor,
      at.map((i) => t[i]),
      temperature,
    );
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
    logSumExpCurvature(precision, x, p, at, { size: Math.abs(g[r]), error: 0 }, t, parameters),
  );
}

/** The hvp of cross-entropy: that of log-sum-exp, its factor with the errors of the target's weights, of their sum and of the reduction. */
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
    const upstream = Math.abs(g[g.length === 1 ? 0 : r] / count);
    const weights = q.map(nearest);
    const factor = {
      size: upstream * Math.abs(sum(weights)),
      error: upstream * units * sum(weights.map(Math.abs)),
    };
    return logSumExpCurvature(precision, x, p, at, factor, t, options);
  });
}

/** The hvp of sigmoid, relative: `g t y (1 − y) (1 − 2y)` is four products and two differences, of which 1 − 2y is exact near its zero. */
export function sigmoidHvpTolerance(precision: Precision, g: Values, t: Values, expected: Values): Float64Array {
  return Float64Array.from(expected, (value, i) => {
    const flushed = (1 + Math.abs(g[i])) * (1 + Math.abs(t[i]));
    return precision.stored(6 * precision.unit * Math.abs(value) + precision.floor * flushed, value);
  });
}

/** What the mean divides by, and the units that its own sum and the division cost. */
function meanCount(target: ReferenceTarget, rows: Rows, options: ReferenceCrossEntropyOptions) {
  const { reduction = 'mean', weight } = options;
  if (reduction !== 'mean') return { count: 1, units: 0 };
  const summed = weight && target.kind === 'indices' ? summation(rows.outer * rows.inner) : 0;
  return { count: nearest(rowCount(target, rows, options)), units: summed + 5 };
}

/** What multiplies a row: its size, and its absolute error in units. */
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
  const p = at.map((i) => probabilities[i]);
  const units = at.map((_, c) => (p[c] === 0 ? 0 : errors.terms[c] + errors.sum + 5));
  // What is masked has no part in it, whatever the tangent there.
  const tangent = at.map((i) => (mask && !mask[i] ? 0 : t[i]));
  return curvatureBounds(precision, { p, units, excess: 0 }, factor, tangent, temperature);
}

/** `factor · p ⊙ (t − ⟨p, t⟩) / T²`. */
function curvatureBounds(
  precision: Precision,
  row: Row,
  factor: Factor,
  t: readonly number[],
  temperature: number,
): readonly number[] {
  const { unit, floor } = precision;
  const scale = 1 / temperature ** 2;
  const { sizes, errors } = centred(precision, row, t);
  const after = 2 + 2 * divisionUnits(temperature);
  return sizes.map((size, i) => {
    const relative = factor.size * (row.units[i] + after) + factor.error;
    const rounding = row.p[i] * (factor.size * errors[i] + unit * relative * size);
    return scale * rounding + floor * roundedToZero(temperature, (1 + size) * (1 + factor.size));
  });
}

/** How many times the smallest number is lost where products of a size and their quotients underflow. */
function roundedToZero(temperature: number, size: number): number {
  const scale = 1 / Math.abs(temperature);
  return 1 + scale + scale ** 2 * size;
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
