import type { Backend } from '../backend/interface.js';
import { allocate } from '../backend/limits.js';
import { isSoftgradError } from '../errors.js';
import { DeviceTensor } from '../tensor/device-tensor.js';
import { type DType, hostArray } from '../tensor/dtype.js';
import { type FloatTensor, operandLike } from '../tensor/operands.js';
import { track } from '../tensor/scope.js';
import { type Shape, sizeOf } from '../tensor/shape.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * Lets `kernel` write a result into `out` or into a new tensor. The kernel is not called for an empty result. If the backend does not write
 * in place and `out` is one of the input buffers, the result goes to a new buffer, which then replaces the one of `out`.
 *
 * @throws ERR_SHAPE, ERR_DTYPE, ERR_BACKEND_MISMATCH, ERR_DISPOSED for an `out` that does not fit; whatever the kernel throws
 */
export function compute(
  operation: string,
  first: FloatTensor,
  shape: Shape,
  out: Tensor | undefined,
  inputs: readonly unknown[],
  kernel: (buffer: unknown) => void,
  argument = 'out',
): Tensor {
  const { backend, dtype } = first;
  if (out !== undefined) {
    const target = operandLike(operation, argument, out, first, shape);
    try {
      if (target.size > 0) overwrite(target, inputs, kernel);
    } catch (error) {
      // Without memory or a basis, nothing is written: the numbers are still those of the call that made them. A thread that is lost leaves a part of the result,
      // and so may a kernel that throws anything else.
      if (!isSoftgradError(error) || error.code === 'ERR_DEVICE_LOST') target.overwritten(null);
      throw error;
    }
    target.overwritten(null);
    return out;
  }
  return track(new DeviceTensor(backend, shape, dtype, filled(backend, sizeOf(shape), dtype, kernel), null));
}

function overwrite(target: FloatTensor, inputs: readonly unknown[], kernel: (buffer: unknown) => void): void {
  const { backend, dtype, size, buffer } = target;
  if (backend.supports.inPlace || !inputs.includes(buffer)) {
    kernel(buffer);
    return;
  }
  target.buffer = filled(backend, size, dtype, kernel);
  backend.free(buffer);
}

/** A new buffer written by `kernel`; freed again if the kernel throws. */
function filled(backend: Backend, size: number, dtype: DType, kernel: (buffer: unknown) => void): unknown {
  const buffer = allocate(backend, size, dtype);
  if (size === 0) return buffer;
  try {
    kernel(buffer);
  } catch (error) {
    backend.free(buffer);
    throw error;
  }
  return buffer;
}

/** Writes one number to every element. */
export function fill({ backend, dtype }: FloatTensor, out: unknown, length: number, value: number): void {
  backend.write(out, hostArray(length, dtype).fill(value));
}
