import { type HostArray as CpuBuffer, hostArray } from '@softgrad/core';

/**
 * A buffer for what a composed operation rounds on its way (`alloc` of core's interface): float64 where the dtype is float32, pairs of float64 where
 * it is float64, so that the result alone is rounded to the dtype. Core does not look into buffers: these are like the others for it.
 */
export class Intermediate {
  readonly high: Float64Array;
  /** What the elements of `high` are rounded by; null where the dtype is float32. */
  readonly low: Float64Array | null;

  constructor(high: Float64Array, low: Float64Array | null) {
    this.high = high;
    this.low = low;
    inUse++;
  }

  /** Says that the buffer is not used any more. */
  end(): void {
    inUse--;
  }
}

/** How many there are: none but within a composed operation, so that other calls have nothing to look for. */
let inUse = 0;

/** The elements of a buffer: rounded to float64, and what they are rounded by, or null where nothing is kept of it. */
export interface Elements {
  readonly high: CpuBuffer;
  readonly low: Float64Array | null;
}

export function elementsOf(buffer: CpuBuffer | Intermediate): Elements {
  return buffer instanceof Intermediate ? buffer : { high: buffer, low: null };
}

/** What the element at `index` is rounded by. */
export function lowAt({ low }: { readonly low: ArrayLike<number> | null }, index: number): number {
  return low === null ? 0 : low[index];
}

/** Writes `sum + error`, of which the error is the smaller, as element k; the sum alone where both together are not finite. */
export function write({ high, low }: Elements, k: number, sum: number, error: number): void {
  const value = sum + error;
  const holds = Number.isFinite(value);
  high[k] = holds ? value : sum;
  if (low !== null) low[k] = holds ? error - (value - sum) : 0;
}

/**
 * Kernels that also take intermediate buffers, among their first four arguments. They compute in float64 then, from and to arrays of float64; what pairs have
 * beyond that is lost.
 */
export function takingIntermediates<K extends object>(kernels: K): K {
  return Object.fromEntries(Object.entries(kernels).map(([name, kernel]) => [name, takingThem(kernel)])) as K;
}

type Kernel = (out: unknown, a: unknown, b: unknown, c: unknown, d: unknown, e: unknown) => void | false;

function takingThem(kernel: Kernel): Kernel {
  return (out, a, b, c, d, e) => {
    if (inUse === 0) return kernel(out, a, b, c, d, e);
    const isTaken = [out, a, b, c].some((buffer) => buffer instanceof Intermediate);
    return isTaken ? inDouble(kernel, out, [a, b, c, d, e]) : kernel(out, a, b, c, d, e);
  };
}

/** @throws ERR_OUT_OF_MEMORY */
function inDouble(kernel: Kernel, out: unknown, args: readonly unknown[]): void | false {
  // Loops that have seen arrays of two kinds take up to twice the time ever after.
  const [a, b, c, d, e] = args.map((arg) => {
    if (arg instanceof Intermediate) return arg.high;
    if (!(arg instanceof Float32Array)) return arg;
    const copy = hostArray(arg.length, 'float64');
    copy.set(arg);
    return copy;
  });
  const isSingle = out instanceof Float32Array;
  const to = isSingle ? hostArray(out.length, 'float64') : out instanceof Intermediate ? out.high : out;
  if (kernel(to, a, b, c, d, e) === false) return false;
  if (isSingle) out.set(to as Float64Array);
  else if (out instanceof Intermediate) out.low?.fill(0);
}
