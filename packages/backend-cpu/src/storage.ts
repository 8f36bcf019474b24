import { type DType, type HostArray, type HostArrayOf, hostArray } from '@softgrad/core';
import { Intermediate } from './intermediate.js';

/** A buffer of this backend is the host array of its dtype. */
export type CpuBuffer = HostArray;

/** The arrays that hold float values. */
export type FloatArray = Float32Array | Float64Array;

/** Total size of the freed buffers that a backend keeps, in bytes. */
export const keptBytes = 2 ** 25;

/** Engines store the elements of smaller arrays in their object, which is a hundred times as fast to make. */
const inlineBytes = 64;

/**
 * The buffers of a backend. Freed ones are used again: making an array for 64 rows of ten classes takes longer than computing their
 * softmax, and so do the first accesses to the pages of a large one.
 */
export interface Storage {
  /** A buffer, contents unspecified. @throws ERR_OUT_OF_MEMORY */
  alloc(length: number, dtype: DType, use?: 'intermediate'): CpuBuffer | Intermediate;
  free(buffer: CpuBuffer | Intermediate): void;
  /** Gives all freed buffers to the garbage collector. */
  clear(): void;
}

export function createStorage(): Storage {
  /** Freed buffers by length and kind of array. */
  const freed = new Map<number, CpuBuffer[]>();
  let bytes = 0;
  const clear = () => {
    freed.clear();
    bytes = 0;
  };
  const take = <D extends DType>(length: number, dtype: D): HostArrayOf<D> => {
    const found = freed.get(keyOf(length, kinds[dtype]))?.pop();
    if (found === undefined) return hostArray(length, dtype);
    bytes -= found.byteLength;
    return found as HostArrayOf<D>;
  };
  const keep = (buffer: CpuBuffer) => {
    const size = buffer.byteLength;
    if (size <= inlineBytes || size > keptBytes) return;
    // Buffers of lengths that are no longer used must not occupy the place for ever.
    if (bytes + size > keptBytes) clear();
    const key = keyOf(buffer.length, kindOf(buffer));
    const same = freed.get(key);
    if (same === undefined) freed.set(key, [buffer]);
    else same.push(buffer);
    bytes += size;
  };
  return {
    alloc(length, dtype, use) {
      if (use === undefined) return take(length, dtype);
      return new Intermediate(take(length, 'float64'), dtype === 'float64' ? take(length, 'float64') : null);
    },
    free(buffer) {
      if (!(buffer instanceof Intermediate)) {
        keep(buffer);
        return;
      }
      buffer.end();
      keep(buffer.high);
      if (buffer.low !== null) keep(buffer.low);
    },
    clear,
  };
}

const kinds = { float16: 0, float32: 0, float64: 1, int32: 2, bool: 3 } as const satisfies Record<DType, number>;
const dtypes = ['float32', 'float64', 'int32', 'bool'] as const;

/** The kind of an array that kernels take, otherwise −1: arrays of another realm are not instances of these classes. */
function kindOf(buffer: unknown): number {
  if (buffer instanceof Float32Array) return 0;
  if (buffer instanceof Float64Array) return 1;
  if (buffer instanceof Int32Array) return 2;
  return buffer instanceof Uint8Array ? 3 : -1;
}

/** What a buffer holds; null for anything else. */
export function bufferInfo(buffer: unknown) {
  const dtype = dtypes[kindOf(buffer)];
  return dtype === undefined ? null : { length: (buffer as CpuBuffer).length, dtype };
}

function keyOf(length: number, kind: number): number {
  return 4 * length + kind;
}

export function write(buffer: CpuBuffer, host: HostArray): void {
  buffer.set(host);
}

export function read(buffer: CpuBuffer): HostArray {
  // The constructor copies at once; slice would make zeros first.
  return new (buffer.constructor as new (from: CpuBuffer) => HostArray)(buffer);
}

/** Longest scratch array that is kept between calls, in elements: 2 MiB each. */
export const keptLength = 2 ** 18;

/**
 * A source of float64 scratch memory for one purpose: at least n elements, contents unspecified. It returns the same memory again, so
 * memory for different purposes at the same time needs different sources.
 */
export function scratch(): (length: number) => Float64Array {
  return keeping('float64');
}

/** The same in float32. */
export function singleScratch(): (length: number) => Float32Array {
  return keeping('float32');
}

function keeping<D extends DType>(dtype: D): (length: number) => HostArrayOf<D> {
  let kept = hostArray(0, dtype);
  return (length) => {
    if (length <= kept.length) return kept;
    if (length > keptLength) return hostArray(length, dtype);
    kept = hostArray(Math.min(keptLength, Math.max(2048, 2 * length)), dtype);
    return kept;
  };
}
