import { checkAttached } from '@softgrad/core';
import { type FileArray, sizeOf } from './array.js';

/** A number in full precision: parsing the text gives the same number. */
function jsonNumber(value: number): string {
  if (Object.is(value, -0)) return '-0';
  return Number.isFinite(value) ? String(value) : `"${value}"`;
}

/**
 * The rows of an array, separated, without the list around them; in pieces of bounded length, because one row of a Jacobian
 * can be longer than any string. Reading a number gives the same one; NaN and infinities become the texts that `parseJson` reads.
 *
 * @throws ERR_DISPOSED if the memory of the data was detached
 * @example
 * const rows = jsonRows({ shape: [2, 2], data: Float64Array.of(1, 2, 3, Number.NaN) });
 * `[${[...rows].join('')}]`; // '[[1,2],\n [3,"NaN"]]'
 */
export function* jsonRows(array: FileArray): Generator<string> {
  checkAttached('jsonRows', array.data);
  const [rows = 1, ...rowShape] = array.shape;
  if (rowShape.length === 0) {
    yield* numbers(array, 0, array.data.length);
    return;
  }
  const rowSize = sizeOf(rowShape);
  for (let row = 0; row < rows; row++) {
    if (row > 0) yield ',\n ';
    yield* list(array, rowShape, row * rowSize);
  }
}

/** The nested lists of a shape, or the single number of a scalar. */
function* list(array: FileArray, shape: readonly number[], start: number): Generator<string> {
  const [length = 1, ...rest] = shape;
  yield '[';
  if (rest.length === 0) {
    yield* numbers(array, start, start + length);
  } else {
    const step = sizeOf(rest);
    for (let i = 0; i < length; i++) {
      if (i > 0) yield ',';
      yield* list(array, rest, start + i * step);
    }
  }
  yield ']';
}

/** The largest number of numbers that are joined to one text. */
const pieceLength = 8192;

function* numbers({ data }: FileArray, start: number, end: number): Generator<string> {
  for (let at = start; at < end; at += pieceLength) {
    const separator = at > start ? ',' : '';
    yield separator + Array.from(data.subarray(at, Math.min(end, at + pieceLength)), jsonNumber).join(',');
  }
}
