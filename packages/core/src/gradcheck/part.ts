import type { Rows } from '../backend/interface.js';
import type { Part } from './function.js';

type Mask = ArrayLike<number> | null;

/** A function of rows. */
export type OfRows = (values: Float64Array, rows: Rows, mask: Mask) => Float64Array;

/**
 * The parts of a function of rows: one row each.
 *
 * @param ofRow the function for one row, by its number in (outer, inner) order and the flat indices of its entries; and the numbers of the cotangent for its values
 */
export function rowParts(
  rows: Rows,
  mask: Mask,
  ofRow: (row: number, entries: readonly number[]) => Pick<Part, 'cotangent'> & { readonly value: OfRows },
): (index: number) => Part {
  const { classes, inner } = rows;
  return (index) => {
    const within = index % inner;
    const outer = Math.floor(index / classes / inner);
    const entries = Array.from({ length: classes }, (_, c) => (outer * classes + c) * inner + within);
    const { cotangent, value } = ofRow(outer * inner + within, entries);
    const kept = mask && pick(mask, entries);
    return { entries, cotangent, forward: (values) => value(values, { outer: 1, classes, inner: 1 }, kept) };
  };
}

/** The numbers at these indices. */
export function pick(values: ArrayLike<number>, indices: readonly number[]): Float64Array {
  return Float64Array.from(indices.map((i) => values[i] ?? Number.NaN));
}
