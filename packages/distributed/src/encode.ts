import { createHash } from 'node:crypto';
import type { FloatDType } from '@softgrad/core';
import { type FileArray, type NpyDescr, npyArray, npyElements, npyHeader } from '@softgrad/formats';
import { type Store, wholeObject } from './store.js';

const descrs: Readonly<Record<FloatDType, NpyDescr>> = { float16: '<f2', float32: '<f4', float64: '<f8' };

/** A .npy file that is written from the first number to the last, so that only what is appended is in memory. */
export interface NpyPart {
  /** @param data float64 for float64, else float32; it may change after this resolves */
  append(data: Float32Array | Float64Array): Promise<void>;
  /** What has been written. @throws Error naming the file if the numbers are not as many as its shape has */
  written(): WrittenPart;
  put(): Promise<boolean>;
  /** Must be called in any case. */
  close(): Promise<void>;
}

export interface WrittenPart {
  readonly path: string;
  readonly byteLength: number;
  readonly sha256: string;
}

/** Begins a .npy file, in memory if the store takes only whole objects or if `whole`. */
export async function createNpy(
  store: Store,
  path: string,
  shape: readonly number[],
  dtype: FloatDType,
  whole = false,
): Promise<NpyPart> {
  const descr = descrs[dtype];
  const header = npyHeader(descr, shape);
  const count = shape.reduce((product, length) => product * length, 1);
  const byteLength = header.length + count * Number(descr.slice(2));
  const object = (whole ? null : await store.create?.(path)) ?? wholeObject(store, path, byteLength);
  const hash = createHash('sha256');
  let filled = 0;
  const append = async (bytes: Uint8Array) => {
    hash.update(bytes);
    await object.append(bytes);
  };
  try {
    await append(header);
  } catch (cause) {
    await object.close();
    throw cause;
  }
  return {
    async append(data) {
      filled += data.length;
      await append(npyElements(data, descr));
    },
    written() {
      if (filled !== count) throw new Error(`${path}: ${filled} numbers computed for shape (${shape.join(', ')})`);
      return { path, byteLength, sha256: hash.copy().digest('hex') };
    },
    put: () => object.put(),
    close: () => object.close(),
  };
}

/** The numbers of a .npy file in memory. @throws ERR_VALUE naming the file */
export async function decodeNpy(bytes: Uint8Array, name: string): Promise<FileArray['data']> {
  const array = await npyArray(async (start, length) => bytes.subarray(start, start + length), bytes.length, name);
  return array.elements(
    0,
    array.shape.reduce((product, length) => product * length, 1),
  );
}
