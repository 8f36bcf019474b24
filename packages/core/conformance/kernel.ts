import { allocate } from '../src/backend/limits.js';
import { type Backend, type DType, type HostArray, hostArray, isFloat } from '../src/index.js';
import { poison } from './check.js';

/** Parameters of a plain call. */
export const plain = Object.freeze({ temperature: 1, mask: null });

/** Parameters of a plain call of `crossEntropy`, but for its target. */
export const plainCrossEntropy = Object.freeze({
  ...plain,
  weight: null,
  labelSmoothing: 0,
  ignoreIndex: -100,
  scale: 1,
});

/** Whether no backend may decline the call. */
export function isPlain({
  temperature,
  mask = null,
}: {
  readonly temperature: number;
  readonly mask?: unknown;
}): boolean {
  return temperature === 1 && mask === null;
}

/** Host values for a buffer of a backend. */
export interface HostOperand {
  readonly values: ArrayLike<number>;
  readonly dtype: DType;
}

/** A host array of the operand's dtype. */
export function hostOf({ values, dtype }: HostOperand): HostArray {
  const host = hostArray(values.length, dtype);
  host.set(values);
  return host;
}

/** A buffer with these values. @throws ERR_OUT_OF_MEMORY for more than the backend announces */
export function upload(backend: Backend, operand: HostOperand): unknown {
  const buffer = allocate(backend, operand.values.length, operand.dtype);
  backend.write(buffer, hostOf(operand));
  return buffer;
}

/** A value that no kernel writes by coincidence, to find elements of `out` that were not written. */
export function garbage(length: number, dtype: DType): HostArray {
  return hostArray(length, dtype).fill(isFloat(dtype) ? poison : 1);
}

/** Writes the operands, runs `enqueue` with an output that is filled with the value above, and returns the output; frees all buffers. */
export async function runKernel(
  backend: Backend,
  out: { readonly length: number; readonly dtype: DType },
  operands: readonly HostOperand[],
  enqueue: (out: unknown, buffers: readonly unknown[]) => void,
): Promise<HostArray> {
  const buffers = operands.map((operand) => upload(backend, operand));
  const result = upload(backend, { values: garbage(out.length, out.dtype), dtype: out.dtype });
  try {
    enqueue(result, buffers);
    return await backend.read(result);
  } finally {
    for (const buffer of [result, ...buffers]) backend.free(buffer);
  }
}
