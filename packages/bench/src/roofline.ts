import type { Batch } from './contender.js';
import { outputSize, type Workload } from './workloads.js';

/** What a workload cannot be faster than on this machine, as loops that are timed in the same rounds. */
export interface Roof {
  readonly name: 'memcpy' | 'fill' | 'exp';
  /** One pass of it over the output. */
  readonly batch: Batch;
}

/** What bounds a workload: bytes through memory, or exponentials. */
export type Bound = 'memory' | 'exp';

/** Bytes that an op has to read and write once each, at least. */
export function bytesMoved(workload: Workload): number {
  const [rows, classes] = workload.shape;
  const elementBytes = workload.dtype === 'float64' ? 8 : 4;
  const operand = rows * classes * elementBytes;
  const operands = workload.op === 'vjp' ? 2 : 1;
  return operands * operand + outputSize(workload) * elementBytes;
}

/** Exponentials that an op has to compute, one an element. */
export function exponentials({ op, shape: [rows, classes] }: Workload): number {
  return op === 'jacobian' || op === 'vjp' ? 0 : rows * classes;
}

/** The loops: a copy and a fill of the output's bytes by the engine's own memmove and memset. */
export function roofs(workload: Workload): readonly Roof[] {
  const bytes = outputSize(workload) * (workload.dtype === 'float64' ? 8 : 4);
  const from = new Uint8Array(bytes).fill(1);
  const to = new Uint8Array(bytes);
  return [
    {
      name: 'memcpy',
      batch: (calls) => {
        for (let k = 0; k < calls; k++) to.set(from);
      },
    },
    {
      name: 'fill',
      batch: (calls) => {
        for (let k = 0; k < calls; k++) to.fill(k & 255);
      },
    },
  ];
}

/** An exp-only loop over the operand, where the op has exponentials: Math.exp in plain JavaScript. */
export function expLoop(workload: Workload): readonly Roof[] {
  const count = exponentials(workload);
  if (count === 0) return [];
  const x = Float64Array.from({ length: Math.min(count, 65536) }, (_, k) => -(k % 1024) / 64);
  const passes = count / x.length;
  let sink = 0;
  return [
    {
      name: 'exp',
      batch: (calls) => {
        for (let pass = 0; pass < calls * passes; pass++) {
          for (let k = 0; k < x.length; k++) sink += Math.exp(x[k]);
        }
        if (sink === 1) throw new Error('unreachable: keeps the sum alive');
      },
    },
  ];
}

/** The larger of what memory and exponentials take at least: memory at the speed of memcpy, which moves two bytes a byte copied. */
export function boundOf(
  workload: Workload,
  { memcpyMs, expMs }: { readonly memcpyMs: number; readonly expMs: number | null },
): { readonly bound: Bound; readonly boundMs: number } {
  const copied = 2 * outputSize(workload) * (workload.dtype === 'float64' ? 8 : 4);
  const memoryMs = (memcpyMs * bytesMoved(workload)) / copied;
  if (expMs !== null && expMs > memoryMs) return { bound: 'exp', boundMs: expMs };
  return { bound: 'memory', boundMs: memoryMs };
}
