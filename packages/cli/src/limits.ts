import type { Limits } from './context.js';

/**
 * Limits for a machine with `total` bytes of memory: three quarters of them, or of what the container that this process
 * runs in has. Beyond that, an operation that needs all of its data at once is refused with advice instead of being killed.
 *
 * @param constrained what `process.constrainedMemory` gives: without a limit, cgroups report 0 or a number past all memory
 */
export function limitsOf(constrained: number, total: number): Limits {
  return { memory: 0.75 * (constrained > 0 ? Math.min(constrained, total) : total), chunk: chunkBytes };
}

/** Large enough that reading and computing dominate, small beside any machine's memory. */
const chunkBytes = 8 * 2 ** 20;
