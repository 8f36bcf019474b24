import type { FloatDType } from '@softgrad/core';
import { type FileArray, type NpyDescr, npyArray, npyElements, npyHeader } from '@softgrad/formats';

const descrs: Readonly<Record<FloatDType, NpyDescr>> = { float16: '<f2', float32: '<f4', float64: '<f8' };

/** The bytes of a .npy file. Data are float64 for float64, else float32. */
export function encodeNpy(data: Float32Array | Float64Array, shape: readonly number[], dtype: FloatDType): Uint8Array {
  const descr = descrs[dtype];
  const header = npyHeader(descr, shape);
  const elements = npyElements(data, descr);
  const bytes = new Uint8Array(header.length + elements.length);
  bytes.set(header);
  bytes.set(elements, header.length);
  return bytes;
}

/** The numbers of a .npy file in memory. @throws ERR_VALUE naming the file */
export async function decodeNpy(bytes: Uint8Array, name: string): Promise<FileArray['data']> {
  const array = await npyArray(async (start, length) => bytes.subarray(start, start + length), bytes.length, name);
  return array.elements(
    0,
    array.shape.reduce((product, length) => product * length, 1),
  );
}
