import type { Rows } from '../src/backend/interface.js';
import { add, type DoubleDouble, div, exactly, nearest, zero } from './doubledouble.js';

/** Temperature and mask; the mask has one entry (0 or 1, or a boolean) for each logit. */
export interface ReferenceParameters {
  readonly temperature?: number;
  readonly mask?: ArrayLike<number | boolean> | null;
}

export type Values = ArrayLike<number>;

/** The entry of a row at position i, in class c. */
export type RowEntries = (i: number, c: number) => DoubleDouble;

/** The entries, computed once and stored in two arrays: garbage collection of an array of objects would cost more than the computation. */
export function tabulated(at: readonly number[], entry: RowEntries): RowEntries {
  const high = new Float64Array(at.length);
  const low = new Float64Array(at.length);
  let c = 0;
  for (const i of at) {
    const { hi, lo } = entry(i, c);
    high[c] = hi;
    low[c++] = lo;
  }
  return (_, c) => ({ hi: high[c] ?? Number.NaN, lo: low[c] ?? Number.NaN });
}

/** Positions of each row's elements, rows in (outer, inner) order. */
export function rowIndices({ outer, classes, inner }: Rows): number[][] {
  const rows: number[][] = [];
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const row = new Array<number>(classes);
      for (let c = 0; c < classes; c++) row[c] = (o * classes + c) * inner + i;
      rows.push(row);
    }
  }
  return rows;
}

/** The numbers at the positions of a row. */
export function rowValues(values: Values, at: readonly number[]): number[] {
  return at.map((i) => values[i] ?? Number.NaN);
}

/** The sum in double-double. */
export function total(terms: readonly DoubleDouble[]): DoubleDouble {
  let sum = zero;
  for (const term of terms) sum = add(sum, term);
  return sum;
}

/** The sum of `term` over the entries of a row that the mask keeps. */
export function sumOf(at: readonly number[], term: RowEntries, parameters: ReferenceParameters = {}): DoubleDouble {
  let sum = zero;
  let c = 0;
  for (const i of at) {
    if (!isMasked(parameters, i)) sum = add(sum, term(i, c));
    c++;
  }
  return sum;
}

/** For each entry of a row, the sum of `term` over the others that the mask keeps: of those before it and of those after it. */
export function sumsOfOthers(at: readonly number[], term: RowEntries, parameters: ReferenceParameters): RowEntries {
  const kept: RowEntries = (i, c) => (isMasked(parameters, i) ? zero : term(i, c));
  let sum = zero;
  const before = tabulated(at, (i, c) => {
    const result = sum;
    sum = add(sum, kept(i, c));
    return result;
  });
  sum = zero;
  const last = at.length - 1;
  const after = tabulated(at.toReversed(), (i, c) => {
    const result = sum;
    sum = add(sum, kept(i, last - c));
    return result;
  });
  return tabulated(at, (i, c) => add(before(i, c), after(i, last - c)));
}

/** `a / T`, without a division for the usual temperature 1. */
export function divided(a: DoubleDouble, temperature: number): DoubleDouble {
  return temperature === 1 ? a : div(a, exactly(temperature));
}

/** Masked entries have no effect, even in a row that is NaN. */
export function isMasked({ mask }: ReferenceParameters, i: number): boolean {
  return mask ? !mask[i] : false;
}

/** Results computed row by row, rounded to float64. `results` is called once for each row, and the function that it returns once for each entry. */
export function rowwise(
  x: Values,
  rows: Rows,
  results: (at: readonly number[], row: number) => RowEntries,
): Float64Array {
  const out = new Float64Array(x.length);
  rowIndices(rows).forEach((at, row) => {
    const entry = results(at, row);
    let c = 0;
    for (const i of at) out[i] = nearest(entry(i, c++));
  });
  return out;
}

/** The entries of a matrix in the row of position i: that in the column of position j, in class c. */
type MatrixRows = (i: number) => (j: number, c: number) => number;

/** Which entries of the matrices are computed: all, or only those on the diagonals, in the layout of the operand. */
export type MatrixPart = 'all' | 'diagonal';

/** One matrix for each row, or its diagonal. `matrix` is called once for each row, and the function that it returns once for each row of the matrix. */
export function matrices(rows: Rows, part: MatrixPart, matrix: (at: readonly number[]) => MatrixRows): Float64Array {
  const { outer, classes, inner } = rows;
  const out = new Float64Array(outer * classes * inner * (part === 'all' ? classes : 1));
  let next = 0;
  for (const at of rowIndices(rows)) {
    const rowOf = matrix(at);
    at.forEach((i, r) => {
      const entry = rowOf(i);
      if (part === 'diagonal') {
        out[i] = entry(i, r);
        return;
      }
      let c = 0;
      for (const j of at) out[next++] = entry(j, c++);
    });
  }
  return out;
}
