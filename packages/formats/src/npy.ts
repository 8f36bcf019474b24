import { type FileArray, formatShape } from './array.js';
import { numberToHalf } from './half.js';
import { parseHeader } from './npy-header.js';
import type { ReadAt } from './read-at.js';
import type { RowReader } from './row-reader.js';
import { isLittleEndian, storedRows, swapBytes } from './stored.js';

/**
 * Reads an array of NumPy's own format, whole or row by row: versions 1 to 3, C and Fortran order, little and big
 * endian, f2, f4, f8, bool and all integers.
 *
 * Format: numpy.lib.format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *
 * @throws ERR_VALUE for a file that is not one, ERR_DTYPE for a dtype without numbers in it
 */
export async function npyRows(read: ReadAt, byteLength: number, name: string): Promise<RowReader> {
  return storedRows(read, await parseHeader(read, byteLength, name), byteLength, name);
}

/** NumPy's names of what can be written. */
export type NpyDescr = '<f2' | '<f4' | '<f8' | '<i4' | '|b1';

/**
 * A version 1 header, of a length that does not depend on `shape[0]`: as NumPy does, it leaves room for the first
 * dimension to grow, so that rows can be written before they are counted.
 */
export function npyHeader(descr: NpyDescr, shape: readonly number[]): Uint8Array {
  const growth = shape.length === 0 ? 0 : 21 - String(shape[0]).length;
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${formatShape(shape)}, }${' '.repeat(growth)}`;
  const length = Math.ceil((10 + dict.length + 1) / 64) * 64 - 10;
  const header = new Uint8Array(10 + length);
  header.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 255, length >> 8]);
  header.set(new TextEncoder().encode(`${dict.padEnd(length - 1)}\n`), 10);
  return header;
}

/** The elements as `npyHeader`'s descr says, little endian. */
export function npyElements(data: FileArray['data'], descr: NpyDescr): Uint8Array {
  const typed = descr === '<f2' ? Uint16Array.from(data, numberToHalf) : data;
  const bytes = new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength);
  return isLittleEndian ? bytes : swapBytes(bytes.slice(), typed.BYTES_PER_ELEMENT);
}
