import { add, exactly, exp, expm1, nearest } from '../reference/doubledouble.js';
import { type ReferenceParameters, rowIndices, softmax, type Values } from '../reference/functions.js';
import { elements, type MatrixPart } from '../reference/row-entries.js';
import type { Rows } from '../src/index.js';
import type { Precision } from './precision.js';
import {
  divisionUnits,
  entryBounds,
  expUnits,
  logProbabilityUnits,
  rowBounds,
  rowErrors,
  summation,
  sumOf,
} from './rounding.js';

export { operationPrecision, type Precision, precisionOf } from './precision.js';
export { type RowErrors, rowErrors, summation } from './rounding.js';
export { type StatedBound, statedBounds } from './stated-bounds.js';

/** softmax: relative to the probability, the errors of its own exp, of the sum and of the division; exp and division may each underflow. */
export function softmaxTolerance(
  precision: Precision,
  x: Values,
  expected: Values,
  rows: Rows,
  parameters: ReferenceParameters = {},
): Float64Array {
  return rowBounds(precision, expected, rows, (at) => {
    const row = rowErrors(precision, x, at, parameters);
    return at.map((i) => {
      const probability = expected[i] ?? Number.NaN;
      return precision.unit * (row.term(i) + row.sum + 5) * probability + 2 * precision.floor;
    });
  });
}

/**
 * The Jacobian of given probabilities, divided by the temperature. Off the diagonal: one product. On the diagonal: s times the sum of the others, with
 * an error relative to that sum, however small it is compared with 1. Up to s = ½ `s (1 − s)` is allowed as well; it differs by s times (Σ s − 1), which is
 * known because s is given. Above ½ that difference would be as large as the result.
 */
export function softmaxJacobianTolerance(
  { unit, floor, stored }: Precision,
  s: Values,
  expected: Values,
  rows: Rows,
  { temperature = 1 }: ReferenceParameters = {},
  part: MatrixPart = 'all',
): Float64Array {
  const scale = 1 / Math.abs(temperature);
  const divided = divisionUnits(temperature);
  return entryBounds(expected, rows, part, (i, j, value, at) => {
    if (i !== j) return stored(unit * (1 + divided) * Math.abs(value) + floor * (1 + scale), value);
    const p = s[i] ?? Number.NaN;
    const excess = p > 0.5 ? 0 : Math.abs(sumOf(at, (k) => s[k] ?? Number.NaN) - 1);
    const operations = summation(at.length) + 3 + divided;
    return stored(unit * operations * Math.abs(value) + scale * p * excess + floor * (1 + scale), value);
  });
}

/**
 * vjp of given probabilities, relative to the terms that it consists of: s_i (|g_i| + Σ|s g|). A term of the sum is a difference and a product; the
 * steps after the sum are two differences, a product and the division.
 *
 * Besides `s ⊙ (g − ⟨s, g⟩)` the bound allows formulas that sum s_j (g_i − g_j), or that first subtract g_k from the cotangent, where k is the
 * largest probability. They differ by |g_i| or |g_k| times (Σ s − 1), which is known because s is given. A g_k above 2 Σ|s g| may not be
 * subtracted, because it takes the digits of all entries that are small beside it.
 *
 * Where s_k is above ½, the terms are those that remain after g_k is subtracted: `g_k − ⟨s, g⟩` would cancel, and its error, |g_k| times
 * (Σ s − 1), is compared with a result of about the size of 1 − s_k.
 */
export function softmaxVjpTolerance(
  precision: Precision,
  s: Values,
  g: Values,
  expected: Values,
  rows: Rows,
  { temperature = 1 }: ReferenceParameters = {},
): Float64Array {
  const { unit, floor } = precision;
  const scale = 1 / Math.abs(temperature);
  return rowBounds(precision, expected, rows, (at) => {
    const row = at.map((i) => ({ p: s[i] ?? Number.NaN, cotangent: g[i] ?? Number.NaN }));
    const excess = Math.abs(row.reduce((sum, { p }) => sum + p, -1));
    const top = row.reduce((most, entry) => (entry.p > most.p ? entry : most), { p: -1, cotangent: 0 });
    const origin = top.p > 0.5 ? top.cotangent : 0;
    const terms = row.map(({ p, cotangent }) => Math.abs(p * (cotangent - origin)));
    const mean = sumOf(terms);
    const ofLargest = Math.abs(top.cotangent - origin);
    const shift = ofLargest <= 2 * mean ? ofLargest : 0;
    const inner = shift + mean;
    // Adding 0 is exact.
    const added = summation(shift > 0 ? at.length : terms.filter((term) => term !== 0).length);
    const flushed = sumOf(row, ({ cotangent }) => 1 + Math.abs(cotangent));
    const after = 3 + divisionUnits(temperature);
    return row.map(({ p, cotangent }) => {
      const size = Math.abs(cotangent - origin);
      const rounding = unit * ((added + 2 + after) * inner + after * size) + excess * (size + shift);
      return scale * p * rounding + floor * (1 + scale * (1 + size + inner + p * flushed));
    });
  });
}

/** log-softmax, absolute: rounding of x/T − max, and the error of the logarithm of the sum. */
export function logSoftmaxTolerance(
  precision: Precision,
  x: Values,
  expected: Values,
  rows: Rows,
  parameters: ReferenceParameters = {},
): Float64Array {
  return rowBounds(precision, expected, rows, (at) => {
    const row = rowErrors(precision, x, at, parameters);
    return at.map((i) => {
      const units = logProbabilityUnits(row, i, expected[i] ?? Number.NaN);
      return precision.unit * units + precision.floor;
    });
  });
}

/** log-sum-exp, absolute: the error of the logarithm of the sum, the division of the maximum and its addition. */
export function logSumExpTolerance(
  precision: Precision,
  x: Values,
  expected: Values,
  rows: Rows,
  parameters: ReferenceParameters = {},
): Float64Array {
  return Float64Array.from(rowIndices(rows), (at, r) => {
    const value = expected[r] ?? Number.NaN;
    const row = rowErrors(precision, x, at, parameters);
    const divided = divisionUnits(parameters.temperature);
    const units = row.logarithm + divided * Math.abs(row.max) + Math.abs(value);
    return precision.stored(precision.unit * units + precision.floor, value);
  });
}

/** vjp of log-sum-exp: the probability's bound times the cotangent (null: 1), a product and a division. */
export function logSumExpVjpTolerance(
  precision: Precision,
  x: Values,
  g: Values | null,
  expected: Values,
  rows: Rows,
  parameters: ReferenceParameters = {},
): Float64Array {
  const scale = 1 / Math.abs(parameters.temperature ?? 1);
  return rowBounds(precision, expected, rows, (at, r) => {
    const row = rowErrors(precision, x, at, parameters);
    const factor = scale * Math.abs(g ? (g[r] ?? Number.NaN) : 1);
    return at.map((i) => {
      const units = row.term(i) + row.sum + 5 + (g ? 1 : 0) + divisionUnits(parameters.temperature);
      return precision.unit * units * Math.abs(expected[i] ?? Number.NaN) + precision.floor * (1 + factor);
    });
  });
}

/** jvp of log-sum-exp: the probabilities' bounds, weighted by the tangent, and the sum of the products. */
export function logSumExpJvpTolerance(
  precision: Precision,
  x: Values,
  t: Values,
  expected: Values,
  rows: Rows,
  parameters: ReferenceParameters = {},
): Float64Array {
  const scale = 1 / Math.abs(parameters.temperature ?? 1);
  const p = softmax(x, rows, parameters);
  return Float64Array.from(rowIndices(rows), (at, r) => {
    const value = expected[r] ?? Number.NaN;
    const row = rowErrors(precision, x, at, parameters);
    const after = 1 + summation(at.length) + divisionUnits(parameters.temperature);
    const tangent = (i: number) => Math.abs(t[i] ?? Number.NaN);
    const rounding = sumOf(at, (i) => (row.term(i) + row.sum + 5 + after) * (p[i] ?? Number.NaN) * tangent(i));
    const flushed = sumOf(at, (i) => 1 + tangent(i));
    return precision.stored(scale * precision.unit * rounding + precision.floor * (1 + scale * flushed), value);
  });
}

/**
 * vjp of log-softmax, `(g_i − p_i Σ g) / T` with p = exp(y), relative to |g_i| and to p_i Σ|g|: an exp, a sum and their product; a difference
 * and the division of both.
 *
 * Where p_i is above ½ this would cancel, so the terms are those of `g_i (1 − p_i) − p_i Σ_{j≠i} g_j`: 1 − p_i with the bound of `complementOf`,
 * times g_i, a product; an exp, a sum and their product.
 */
export function logSoftmaxVjpTolerance(
  precision: Precision,
  y: Values,
  g: Values,
  expected: Values,
  rows: Rows,
  { temperature = 1 }: ReferenceParameters = {},
): Float64Array {
  const { unit, floor } = precision;
  const scale = 1 / Math.abs(temperature);
  const after = 1 + divisionUnits(temperature);
  return rowBounds(precision, expected, rows, (at) => {
    const row = at.map((i) => ({ log: y[i] ?? Number.NaN, size: Math.abs(g[i] ?? Number.NaN) }));
    const total = sumOf(row, ({ size }) => size);
    const underflow = floor * (1 + scale * (1 + total));
    return row.map(({ log, size }, c) => {
      const units = expUnits(precision, log) + summation(at.length) + 1 + after;
      const p = probabilityOf(log);
      if (p <= 0.5) return scale * unit * (after * size + (p === 0 ? 0 : p * units * total)) + underflow;
      const left = complementOf(precision, log);
      const own = size * (unit * (1 + after) * left.value + left.error);
      // Not the total less this one, which may be so large that nothing is left of the others.
      const others = sumOf(row.toSpliced(c, 1), ({ size }) => size);
      return scale * (own + unit * units * p * others) + underflow;
    });
  });
}

/**
 * jvp of log-softmax, relative to |t_i| and to Σ exp(y) |t|, the sum of exps times tangents; a difference and the division of both.
 *
 * Where the probability of an entry is above ½, the terms are those that remain after its tangent is subtracted from all of them, which is one more
 * difference. The result is the same if Σ exp(y) is 1; how far rounding moved that sum from 1 is known because y is given.
 */
export function logSoftmaxJvpTolerance(
  precision: Precision,
  y: Values,
  t: Values,
  expected: Values,
  rows: Rows,
  { temperature = 1 }: ReferenceParameters = {},
): Float64Array {
  const { unit, floor } = precision;
  const scale = 1 / Math.abs(temperature);
  const after = 1 + divisionUnits(temperature);
  return rowBounds(precision, expected, rows, (at) => {
    const top = at.find((i) => probabilityOf(y[i] ?? Number.NaN) > 0.5);
    const origin = top === undefined ? 0 : (t[top] ?? Number.NaN);
    // Where tangents are equal it is all of the expected value, which is rounded.
    const excess = top === undefined ? 0 : Math.abs(origin) * excessOf(y, at, top) * (1 + 4 * unit);
    const moved = top === undefined ? 0 : 1;
    const row = at.map((i) => ({ log: y[i] ?? Number.NaN, size: Math.abs((t[i] ?? Number.NaN) - origin) }));
    const mean = sumOf(row, ({ log, size }) => {
      const units = expUnits(precision, log) + moved + 1 + summation(at.length) + after;
      return log === Number.NEGATIVE_INFINITY ? 0 : probabilityOf(log) * size * units;
    });
    const flushed = sumOf(row, ({ size }) => 1 + size);
    return row.map(({ size }) => {
      const rounding = unit * ((after + moved) * size + mean) + excess;
      return scale * rounding + floor * (1 + scale * (1 + flushed));
    });
  });
}

/**
 * The Jacobian of log-softmax: one exp, one subtraction, one division for each entry. On the diagonal an exp above ½ would cancel, so there the
 * bound is that of 1 − exp(y_c) by `complementOf`.
 */
export function logSoftmaxJacobianTolerance(
  precision: Precision,
  y: Values,
  expected: Values,
  rows: Rows,
  { temperature = 1 }: ReferenceParameters = {},
  part: MatrixPart = 'all',
): Float64Array {
  const { unit, floor, stored } = precision;
  const scale = 1 / Math.abs(temperature);
  const operations = 1 + divisionUnits(temperature);
  const exponentials = Float64Array.from(y, (log) => {
    const p = probabilityOf(log);
    return p === 0 ? 0 : unit * p * expUnits(precision, log);
  });
  return entryBounds(expected, rows, part, (i, j, value) => {
    const isCancelling = i === j && probabilityOf(y[j] ?? Number.NaN) > 0.5;
    const error = isCancelling ? complementOf(precision, y[j] ?? Number.NaN).error : (exponentials[j] ?? Number.NaN);
    return stored(scale * error + unit * operations * Math.abs(value) + floor * (1 + scale), value);
  });
}

/** exp of a log-probability. */
function probabilityOf(y: number): number {
  return y === Number.NEGATIVE_INFINITY ? 0 : Math.exp(y);
}

/**
 * `1 − exp(y)` for an exp above ½, and its absolute error. It follows from y as accurately as that is known, −expm1(y): 5 u for a division and 3 u for the
 * terms of a series. The sum of the other exps has the errors of their logarithms, which are far from 0, and is not allowed.
 */
function complementOf({ unit, floor }: Precision, y: number) {
  const value = Math.abs(Math.expm1(y));
  return { value, error: 8 * unit * value + floor };
}

/** How far Σ exp(y) of a row of log-probabilities is from 1, which is as far as y is accurate; its exp at `top` is above ½. */
function excessOf(y: Values, at: readonly number[], top: number): number {
  const others = at.flatMap((i) => (i === top || y[i] === Number.NEGATIVE_INFINITY ? [] : [y[i] ?? Number.NaN]));
  return Math.abs(nearest(others.reduce((rest, log) => add(rest, exp(exactly(log))), expm1(exactly(y[top])))));
}

/** sigmoid, relative: an exp, whose error is multiplied by 1 − y; an addition and a division. */
export function sigmoidTolerance(precision: Precision, x: Values, expected: Values): Float64Array {
  return elements(expected.length, (i) => {
    const value = expected[i] ?? Number.NaN;
    const units = (1 - value) * expUnits(precision, x[i] ?? Number.NaN) + 6;
    return precision.stored(precision.unit * units * value + precision.floor, value);
  });
}

/** vjp of sigmoid from its output: `g y (1 − y)` or `g (y − y²)`. */
export function sigmoidVjpTolerance(precision: Precision, y: Values, g: Values, expected: Values): Float64Array {
  return elements(expected.length, (i) => {
    const value = expected[i] ?? Number.NaN;
    const size = Math.abs(g[i] ?? Number.NaN);
    const units = 4 * Math.abs(value) + 2 * (y[i] ?? Number.NaN) ** 2 * size;
    return precision.stored(precision.unit * units + precision.floor * (1 + size), value);
  });
}
