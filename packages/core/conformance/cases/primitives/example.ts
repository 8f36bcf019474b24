import type { Backend, FloatDType } from '../../../src/index.js';
import { assertClose } from '../../check.js';
import { runKernel } from '../../kernel.js';

/** Operands of a kernel, its result, and the bound of each element. */
export interface Example {
  readonly operands: readonly Float64Array[];
  readonly expected: ArrayLike<number>;
  readonly tolerance: ArrayLike<number>;
}

export async function assertExample(
  what: string,
  backend: Backend,
  dtype: FloatDType,
  { operands, expected, tolerance }: Example,
  enqueue: (out: unknown, buffers: readonly unknown[]) => void,
): Promise<void> {
  const given = operands.map((values) => ({ values, dtype }));
  assertClose(what, await runKernel(backend, { length: expected.length, dtype }, given, enqueue), expected, tolerance);
}
