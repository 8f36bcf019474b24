import { add, exactly, exp, expm1, nearest } from '../reference/doubledouble.js';
import { type ReferenceParameters, rowIndices, softmax, type Values } from '../reference/functions.js';
import type { FloatDType, Rows, Supports } from '../src/index.js';

/**
 * How far a right result may be from the reference, element by element: derived from the rounding of each step, by dtype
 * and operation, with nothing chosen for a backend. What a backend contributes is what it announces: the error of its
 * exp and whether it keeps subnormals.
 *
 * Every bound is a first-order sum of errors in units of u, half an ULP of 1:
 * - an addition or multiplication is within 1 u of its result, a division within 5 u (WGSL grants 2.5 ULP); the division by a
 *   temperature of 1 is none;
 * - exp(x) is within `base + slope·|x|` ULP, 2 u each, and the rounding of its argument, |x| u, is a relative error of the
 *   result: `e(g) = g + 2 (base + slope·g)` for a term that lies a gap g below the row's maximum. The exp of an operand, which
 *   nothing has rounded, is within `2 (base + slope·|x|)`;
 * - log is granted `base` ULP, and near 1, where its result is 0, the absolute error that this is at 4/3 (with WGSL's exp of
 *   base 3 that is 2⁻²¹, what WGSL says of log); log(1 + r) for r ≤ ½ is granted `base` + 4 ULP of its result, however small that is: a
 *   division, an addition and the terms of a series;
 * - a sum of n terms is within n − 1 u of the sum of their sizes, and of long sums 4√n u are granted: rounding errors of a running sum
 *   grow like √n (Higham, "Accuracy and Stability of Numerical Algorithms", section 4.6); the 4 makes a bound of it, the worst
 *   case would hide mistakes. (It exists: terms just below half an ULP of the largest are all lost. So nearly one-hot inputs
 *   are short rows.)
 */
export interface Precision {
  /** Half an ULP of 1: 2⁻²⁴ for float32, 2⁻⁵³ for float64. */
  readonly unit: number;
  /** Absolute error of a result that underflows: 2⁻¹⁴⁹ (2⁻¹²⁶ where subnormals are flushed), for float64 2⁻¹⁰⁷⁴. */
  readonly floor: number;
  /** Relative error of exp(−gap), in units. */
  exp(gap: number): number;
  /** Absolute error of a logarithm that comes out at `value`, in units. */
  log(value: number): number;
  /** Absolute error of log(1 + r) for r ≤ ½ that comes out at `value`, in units. */
  log1p(value: number): number;
  /**
   * `tolerance` and what rounding costs that is not the operation's own: of float16 the result, which is computed in float32 and stored;
   * of float64 the expected value, since it is a float64 as well.
   */
  stored(tolerance: number, expected: number): number;
}

/** The precision of a dtype on a backend. float16 is computed in float32 and rounded once: by 2⁻¹¹ of the result, or 2⁻²⁵. */
export function precisionOf(supports: Pick<Supports, 'expUlp' | 'subnormals'>, dtype: FloatDType): Precision {
  const { base, slope } = supports.expUlp;
  const float32Floor = supports.subnormals === 'flush' ? 2 ** -126 : 2 ** -149;
  return {
    unit: dtype === 'float64' ? 2 ** -53 : 2 ** -24,
    floor: dtype === 'float64' ? 2 ** -1074 : float32Floor,
    exp: (gap) => gap + 2 * (base + slope * gap),
    log: (value) => 2 * base * Math.max(Math.abs(value), 4 / 3),
    log1p: (value) => (2 * base + 8) * value,
    stored: (tolerance, expected) => {
      if (dtype === 'float16') return tolerance + 2 ** -11 * Math.abs(expected) + 2 ** -25;
      return dtype === 'float64' ? tolerance + 2 ** -53 * Math.abs(expected) : tolerance;
    },
  };
}

/**
 * The precision of whole operations. It is that of a kernel but for float16, where what is composed stores each of its
 * intermediate results: every step then rounds by 2⁻¹¹, or 2⁻²⁵.
 */
export function operationPrecision(supports: Pick<Supports, 'expUlp' | 'subnormals'>, dtype: FloatDType): Precision {
  const precision = precisionOf(supports, dtype);
  if (dtype !== 'float16') return precision;
  return { ...precision, unit: 2 ** -11, floor: 2 ** -24, stored: (tolerance) => tolerance };
}

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
 * The Jacobian of given probabilities, divided by the temperature: one product off the diagonal; on it s times the sum of the others, relative
 * to that sum, however small it is beside 1. Up to s = ½ also `s (1 − s)`, which differs from it by s times Σ s − 1, known since s is
 * given; beyond ½ that difference would be as large as the result.
 */
export function softmaxJacobianTolerance(
  { unit, floor, stored }: Precision,
  s: Values,
  expected: Values,
  rows: Rows,
  temperature = 1,
): Float64Array {
  const scale = 1 / Math.abs(temperature);
  const divided = divisionUnits(temperature);
  return entryBounds(expected, rows, (i, j, value, at) => {
    if (i !== j) return stored(unit * (1 + divided) * Math.abs(value) + floor * (1 + scale), value);
    const p = s[i] ?? Number.NaN;
    const excess = p > 0.5 ? 0 : Math.abs(sumOf(at, (k) => s[k] ?? Number.NaN) - 1);
    const operations = summation(at.length) + 3 + divided;
    return stored(unit * operations * Math.abs(value) + scale * p * excess + floor * (1 + scale), value);
  });
}

/**
 * vjp of given probabilities, relative to the terms that it is made of: s_i (|g_i| + Σ|s g|). Besides `s ⊙ (g − ⟨s, g⟩)` the
 * bound admits the forms that first take g_k, k the largest probability, off the cotangent, or that sum s_j (g_i − g_j):
 * they differ by |g_i| or |g_k| times Σ s − 1, which is known since s is given. A term of the sum is a difference and a product; what is
 * done with the sum takes two differences, a product and the division.
 *
 * Where s_k is above ½ the terms are those that remain once g_k is taken off: `g_k − ⟨s, g⟩` would cancel, and has an error of |g_k| times
 * Σ s − 1 beside a result of the size of 1 − s_k.
 */
export function softmaxVjpTolerance(
  precision: Precision,
  s: Values,
  g: Values,
  expected: Values,
  rows: Rows,
  temperature = 1,
): Float64Array {
  const { unit, floor } = precision;
  const scale = 1 / Math.abs(temperature);
  return rowBounds(precision, expected, rows, (at) => {
    const row = at.map((i) => ({ p: s[i] ?? Number.NaN, cotangent: g[i] ?? Number.NaN }));
    const excess = Math.abs(row.reduce((sum, { p }) => sum + p, -1));
    const top = row.reduce((most, entry) => (entry.p > most.p ? entry : most), { p: -1, cotangent: 0 });
    const origin = top.p > 0.5 ? top.cotangent : 0;
    const shift = Math.abs(top.cotangent - origin);
    const inner = shift + sumOf(row, ({ p, cotangent }) => Math.abs(p * (cotangent - origin)));
    const flushed = sumOf(row, ({ cotangent }) => 1 + Math.abs(cotangent));
    const after = 3 + divisionUnits(temperature);
    return row.map(({ p, cotangent }) => {
      const size = Math.abs(cotangent - origin);
      const rounding = unit * ((summation(at.length) + 2 + after) * inner + after * size) + excess * (size + shift);
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
 * Where p_i is above ½ that would cancel, and the terms are those of `g_i (1 − p_i) − p_i Σ_{j≠i} g_j`: 1 − p_i as `complementOf` has
 * it times g_i, a product; an exp, a sum and their product.
 */
export function logSoftmaxVjpTolerance(
  precision: Precision,
  y: Values,
  g: Values,
  expected: Values,
  rows: Rows,
  temperature = 1,
): Float64Array {
  const { unit, floor } = precision;
  const scale = 1 / Math.abs(temperature);
  const after = 1 + divisionUnits(temperature);
  return rowBounds(precision, expected, rows, (at) => {
    const row = at.map((i) => ({ i, log: y[i] ?? Number.NaN, size: Math.abs(g[i] ?? Number.NaN) }));
    const total = sumOf(row, ({ size }) => size);
    const underflow = floor * (1 + scale * (1 + total));
    return row.map(({ i, log, size }) => {
      const units = expUnits(precision, log) + summation(at.length) + 1 + after;
      const p = probabilityOf(log);
      if (p <= 0.5) return scale * unit * (after * size + (p === 0 ? 0 : p * units * total)) + underflow;
      const left = complementOf(precision, y, at, i);
      const own = size * (unit * (1 + after) * left.value + left.error);
      return scale * (own + unit * units * p * (total - size)) + underflow;
    });
  });
}

/**
 * jvp of log-softmax, relative to |t_i| and to Σ exp(y) |t|, the sum of exps times tangents; a difference and the division of both.
 *
 * Where an entry's probability is above ½ the terms are those that remain once its tangent is taken off all of them, a difference more.
 * That changes nothing where Σ exp(y) is 1; what rounding left of it is known since y is given.
 */
export function logSoftmaxJvpTolerance(
  precision: Precision,
  y: Values,
  t: Values,
  expected: Values,
  rows: Rows,
  temperature = 1,
): Float64Array {
  const { unit, floor } = precision;
  const scale = 1 / Math.abs(temperature);
  const after = 1 + divisionUnits(temperature);
  return rowBounds(precision, expected, rows, (at) => {
    const top = at.find((i) => probabilityOf(y[i] ?? Number.NaN) > 0.5);
    const origin = top === undefined ? 0 : (t[top] ?? Number.NaN);
    const excess = top === undefined ? 0 : Math.abs(origin) * complementOf(precision, y, at, top).excess;
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
 * The Jacobian of log-softmax: one exp, one subtraction, one division an entry. On the diagonal an exp above ½ would cancel: there it is
 * 1 − exp(y_c) as `complementOf` has it.
 */
export function logSoftmaxJacobianTolerance(
  precision: Precision,
  y: Values,
  expected: Values,
  rows: Rows,
  temperature = 1,
): Float64Array {
  const { unit, floor, stored } = precision;
  const scale = 1 / Math.abs(temperature);
  const operations = 1 + divisionUnits(temperature);
  return entryBounds(expected, rows, (i, j, value, at) => {
    const log = y[j] ?? Number.NaN;
    const p = probabilityOf(log);
    const exponential = p === 0 ? 0 : unit * p * expUnits(precision, log);
    const error = i === j && p > 0.5 ? complementOf(precision, y, at, j).error : exponential;
    return stored(scale * error + unit * operations * Math.abs(value) + floor * (1 + scale), value);
  });
}

/** exp of a log-probability. */
function probabilityOf(y: number): number {
  return y === Number.NEGATIVE_INFINITY ? 0 : Math.exp(y);
}

/**
 * `1 − exp(y_top)` of a row of log-probabilities, for an exp above ½, and its absolute error: as the sum of the others' exps, each of which
 * has its error and may underflow, or by a series, which is granted 4 u. The sum differs from it by `excess`: Σ exp(y) is 1 only as far as y
 * is right, which is known since y is given.
 */
function complementOf(precision: Precision, y: Values, at: readonly number[], top: number) {
  const value = -Math.expm1(y[top] ?? Number.NaN);
  const others = at.flatMap((i) => (i === top || y[i] === Number.NEGATIVE_INFINITY ? [] : [y[i] ?? Number.NaN]));
  const missing = others.reduce((rest, log) => add(rest, exp(exactly(log))), expm1(exactly(y[top])));
  const excess = Math.abs(nearest(missing));
  const exps = sumOf(others, (log) => Math.exp(log) * expUnits(precision, log));
  const rounding = precision.unit * (exps + (summation(at.length) + 4) * Math.abs(value));
  return { value: Math.abs(value), excess, error: rounding + excess + precision.floor * others.length };
}

/** sigmoid, relative: an exp, whose error counts as far as 1 − y; an addition and a division. */
export function sigmoidTolerance(precision: Precision, x: Values, expected: Values): Float64Array {
  return Float64Array.from(expected, (value, i) => {
    const units = (1 - value) * expUnits(precision, x[i] ?? Number.NaN) + 6;
    return precision.stored(precision.unit * units * value + precision.floor, value);
  });
}

/** vjp of sigmoid from its output: `g y (1 − y)` or `g (y − y²)`. */
export function sigmoidVjpTolerance(precision: Precision, y: Values, g: Values, expected: Values): Float64Array {
  return Float64Array.from(expected, (value, i) => {
    const size = Math.abs(g[i] ?? Number.NaN);
    const units = 4 * Math.abs(value) + 2 * (y[i] ?? Number.NaN) ** 2 * size;
    return precision.stored(precision.unit * units + precision.floor * (1 + size), value);
  });
}

/** Errors of one row's exps, of their sum and of its logarithm, in units. */
export interface RowErrors {
  /** Relative error of exp(x/T − max) of the entry at position i. */
  term(i: number): number;
  /** Rounding of its x/T − max itself. */
  shift(i: number): number;
  /** Relative error of the sum of the exps: its terms' weighted by their share (at least that of a gap of 1), and the summation. */
  readonly sum: number;
  /** The maximum of x/T. */
  readonly max: number;
  /** Absolute error of log Σ exp(x/T − max). */
  readonly logarithm: number;
}

/** Rounding of one row. Dividing by a temperature rounds x/T and max/T, by 5 u each, before they are subtracted. */
export function rowErrors(
  precision: Precision,
  x: Values,
  at: readonly number[],
  { temperature = 1, mask }: ReferenceParameters,
): RowErrors {
  const scaled = (i: number) => (mask && !mask[i] ? Number.NEGATIVE_INFINITY : (x[i] ?? Number.NaN) / temperature);
  const max = at.reduce((most, i) => Math.max(most, scaled(i)), Number.NEGATIVE_INFINITY);
  const exponentials = at.map((i) => (scaled(i) === max ? 1 : Math.exp(scaled(i) - max)));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  const divided = divisionUnits(temperature);
  const shiftOf = (value: number) =>
    Number.isFinite(value) ? max - value + divided * (Math.abs(value) + Math.abs(max)) : 0;
  const termOf = (value: number) => shiftOf(value) + precision.exp(max - value) - (max - value);
  const errors = at.map((i, c) => (exponentials[c] ? (exponentials[c] ?? 0) * termOf(scaled(i)) : 0));
  const ofSum = Math.max(precision.exp(1), errors.reduce((a, b) => a + b, 0) / sum) + summation(at.length);
  const top = at.findIndex((i) => scaled(i) === max);
  const ofRest = logarithmUnits(precision, exponentials, errors, top);
  return {
    term: (i) => (Number.isFinite(scaled(i)) ? termOf(scaled(i)) : 0),
    shift: (i) => shiftOf(scaled(i)),
    sum: ofSum,
    max: Number.isFinite(max) ? max : 0,
    logarithm: ofRest ?? ofSum + precision.log(Math.log(sum)),
  };
}

/**
 * Absolute error of log(1 + r), in units, where r, the sum of a row's exps without that of its maximum, is at most ½: relative to r the
 * errors of its terms, each a quotient of two exps, which may underflow, and of the summation; and the logarithm's own. Otherwise undefined: there the logarithm
 * is that of the whole sum, whose relative error is the absolute error of the logarithm.
 */
function logarithmUnits(
  precision: Precision,
  exponentials: readonly number[],
  errors: readonly number[],
  top: number,
): number | undefined {
  const withoutTop = (values: readonly number[]) => values.reduce((sum, value, c) => sum + (c === top ? 0 : value), 0);
  const rest = withoutTop(exponentials);
  if (!(rest <= 0.5)) return undefined;
  const underflow = (exponentials.length * precision.floor) / precision.unit;
  const ofRest = withoutTop(errors) + (precision.exp(1) + summation(exponentials.length)) * rest + underflow;
  return ofRest / (1 + rest) + precision.log1p(Math.log1p(rest));
}

/** Absolute error of the log-probability that a row's entry at position i has, in units; 0 where it is −Infinity. */
export function logProbabilityUnits(row: RowErrors, i: number, value: number): number {
  if (!Number.isFinite(value)) return 0;
  return row.shift(i) + row.logarithm + 2 * Math.abs(value);
}

/** The error of a sum of n terms relative to the sum of their sizes, in units: n − 1, and no more than 4√n. */
export function summation(n: number): number {
  return Math.min(n - 1, 4 * Math.sqrt(n));
}

/** What the division by a temperature costs, in units. */
export function divisionUnits(temperature = 1): number {
  return temperature === 1 ? 0 : 5;
}

/** Relative error of the exp of an operand, in units. */
export function expUnits(precision: Precision, x: number): number {
  return precision.exp(Math.abs(x)) - Math.abs(x);
}

/** The bounds of each row's entries, given by position; `stored` is applied here. */
export function rowBounds(
  precision: Precision,
  expected: Values,
  rows: Rows,
  bounds: (at: readonly number[], row: number) => readonly number[],
): Float64Array {
  const out = new Float64Array(expected.length);
  rowIndices(rows).forEach((at, row) => {
    const values = bounds(at, row);
    at.forEach((i, c) => {
      out[i] = precision.stored(values[c] ?? Number.NaN, expected[i] ?? Number.NaN);
    });
  });
  return out;
}

/** The bounds of a Jacobian's entries: in the row of position i and the column of position j, both of `at`. */
function entryBounds(
  expected: Values,
  rows: Rows,
  bound: (i: number, j: number, value: number, at: readonly number[]) => number,
): Float64Array {
  const out = new Float64Array(expected.length);
  let next = 0;
  for (const at of rowIndices(rows)) {
    for (const i of at) {
      for (const j of at) {
        out[next] = bound(i, j, expected[next] ?? Number.NaN, at);
        next++;
      }
    }
  }
  return out;
}

/** Σ term over the entries. */
export function sumOf<T>(entries: readonly T[], term: (entry: T) => number): number {
  return entries.reduce((sum, entry) => sum + term(entry), 0);
}
