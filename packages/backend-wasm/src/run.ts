import type { WasmBuffer } from './buffer.js';
import type { Heap } from './heap.js';
import { type Exports, kernelOf } from './module.js';
import { createSharing, sharedFrom } from './sharing.js';
import type { Pool } from './threads.js';

/** One call of a kernel. */
export interface Call {
  /** Rows, groups of rows, or elements: what the kernel can be cut into. */
  readonly units: number;
  /** Elements read and written, to decide whether threads pay. */
  readonly work: number;
  readonly args: readonly number[];
  /** Which of `args` is scratch memory, and how many bytes of it a thread needs. */
  readonly scratch?: { readonly argument: number; readonly bytes: number };
  readonly alignment?: number;
  /** Called just before the kernel runs, when its scratch memory is allocated: if that fails, no buffer has been written to. */
  readonly before?: (() => void) | undefined;
}

/** Runs kernels, on all threads where the work is large. */
export interface Runner {
  /** A kernel that takes a range of units first. */
  run(kernel: string, call: Call): void;
  /** A kernel that always runs on the calling thread. */
  call(kernel: string, ...args: readonly number[]): void;
  /** `use` with a temporary address. */
  withTemporary<T>(bytes: number, use: (address: number) => T): T;
}

/** Bytes of scratch memory that each thread keeps, at least SCRATCH of src/kernels/stretch.h. A call that needs more allocates its own. */
const residentScratch = 32 * 1024;

export function createRunner(exports: Exports, heap: Heap, pool: Pool | null, now?: () => number): Runner {
  const most = pool ? pool.threads : 1;
  const resident = heap.allocate(residentScratch * most);
  const sharing = createSharing(() => pool?.isAsleep() === true, now);

  function execute(kernel: string, call: Call, scratch: number, stride: number): void {
    const { units, work, alignment = 1 } = call;
    const argument = call.scratch ? call.scratch.argument : -1;
    const args = call.args as number[];
    if (argument >= 0) args[argument] = scratch;
    call.before?.();
    const others = pool && pool.threads > 1 && work >= sharedFrom && units > alignment ? pool : null;
    if (others && sharing.isWorth(work)) {
      others.run({ kernel, units, alignment, args, scratchArgument: argument, scratchStride: stride });
    } else {
      kernelOf(exports, kernel)(0, units, ...args);
    }
    if (others) sharing.ended();
  }

  function withTemporary<T>(bytes: number, use: (address: number) => T): T {
    const address = heap.allocate(bytes);
    try {
      return use(address);
    } finally {
      heap.release(address, bytes);
    }
  }

  return {
    run(kernel, call) {
      if (call.units === 0) return;
      const bytes = call.scratch ? call.scratch.bytes : 0;
      if (bytes <= residentScratch) {
        execute(kernel, call, resident, residentScratch);
        return;
      }
      const stride = Math.ceil(bytes / 64) * 64;
      withTemporary(stride * most, (address) => execute(kernel, call, address, stride));
    },
    call: (kernel, ...args) => kernelOf(exports, kernel)(...args),
    withTemporary,
  };
}

const names = { _f32: new Map<string, string>(), _f64: new Map<string, string>() };

/** The kernel of a buffer's dtype. The names are kept, since an engine hashes a string that was put together anew at each call. */
export function kernelName(name: string, buffer: WasmBuffer): string {
  const suffix = buffer.dtype === 'float64' ? '_f64' : '_f32';
  const known = names[suffix].get(name);
  if (known !== undefined) return known;
  const made = name + suffix;
  names[suffix].set(name, made);
  return made;
}
