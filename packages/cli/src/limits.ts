import type { Limits } from './context.js';

/**
 * Limits for a machine with `total` bytes of memory: three quarters of it, or of the memory of the container in which this process
 * runs. An operation that needs more data at once than that is refused with advice; otherwise the system would kill the process.
 *
 * @param constrained the result of `process.constrainedMemory`: without a limit, cgroups report 0 or a number above all memory
 */
export function limitsOf(constrained: number, total: number): Limits {
  return { memory: 0.75 * (constrained > 0 ? Math.min(constrained, total) : total), chunk: chunkBytes };
}

/** Large enough that reading and computing dominate, small compared with any machine's memory. */
const chunkBytes = 8 * 2 ** 20;
