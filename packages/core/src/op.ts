import type { Backend, Basis, Kernels, Rows } from './backend.js';
import { stated } from './describe.js';
import { type DType, type FloatDType, isFloat } from './dtype.js';
import { SoftgradError } from './errors.js';
import { openedBackends } from './registry.js';
import { track } from './scope.js';
import { resolveAxis, rowsOf, type Shape, sameShape, show, sizeOf } from './shape.js';
import { allocate, asTensor, DeviceTensor, type Tensor } from './tensor.js';

/** An operand of floats, checked alive. */
export interface FloatTensor extends DeviceTensor {
  readonly dtype: FloatDType;
}

/** A live float tensor out of an argument. @throws ERR_DTYPE, ERR_DISPOSED */
export function operand(operation: string, argument: string, value: unknown): FloatTensor {
  const x = asTensor(operation, argument, value);
  if (!isFloat(x.dtype)) {
    throw new SoftgradError(
      'ERR_DTYPE',
      `${operation}: ${argument} is ${x.dtype}, expected floats: tensor(data, { dtype: 'float32' })`,
    );
  }
  return x as FloatTensor;
}

/** A second operand, which must live and look like the first. @throws ERR_BACKEND_MISMATCH, ERR_DTYPE, ERR_SHAPE */
export function operandLike(
  operation: string,
  argument: string,
  value: unknown,
  first: FloatTensor,
  shape: Shape = first.shape,
): FloatTensor {
  const x = operand(operation, argument, value);
  checkBackend(operation, argument, x, first.backend);
  if (x.dtype !== first.dtype) {
    throw new SoftgradError(
      'ERR_DTYPE',
      `${operation}: ${argument} is ${x.dtype}, expected ${first.dtype} like the other`,
    );
  }
  if (!sameShape(x.shape, shape)) {
    throw new SoftgradError('ERR_SHAPE', `${operation}: ${argument} is ${show(x.shape)}, expected ${show(shape)}`);
  }
  return x;
}

/** @throws ERR_BACKEND_MISMATCH, naming both */
export function checkBackend(operation: string, argument: string, x: Tensor, backend: Backend): void {
  if (x.backend === backend) return;
  const both =
    x.backend.name === backend.name
      ? `${argument} and the other operand live on two instances of ${backend.name}`
      : `${argument} lives on ${x.backend.name}, the other operand on ${backend.name}`;
  throw new SoftgradError('ERR_BACKEND_MISMATCH', `${operation}: ${both}; move one with await x.to(backend)`);
}

/** The rows of a tensor along an axis. @throws ERR_AXIS; ERR_UNSUPPORTED for more classes than the backend takes */
export function layout(
  operation: string,
  x: FloatTensor,
  axis: number,
): { readonly axis: number; readonly rows: Rows } {
  const index = resolveAxis(operation, axis, x.shape);
  const rows = rowsOf(x.shape, index);
  const most = x.backend.supports.limits.classes;
  if (rows.classes > most) {
    throw new SoftgradError(
      'ERR_UNSUPPORTED',
      `${operation}: ${rows.classes} classes; ${x.backend.name} takes at most ${most} in one row`,
    );
  }
  return { axis: index, rows };
}

/** @throws ERR_VALUE unless finite and above 0 */
export function checkTemperature(operation: string, temperature: number): number {
  if (Number.isFinite(temperature) && temperature > 0) return temperature;
  throw new SoftgradError(
    'ERR_VALUE',
    `${operation}: ${stated('temperature', temperature)}; expected a finite number above 0`,
  );
}

/**
 * Has `kernel` write a result into `out`, or into a new tensor. An empty result needs no kernel. Where the backend does not
 * write in place and `out` is one of the input buffers, the result is made beside it and then becomes `out`'s.
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
): Tensor {
  const { backend, dtype } = first;
  if (out !== undefined) {
    const target = operandLike(operation, 'out', out, first, shape);
    if (target.size === 0) return out;
    if (backend.supports.inPlace || !inputs.includes(target.buffer)) {
      kernel(target.buffer);
      return out;
    }
    const beside = filled(backend, target.size, dtype, kernel);
    backend.free(target.buffer);
    target.buffer = beside;
    return out;
  }
  return track(new DeviceTensor(backend, shape, dtype, filled(backend, sizeOf(shape), dtype, kernel), null));
}

/** A new buffer with what `kernel` writes; freed again if that fails. */
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

/** Runs a fused kernel; false where the backend has none or it declines. */
export function fused<K extends keyof Kernels<unknown>>(
  backend: Backend,
  name: K,
  ...operands: Parameters<NonNullable<Kernels<unknown>[K]>>
): boolean {
  const { kernels } = backend;
  const kernel = kernels?.[name] as ((...operands: unknown[]) => void | false) | undefined;
  return kernel !== undefined && kernel.apply(kernels, operands) !== false;
}

/** Buffers of a composition, freed when it is enqueued. */
export type Scratch = (length: number, dtype?: DType) => unknown;

/**
 * Composes an operation from the backend's basis.
 *
 * @throws ERR_UNSUPPORTED where there is none, naming the backends in use that have what it takes
 */
export function composed(
  operation: string,
  kernel: keyof Kernels<unknown> | null,
  first: FloatTensor,
  compose: (basis: Basis<unknown>, scratch: Scratch) => void,
): void {
  const { backend, dtype } = first;
  const { basis } = backend;
  if (!basis) throw unsupported(operation, kernel, backend);
  const made: unknown[] = [];
  try {
    compose(basis, (length, type = dtype) => {
      const buffer = allocate(backend, length, type);
      made.push(buffer);
      return buffer;
    });
  } finally {
    for (const buffer of made) backend.free(buffer);
  }
}

function unsupported(operation: string, kernel: keyof Kernels<unknown> | null, backend: Backend): SoftgradError {
  const others = openedBackends((other) => other.basis !== undefined || (kernel !== null && !!other.kernels?.[kernel]));
  const who =
    others.length > 0 ? `${others.join(', ')} can: move the operands with await x.to(backend)` : 'no open backend can';
  return new SoftgradError(
    'ERR_UNSUPPORTED',
    `${operation}: ${backend.name} has neither a kernel for it nor a basis to compose it from; ${who}`,
  );
}
