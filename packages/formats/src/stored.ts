import { SoftgradError } from '@softgrad/core';
import { type FileArray, formatPosition, sizeOf } from './array.js';
import { bfloat16ToNumber, halfToNumber } from './half.js';
import type { ReadAt, ReadInto } from './read-at.js';
import type { RowReader } from './row-reader.js';

/** How a number is stored: NumPy's name of its type, or bf for bfloat16. */
export interface Element {
  readonly code: 'bf' | 'f2' | 'f4' | 'f8' | 'b1' | 'i1' | 'u1' | 'i2' | 'u2' | 'i4' | 'u4' | 'i8' | 'u8';
  readonly bytes: number;
  readonly littleEndian: boolean;
}

/** An array whose elements are contiguous in a file. */
export interface StoredArray {
  readonly shape: readonly number[];
  readonly fortranOrder: boolean;
  readonly element: Element;
  readonly dataOffset: number;
}

/** The longest dimension of an array without elements; reading as many empty rows would never end. */
export const mostEmpty = 2 ** 24;

/** Reads a stored array, whole or row by row. */
export function storedRows(read: ReadAt, array: StoredArray, byteLength: number, name: string): RowReader {
  const { shape, element } = array;
  const rows = shape[0] ?? 1;
  const rest = shape.slice(1);
  const rowSize = sizeOf(rest);
  let at = 0;
  let started = false;
  return {
    name,
    shape,
    byteLength,
    async next(count) {
      if (started && at >= rows) return null;
      started = true;
      const take = Math.min(count, rows - at);
      const bytes = array.fortranOrder
        ? await readFortranRows(read, array, at, take, name)
        : await readElements(read, array, at * rowSize, take * rowSize, name);
      const chunk = shape.length === 0 ? [] : [take, ...rest];
      const data = decode(bytes, element, name, chunk, at);
      at += take;
      return element.code === 'f2' ? { shape: chunk, data, stored: 'float16' } : { shape: chunk, data };
    },
    position: () => array.dataOffset + at * rowSize * element.bytes,
    async close() {},
  };
}

/** Reads `count` elements from element `start` of the flat array in the order of the file. @throws ERR_VALUE if the file ends before */
export async function storedElements(
  read: ReadAt,
  array: StoredArray,
  start: number,
  count: number,
  name: string,
): Promise<FileArray['data']> {
  return decode(await readElements(read, array, start, count, name), array.element, name, [count], start);
}

/** Reads the elements that fill `out`, which has them as the file does. @throws as `storedElements` */
export async function storedElementsInto(
  read: ReadInto,
  array: StoredArray,
  start: number,
  out: Float32Array | Float64Array,
  name: string,
): Promise<void> {
  const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
  const length = await read(array.dataOffset + start * array.element.bytes, bytes);
  checkComplete(length, array, start, out.length, name);
}

/** Whether the bytes of an element are the same in a file and in a typed array. */
export function isStoredAs(
  { code, littleEndian }: Element,
  { BYTES_PER_ELEMENT }: Float32Array | Float64Array,
): boolean {
  return code === `f${BYTES_PER_ELEMENT}` && littleEndian === isLittleEndian;
}

/** The bytes of `count` elements from element `start` in the order of the file. @throws as `storedElements` */
async function readElements(
  read: ReadAt,
  array: StoredArray,
  start: number,
  count: number,
  name: string,
): Promise<Uint8Array> {
  const { element, dataOffset } = array;
  const bytes = await read(dataOffset + start * element.bytes, count * element.bytes);
  checkComplete(bytes.length, array, start, count, name);
  return bytes;
}

function checkComplete(length: number, { element }: StoredArray, start: number, count: number, name: string): void {
  if (length === count * element.bytes) return;
  throw new SoftgradError(
    'ERR_VALUE',
    `${name}: truncated: elements ${start} to ${start + count - 1} take ${count * element.bytes} bytes, but only ${length} could be read`,
  );
}

/** The bytes of rows `start … start + count − 1` of an array in Fortran order, rearranged in C order. */
async function readFortranRows(
  read: ReadAt,
  array: StoredArray,
  start: number,
  count: number,
  name: string,
): Promise<Uint8Array> {
  const [rows = 1, ...rest] = array.shape;
  const item = array.element.bytes;
  const rowSize = sizeOf(rest);
  // In Fortran order the entries of all rows at one position of `rest` are contiguous.
  const whole = count === rows ? await readElements(read, array, 0, rowSize * count, name) : null;
  const out = new Uint8Array(rowSize * count * item);
  for (let k = 0; k < rowSize; k++) {
    const segment = whole
      ? whole.subarray(k * count * item, (k + 1) * count * item)
      : await readElements(read, array, k * rows + start, count, name);
    let to = positionInRow(k, rest) * item;
    let copied = 0;
    for (const byte of segment) {
      out[to++] = byte;
      if (++copied % item === 0) to += (rowSize - 1) * item;
    }
  }
  return out;
}

/** The position in C order of the k-th entry of a row in Fortran order. */
function positionInRow(k: number, lengths: readonly number[]): number {
  let rest = k;
  let stride = sizeOf(lengths);
  let position = 0;
  for (const length of lengths) {
    stride /= length;
    position += (rest % length) * stride;
    rest = Math.floor(rest / length);
  }
  return position;
}

function decode(
  raw: Uint8Array,
  element: Element,
  name: string,
  shape: readonly number[],
  firstRow: number,
): FileArray['data'] {
  const { code, bytes: item, littleEndian } = element;
  // A copy, which is aligned for the typed arrays below and may be swapped in place.
  const bytes = new Uint8Array(raw);
  if (littleEndian !== isLittleEndian) swapBytes(bytes, item);
  const { buffer } = bytes;
  switch (code) {
    case 'bf':
      return Float32Array.from(new Uint16Array(buffer), bfloat16ToNumber);
    case 'f2':
      return Float32Array.from(new Uint16Array(buffer), halfToNumber);
    case 'f4':
      return new Float32Array(buffer);
    case 'f8':
      return new Float64Array(buffer);
    case 'b1':
      return Uint8Array.from(new Uint8Array(buffer), (byte) => (byte === 0 ? 0 : 1));
    case 'i1':
      return Int32Array.from(new Int8Array(buffer));
    case 'u1':
      return Int32Array.from(new Uint8Array(buffer));
    case 'i2':
      return Int32Array.from(new Int16Array(buffer));
    case 'u2':
      return Int32Array.from(new Uint16Array(buffer));
    case 'i4':
      return new Int32Array(buffer);
    case 'u4':
      return Float64Array.from(new Uint32Array(buffer));
    case 'i8':
      return exact(new BigInt64Array(buffer), name, shape, firstRow);
    case 'u8':
      return exact(new BigUint64Array(buffer), name, shape, firstRow);
  }
}

/** 64-bit integers as the float64 that are equal to them. */
function exact(
  values: BigInt64Array | BigUint64Array,
  name: string,
  shape: readonly number[],
  firstRow: number,
): Float64Array {
  const out = new Float64Array(values.length);
  for (const [i, value] of values.entries()) {
    const nearest = Number(value);
    out[i] = nearest;
    if (BigInt(nearest) !== value) {
      const rowSize = sizeOf(shape.slice(1));
      const place = formatPosition(i + firstRow * rowSize, [Number.MAX_SAFE_INTEGER, ...shape.slice(1)]);
      throw new SoftgradError(
        'ERR_VALUE',
        `${name}: element ${place} is ${value}, which float64 cannot represent; expected integers that it can represent (save as float64 to round)`,
      );
    }
  }
  return out;
}

export const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Reverses the order of the bytes of each item in place. */
export function swapBytes(bytes: Uint8Array, item: number): Uint8Array {
  for (let start = 0; item > 1 && start < bytes.length; start += item) bytes.subarray(start, start + item).reverse();
  return bytes;
}
