import { checkAttached, type DType, type HostCopy } from '@softgrad/core';
import { type FileArray, formatShape, type OwnBytes } from './array.js';
import { numberToHalf } from './half.js';
import { parseHeader } from './npy-header.js';
import type { ReadAt, ReadInto } from './read-at.js';
import type { RowReader } from './row-reader.js';
import {
  type Element,
  isLittleEndian,
  isStoredAs,
  storedElements,
  storedElementsInto,
  storedRows,
  swapBytes,
} from './stored.js';

/**
 * Reads an array in NumPy's .npy format, whole or row by row: versions 1 to 3, C and Fortran order, little and big
 * endian, f2, f4, f8, bool and all integers.
 *
 * Format: numpy.lib.format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *
 * @param byteLength of the file
 * @param name of the file, for messages
 * @throws ERR_VALUE for a file that is not a valid .npy file, ERR_DTYPE for a dtype that is not numeric; `next` throws ERR_VALUE for an integer that
 *   float64 cannot represent
 * @example
 * const file = new Uint8Array([...npyHeader('<f4', [2, 2]), ...npyElements(Float32Array.of(1, 2, 3, 4), '<f4')]);
 * const reader = await npyRows(async (position, length) => file.slice(position, position + length), file.length, 'logits.npy');
 * reader.shape; // [2, 2]
 * (await reader.next(1))?.data; // [1, 2]
 */
export async function npyRows(read: ReadAt, byteLength: number, name: string): Promise<RowReader> {
  return storedRows(read, await parseHeader(read, byteLength, name), byteLength, name);
}

/** An array in a .npy file, of which any part can be read. */
export interface NpyArray {
  readonly shape: readonly number[];
  /** Whether the first dimension varies fastest in the file. */
  readonly fortranOrder: boolean;
  /** Bytes of one element in the file. */
  readonly elementBytes: number;
  /** The dtype of its numbers as softgrad has it: float16 for f2, float64 for integers wider than int32, bool for b1. */
  readonly dtype: DType;
  /**
   * Elements `start … start + count − 1` of the flat array, in the order of the file.
   *
   * @throws ERR_VALUE if the file has become shorter
   */
  elements(start: number, count: number): Promise<FileArray['data']>;
  /**
   * Elements from `start` into an array, which they fill, rounded to its dtype. If the file has that dtype, they are not copied on the way.
   *
   * @throws as `elements`
   */
  elementsInto(start: number, out: Float32Array | Float64Array): Promise<void>;
}

/**
 * Opens an array in NumPy's .npy format, of which any part can be read.
 *
 * @param byteLength of the file
 * @param name of the file, for messages
 * @param readInto reads the same file for `elementsInto`; without it, bytes are read by `read` and copied
 * @throws as `npyRows`
 * @example
 * const file = new Uint8Array([...npyHeader('<f4', [2, 2]), ...npyElements(Float32Array.of(1, 2, 3, 4), '<f4')]);
 * const array = await npyArray(async (position, length) => file.slice(position, position + length), file.length, 'logits.npy');
 * array.dtype; // 'float32'
 * await array.elements(1, 2); // [2, 3]
 */
export async function npyArray(read: ReadAt, byteLength: number, name: string, readInto?: ReadInto): Promise<NpyArray> {
  const array = await parseHeader(read, byteLength, name);
  const { shape, fortranOrder, element } = array;
  return {
    shape,
    fortranOrder,
    elementBytes: element.bytes,
    dtype: dtypes[element.code],
    elements: (start, count) => storedElements(read, array, start, count, name),
    async elementsInto(start, out) {
      if (readInto && isStoredAs(element, out)) await storedElementsInto(readInto, array, start, out, name);
      else out.set(await storedElements(read, array, start, out.length, name));
    },
  };
}

const dtypes: Readonly<Record<Element['code'], DType>> = {
  bf: 'float32',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
  b1: 'bool',
  i1: 'int32',
  u1: 'int32',
  i2: 'int32',
  u2: 'int32',
  i4: 'int32',
  u4: 'float64',
  i8: 'float64',
  u8: 'float64',
};

/** NumPy's names of the dtypes that can be written. */
export type NpyDescr = '<f2' | '<f4' | '<f8' | '<i4' | '|b1';

/**
 * A version 1 header whose length does not depend on `shape[0]`: like NumPy's, it leaves room for the first
 * dimension to grow, so that rows can be written before they are counted. The elements follow it in C order, from a multiple of 64 bytes on.
 *
 * @example
 * npyHeader('<f4', [2, 2]).length; // 128
 * const file = new Uint8Array([...npyHeader('<f4', [2, 2]), ...npyElements(Float32Array.of(1, 2, 3, 4), '<f4')]);
 */
export function npyHeader(descr: NpyDescr, shape: readonly number[]): OwnBytes {
  const growth = shape.length === 0 ? 0 : 21 - String(shape[0]).length;
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${formatShape(shape)}, }${' '.repeat(growth)}`;
  const length = Math.ceil((10 + dict.length + 1) / 64) * 64 - 10;
  const header = new Uint8Array(10 + length);
  header.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 255, length >> 8]);
  header.set(new TextEncoder().encode(`${dict.padEnd(length - 1)}\n`), 10);
  return header;
}

/**
 * The elements in the format of `npyHeader`'s descr, little endian. Numbers in an array of another type are converted as by NumPy's `astype`;
 * otherwise the bytes are those of the array itself, not a copy.
 *
 * @throws ERR_DISPOSED if the memory of the data was detached
 * @example
 * npyElements(Float64Array.of(1, 2), '<f2'); // [0, 60, 0, 64]
 */
export function npyElements(data: HostCopy, descr: NpyDescr): OwnBytes;
export function npyElements(data: FileArray['data'], descr: NpyDescr): Uint8Array;
export function npyElements(data: FileArray['data'], descr: NpyDescr): Uint8Array {
  checkAttached('npyElements', data);
  const typed = asStored(data, descr);
  const bytes = new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength);
  return isLittleEndian ? bytes : swapBytes(bytes.slice(), typed.BYTES_PER_ELEMENT);
}

function asStored(data: FileArray['data'], descr: NpyDescr): FileArray['data'] | Uint16Array {
  switch (descr) {
    case '<f2':
      return Uint16Array.from(data, numberToHalf);
    case '<f4':
      return data instanceof Float32Array ? data : Float32Array.from(data);
    case '<f8':
      return data instanceof Float64Array ? data : Float64Array.from(data);
    case '<i4':
      return data instanceof Int32Array ? data : Int32Array.from(data);
    case '|b1':
      return data instanceof Uint8Array ? data : Uint8Array.from(data, (value) => (value === 0 ? 0 : 1));
  }
}
