import type { FloatDType } from '@softgrad/core';
import { type FileArray, type NpyDescr, npyArray, npyElements, npyHeader } from '@softgrad/formats';

const descrs: Readonly<Record<FloatDType, NpyDescr>> = { float16: '<f2', float32: '<f4', float64: '<f8' };

/** A .npy file that is filled from the first number to the last, so that its numbers are in memory only once. */
export interface NpyFile {
  /** Data are float64 for float64, else float32. */
  append(data: Float32Array | Float64Array): void;
  /** @throws Error if the numbers are not as many as the shape has */
  bytes(): Uint8Array;
}

export function npyFile(shape: readonly number[], dtype: FloatDType): NpyFile {
  const descr = descrs[dtype];
  const header = npyHeader(descr, shape);
  const count = shape.reduce((product, length) => product * length, 1);
  const size = Number(descr.slice(2));
  const bytes = new Uint8Array(header.length + count * size);
  bytes.set(header);
  let filled = 0;
  return {
    append(data) {
      bytes.set(npyElements(data, descr), header.length + filled * size);
      filled += data.length;
    },
    bytes() {
      if (filled !== count) throw new Error(`${filled} numbers computed for shape (${shape.join(', ')})`);
      return bytes;
    },
  };
}

/** The bytes of a .npy file. */
export function encodeNpy(data: Float32Array | Float64Array, shape: readonly number[], dtype: FloatDType): Uint8Array {
  const file = npyFile(shape, dtype);
  file.append(data);
  return file.bytes();
}

/** The numbers of a .npy file in memory. @throws ERR_VALUE naming the file */
export async function decodeNpy(bytes: Uint8Array, name: string): Promise<FileArray['data']> {
  const array = await npyArray(async (start, length) => bytes.subarray(start, start + length), bytes.length, name);
  return array.elements(
    0,
    array.shape.reduce((product, length) => product * length, 1),
  );
}
