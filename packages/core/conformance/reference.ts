import type { Rows } from '../src/index.js';
import { add, type DoubleDouble, div, exactly, exp, log, log1p, mul, nearest, one, sub, zero } from './doubledouble.js';

/**
 * The reference: every function of core and its derivatives, computed in double-double and rounded once to float64.
 * Slow, without any trick, and itself checked against arithmetic of 50 digits and published values.
 *
 * Operands are flat, row-major and laid out as `Rows` says; values are whatever the tested backend was given, already
 * rounded to its dtype, so that a difference is the backend's own error.
 */

/** Temperature and mask; the mask has one entry (0 or 1, or a boolean) for each logit. */
export interface ReferenceParameters {
  readonly temperature?: number;
  readonly mask?: ArrayLike<number | boolean> | null;
}

export type Values = ArrayLike<number>;

/** `exp(x/T) / Σ exp(x/T)`. A row with NaN, with +Infinity or of nothing but −Infinity is NaN; one whose entries are all masked is 0. */
export function softmax(x: Values, rows: Rows, parameters: ReferenceParameters = {}): Float64Array {
  return rowwise(x, rows, (at) => probabilities(x, at, parameters).map(nearest));
}

/** `(diag(s) − s sᵀ) / T`, one classes × classes matrix a row, rows in (outer, inner) order. */
export function softmaxJacobian(s: Values, rows: Rows, temperature = 1): Float64Array {
  return matrices(rows, (at, r, c) => {
    const delta = r === c ? one : zero;
    return nearest(div(mul(exactly(s[at[r]]), sub(delta, exactly(s[at[c]]))), exactly(temperature)));
  });
}

/**
 * `s_i Σ_j s_j (g_i − g_j) / T`, which is `s ⊙ (g − ⟨s, g⟩) / T` where Σ s = 1; rounded probabilities miss that by an ULP, and in this
 * form nothing is left of it where a row is nearly one-hot. Also the jvp, since the Jacobian is symmetric.
 */
export function softmaxVjp(s: Values, g: Values, rows: Rows, temperature = 1): Float64Array {
  return rowwise(s, rows, (at) => {
    const sum = total(at.map((i) => exactly(s[i])));
    const inner = total(at.map((i) => mul(exactly(s[i]), exactly(g[i]))));
    return at.map((i) => {
      const difference = sub(mul(exactly(g[i]), sum), inner);
      return nearest(div(mul(exactly(s[i]), difference), exactly(temperature)));
    });
  });
}

/** `x/T − log Σ exp(x/T)`. */
export function logSoftmax(x: Values, rows: Rows, parameters: ReferenceParameters = {}): Float64Array {
  return rowwise(x, rows, (at) => logProbabilities(x, at, parameters).map(nearest));
}

/** `(g − exp(y) Σ g) / T`, where what is masked has g = 0. */
export function logSoftmaxVjp(y: Values, g: Values, rows: Rows, parameters: ReferenceParameters = {}): Float64Array {
  const { temperature = 1, mask } = parameters;
  return rowwise(y, rows, (at) => {
    const cotangent = at.map((i) => exactly(mask && !mask[i] ? 0 : g[i]));
    const sum = total(cotangent);
    return at.map((i, c) => nearest(div(sub(cotangent[c], mul(exp(exactly(y[i])), sum)), exactly(temperature))));
  });
}

/** `(t − ⟨exp(y), t⟩) / T`; what is masked adds nothing and stays put. */
export function logSoftmaxJvp(y: Values, t: Values, rows: Rows, parameters: ReferenceParameters = {}): Float64Array {
  const { temperature = 1, mask } = parameters;
  return rowwise(y, rows, (at) => {
    const kept = at.filter((i) => !mask || mask[i]);
    const mean = total(kept.map((i) => mul(exp(exactly(y[i])), exactly(t[i]))));
    return at.map((i) => {
      if (mask && !mask[i]) return 0;
      return nearest(div(sub(exactly(t[i]), mean), exactly(temperature)));
    });
  });
}

/** `(δ_rc − exp(y_c)) / T`; matrix rows of what is masked are 0. */
export function logSoftmaxJacobian(y: Values, rows: Rows, parameters: ReferenceParameters = {}): Float64Array {
  const { temperature = 1, mask } = parameters;
  return matrices(rows, (at, r, c) => {
    if (mask && !mask[at[r]]) return 0;
    const delta = r === c ? one : zero;
    return nearest(div(sub(delta, exp(exactly(y[at[c]]))), exactly(temperature)));
  });
}

/** `log Σ exp(x/T)`, one value a row: −Infinity where nothing is left of it, +Infinity where a logit is. */
export function logSumExp(x: Values, rows: Rows, parameters: ReferenceParameters = {}): Float64Array {
  return Float64Array.from(rowIndices(rows), (at) => {
    const row = scaledRow(x, at, parameters);
    if (!row) return Number.NEGATIVE_INFINITY;
    if (!Number.isFinite(row.max.hi)) return row.hasNaN ? Number.NaN : row.max.hi;
    return nearest(add(row.max, logOfSum(row)));
  });
}

/** `softmax(x/T) g / T`, the cotangent g with one entry a row; null stands for ones: the gradient. */
export function logSumExpVjp(
  x: Values,
  g: Values | null,
  rows: Rows,
  parameters: ReferenceParameters = {},
): Float64Array {
  const { temperature = 1 } = parameters;
  return rowwise(x, rows, (at, r) =>
    probabilities(x, at, parameters).map((p) => nearest(div(mul(p, exactly(g ? g[r] : 1)), exactly(temperature)))),
  );
}

/** `⟨softmax(x/T), t⟩ / T`, one value a row. */
export function logSumExpJvp(x: Values, t: Values, rows: Rows, parameters: ReferenceParameters = {}): Float64Array {
  const { temperature = 1 } = parameters;
  return Float64Array.from(rowIndices(rows), (at) => {
    const mean = total(probabilities(x, at, parameters).map((p, c) => mul(p, exactly(t[at[c]]))));
    return nearest(div(mean, exactly(temperature)));
  });
}

/** `1 / (1 + exp(−x))`. */
export function sigmoid(x: Values): Float64Array {
  return Float64Array.from(x, (value) => {
    const e = exp(exactly(-Math.abs(value)));
    return nearest(div(value >= 0 ? one : e, add(one, e)));
  });
}

/** `g y (1 − y)`. */
export function sigmoidVjp(y: Values, g: Values): Float64Array {
  return Float64Array.from(y, (value, i) => nearest(mul(exactly(g[i]), mul(exactly(value), sub(one, exactly(value))))));
}

/** `max(x, 0)`; NaN stays NaN. */
export function relu(x: Values): Float64Array {
  return Float64Array.from(x, (value) => Math.max(value, 0));
}

/** `y > 0 ? g : 0`. */
export function reluVjp(y: Values, g: Values): Float64Array {
  return Float64Array.from(y, (value, i) => (value > 0 ? g[i] : 0));
}

/** p of the entries of one row, in double-double: 0 throughout where the mask keeps nothing. */
function probabilities(x: Values, at: readonly number[], parameters: ReferenceParameters): DoubleDouble[] {
  const row = scaledRow(x, at, parameters);
  if (!row) return at.map(() => zero);
  const exponentials = row.shifted.map(exp);
  const sum = total(exponentials);
  return exponentials.map((e, c) => (isMasked(parameters, at[c]) ? zero : div(e, sum)));
}

/** log p of the entries of one row, in double-double: −Infinity where masked. */
export function logProbabilities(x: Values, at: readonly number[], parameters: ReferenceParameters): DoubleDouble[] {
  const row = scaledRow(x, at, parameters);
  if (!row) return at.map(() => exactly(Number.NEGATIVE_INFINITY));
  const logarithm = logOfSum(row);
  return row.shifted.map((shifted, c) => (isMasked(parameters, at[c]) ? shifted : sub(shifted, logarithm)));
}

/** Positions of each row's elements, rows in (outer, inner) order. */
export function rowIndices({ outer, classes, inner }: Rows): number[][] {
  return Array.from({ length: outer * inner }, (_, row) => {
    const start = Math.floor(row / inner) * classes * inner + (row % inner);
    return Array.from({ length: classes }, (_, c) => start + c * inner);
  });
}

/** The sum in double-double. */
export function total(terms: readonly DoubleDouble[]): DoubleDouble {
  return terms.reduce(add, zero);
}

/** What is masked does not exist, even in a row that is NaN. */
function isMasked({ mask }: ReferenceParameters, i: number): boolean {
  return mask ? !mask[i] : false;
}

interface ScaledRow {
  readonly max: DoubleDouble;
  readonly hasNaN: boolean;
  /** x/T − max, −Infinity where masked. */
  readonly shifted: readonly DoubleDouble[];
}

/** The row divided by its temperature and shifted by its maximum over the kept entries, or null where the mask keeps none. */
function scaledRow(x: Values, at: readonly number[], { temperature = 1, mask }: ReferenceParameters): ScaledRow | null {
  const kept = at.filter((i) => !mask || mask[i]);
  if (kept.length === 0) return null;
  const hasNaN = kept.some((i) => Number.isNaN(x[i]));
  const largest = kept.map((i) => x[i]).reduce((a, b) => (b / temperature > a / temperature ? b : a));
  const undefinedRow = hasNaN || !Number.isFinite(largest);
  const shifted = at.map((i) => {
    if (mask && !mask[i]) return exactly(Number.NEGATIVE_INFINITY);
    if (undefinedRow) return exactly(Number.NaN);
    if (!Number.isFinite(x[i])) return exactly(x[i] / temperature);
    return div(sub(exactly(x[i]), exactly(largest)), exactly(temperature));
  });
  return { max: div(exactly(largest), exactly(temperature)), hasNaN, shifted };
}

/** log Σ exp(shifted): the term of the maximum is 1, so the others go through log1p and a tiny sum is not lost. */
function logOfSum({ shifted }: ScaledRow): DoubleDouble {
  const top = shifted.findIndex(({ hi }) => hi === 0);
  if (top < 0) return log(total(shifted.map(exp)));
  return log1p(total(shifted.filter((_, i) => i !== top).map(exp)));
}

function rowwise(
  x: Values,
  rows: Rows,
  results: (at: readonly number[], row: number) => readonly number[],
): Float64Array {
  const out = new Float64Array(x.length);
  rowIndices(rows).forEach((at, row) => {
    const values = results(at, row);
    at.forEach((i, c) => {
      out[i] = values[c];
    });
  });
  return out;
}

function matrices(rows: Rows, entry: (at: readonly number[], r: number, c: number) => number): Float64Array {
  const { classes } = rows;
  const out = new Float64Array(rows.outer * rows.inner * classes * classes);
  rowIndices(rows).forEach((at, row) => {
    for (let r = 0; r < classes; r++) {
      for (let c = 0; c < classes; c++) out[(row * classes + r) * classes + c] = entry(at, r, c);
    }
  });
  return out;
}
