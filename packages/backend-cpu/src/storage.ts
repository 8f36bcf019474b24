import { type DType, type HostArray, type HostArrayOf, hostArray } from '@softgrad/core';

/** A buffer of this backend is the host array of its dtype. */
export type CpuBuffer = HostArray;

/** The arrays that hold float values. */
export type FloatArray = Float32Array | Float64Array;

export function alloc(length: number, dtype: DType): CpuBuffer {
  return hostArray(length, dtype);
}

export function write(buffer: CpuBuffer, host: HostArray): void {
  buffer.set(host);
}

export function read(buffer: CpuBuffer): HostArray {
  return buffer.slice();
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
