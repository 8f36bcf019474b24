import { SoftgradError } from '@softgrad/core';
import { type FileArray, formatPosition, formatShape, sizeOf } from './array.js';
import { halfToNumber, numberToHalf } from './half.js';
import { type NpyHeader, parseHeader } from './npy-header.js';
import type { ReadAt } from './read-at.js';
import type { RowReader } from './row-reader.js';

/**
 * Reads an array of NumPy's own format, whole or row by row: versions 1 to 3, C and Fortran order, little and big
 * endian, f2, f4, f8, bool and all integers.
 *
 * Format: numpy.lib.format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *
 * @throws ERR_VALUE for a file that is not one, ERR_DTYPE for a dtype without numbers in it
 */
export async function npyRows(read: ReadAt, byteLength: number, name: string): Promise<RowReader> {
  const header = await parseHeader(read, byteLength, name);
  const { shape, element } = header;
  const rows = shape[0] ?? 1;
  const rest = shape.slice(1);
  const rowBytes = sizeOf(rest) * element.bytes;
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
      const bytes =
        header.fortranOrder && shape.length > 1
          ? await readFortranRows(read, header, at, take)
          : await read(header.dataOffset + at * rowBytes, take * rowBytes);
      const chunk = shape.length === 0 ? [] : [take, ...rest];
      const data = decode(bytes, header, name, chunk, at);
      at += take;
      return { shape: chunk, data };
    },
    position: () => header.dataOffset + at * rowBytes,
    async close() {},
  };
}

/** The bytes of rows `start … start + count − 1` of an array in Fortran order, put in C order. */
async function readFortranRows(read: ReadAt, header: NpyHeader, start: number, count: number): Promise<Uint8Array> {
  const { shape, element, dataOffset } = header;
  const item = element.bytes;
  const rest = shape.slice(1);
  const rowSize = sizeOf(rest);
  // In Fortran order the rows' entries at one place of `rest` lie side by side.
  const whole = count === shape[0] ? await read(dataOffset, rowSize * count * item) : null;
  const out = new Uint8Array(rowSize * count * item);
  const place = rest.map(() => 0);
  for (let k = 0; k < rowSize; k++) {
    const segment = whole
      ? whole.subarray(k * count * item, (k + 1) * count * item)
      : await read(dataOffset + (k * shape[0] + start) * item, count * item);
    const column = place.reduce((index, value, axis) => index * rest[axis] + value, 0);
    for (let row = 0; row < count; row++) {
      const to = (row * rowSize + column) * item;
      for (let byte = 0; byte < item; byte++) out[to + byte] = segment[row * item + byte];
    }
    for (let axis = 0; axis < rest.length && ++place[axis] === rest[axis]; axis++) place[axis] = 0;
  }
  return out;
}

function decode(
  raw: Uint8Array,
  header: NpyHeader,
  name: string,
  shape: readonly number[],
  firstRow: number,
): FileArray['data'] {
  const { code, bytes: item, littleEndian } = header.element;
  // A copy of its own: aligned for the typed arrays below, and free to be swapped in place.
  const bytes = new Uint8Array(raw);
  if (littleEndian !== isLittleEndian) swapBytes(bytes, item);
  const { buffer } = bytes;
  switch (code) {
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

/** 64-bit integers as the float64 that equal them. */
function exact(
  values: BigInt64Array | BigUint64Array,
  name: string,
  shape: readonly number[],
  firstRow: number,
): Float64Array {
  const out = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) {
    out[i] = Number(values[i]);
    if (BigInt(out[i]) !== values[i]) {
      const rowSize = sizeOf(shape.slice(1));
      const place = formatPosition(i + firstRow * rowSize, [Number.MAX_SAFE_INTEGER, ...shape.slice(1)]);
      throw new SoftgradError(
        'ERR_VALUE',
        `${name}: element ${place} is ${values[i]}, which no float64 equals; expected integers that float64 can hold (save as float64 to round)`,
      );
    }
  }
  return out;
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

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Turns the order of the bytes of each item around, in place. */
function swapBytes(bytes: Uint8Array, item: number): Uint8Array {
  for (let start = 0; item > 1 && start < bytes.length; start += item) bytes.subarray(start, start + item).reverse();
  return bytes;
}
