import { type ReferenceParameters, rowIndices, type Values } from '../reference/functions.js';
import type { MatrixPart } from '../reference/row-entries.js';
import type { Rows } from '../src/index.js';
import type { Precision } from './precision.js';

/** Errors of one row's exps, of their sum and of its logarithm, in units. */
export interface RowErrors {
  /** Relative error of exp(x/T − max) for the entry at position i. */
  term(i: number): number;
  /** Rounding of its x/T − max, computed as (x − T max)/T. */
  shift(i: number): number;
  /** Relative error of the sum of the exps: the errors of its terms weighted by their share (at least that of a gap of 1), and of the summation. */
  readonly sum: number;
  /** The maximum of x/T. */
  readonly max: number;
  /** Absolute error of log Σ exp(x/T − max). */
  readonly logarithm: number;
}

/** The rounding errors of one row. Subtracting the maximum rounds the difference, by 1 u, and dividing it by a temperature by 5 u more. */
export function rowErrors(
  precision: Precision,
  x: Values,
  at: readonly number[],
  { temperature = 1, mask }: ReferenceParameters,
): RowErrors {
  const scaled = (i: number) => (mask && !mask[i] ? Number.NEGATIVE_INFINITY : (x[i] ?? Number.NaN) / temperature);
  const values = new Float64Array(at.length);
  let max = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < at.length; c++) {
    const value = scaled(at[c] ?? Number.NaN);
    values[c] = value;
    max = Math.max(max, value);
  }
  const divided = divisionUnits(temperature);
  const shiftOf = (value: number) => (Number.isFinite(value) ? (1 + divided) * (max - value) : 0);
  const termOf = (value: number) => shiftOf(value) + precision.exp(max - value) - (max - value);
  const exponentials = values.map((value) => (value === max ? 1 : Math.exp(value - max)));
  const sum = sumOf(exponentials);
  const errors = exponentials.map((exponential, c) =>
    exponential ? exponential * termOf(values[c] ?? Number.NaN) : 0,
  );
  const ofSum = Math.max(precision.exp(1), sumOf(errors) / sum) + summation(at.length);
  const top = values.indexOf(max);
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
 * Absolute error of log(1 + r), in units, where r, the sum of a row's exps without that of its maximum, is at most ½. Relative to r, it has the
 * errors of r's terms, each a quotient of two exps, which may underflow, the error of the summation, and that of the logarithm itself. Undefined
 * for larger r, where the logarithm is that of the whole sum: the relative error of the sum is the absolute error of its logarithm.
 */
function logarithmUnits(
  precision: Precision,
  exponentials: Float64Array,
  errors: Float64Array,
  top: number,
): number | undefined {
  const withoutTop = (values: Float64Array) => {
    let sum = 0;
    for (let c = 0; c < values.length; c++) if (c !== top) sum += values[c] ?? Number.NaN;
    return sum;
  };
  const rest = withoutTop(exponentials);
  if (!(rest <= 0.5)) return undefined;
  const underflow = (exponentials.length * precision.floor) / precision.unit;
  const ofRest = withoutTop(errors) + (precision.exp(1) + summation(exponentials.length)) * rest + underflow;
  return ofRest / (1 + rest) + precision.log1p(Math.log1p(rest));
}

/** Absolute error of the log-probability of a row's entry at position i, in units; 0 where it is −Infinity. */
export function logProbabilityUnits(row: RowErrors, i: number, value: number): number {
  if (!Number.isFinite(value)) return 0;
  return row.shift(i) + row.logarithm + 2 * Math.abs(value);
}

/** The error of a sum of n terms relative to the sum of their absolute values, in units: n − 1, but at most 4√n. */
export function summation(n: number): number {
  return Math.min(n - 1, 4 * Math.sqrt(n));
}

/** The error of a division by the temperature, in units. */
export function divisionUnits(temperature = 1): number {
  return temperature === 1 ? 0 : 5;
}

/** Relative error of the exp of an operand, in units. */
export function expUnits(precision: Precision, x: number): number {
  return precision.exp(Math.abs(x)) - Math.abs(x);
}

/** The bounds of each row's entries, by position; `stored` is applied here. */
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

/** The bounds of a Jacobian's entries: in the row of position i and the column of position j, both positions in `at`. */
export function entryBounds(
  expected: Values,
  rows: Rows,
  part: MatrixPart,
  bound: (i: number, j: number, value: number, at: readonly number[]) => number,
): Float64Array {
  const out = new Float64Array(expected.length);
  let next = 0;
  for (const at of rowIndices(rows)) {
    for (const i of at) {
      if (part === 'diagonal') {
        out[i] = bound(i, i, expected[i] ?? Number.NaN, at);
        continue;
      }
      for (const j of at) {
        out[next] = bound(i, j, expected[next] ?? Number.NaN, at);
        next++;
      }
    }
  }
  return out;
}

/** Σ term over the entries, which may be numbers themselves. */
export function sumOf(entries: ArrayLike<number>): number;
export function sumOf<T>(entries: ArrayLike<T>, term: (entry: T) => number): number;
export function sumOf<T>(entries: ArrayLike<T>, term: (entry: T) => number = Number): number {
  let sum = 0;
  for (let c = 0; c < entries.length; c++) sum += term(entries[c] as T);
  return sum;
}
