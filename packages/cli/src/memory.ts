import { totalmem } from 'node:os';

/**
 * Bytes that arrays may take together: three quarters of what the machine, or the container that this process runs in,
 * has. Beyond that, an operation that needs all of its data at once is refused with advice instead of being killed.
 */
export function memoryLimit(): number {
  const constrained = process.constrainedMemory?.() ?? 0;
  // Without a limit, cgroups report 0 or a number past all memory.
  return 0.75 * (constrained > 0 ? Math.min(constrained, totalmem()) : totalmem());
}

/** Bytes of one chunk of rows in float64: large enough that reading and computing dominate, small beside any machine's memory. */
export const chunkBytes = 8 * 2 ** 20;
