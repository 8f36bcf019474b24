import { SoftgradError } from '../errors.js';
import { describe } from '../tensor/describe.js';
import { checkDTypeName, type DType, isFloat } from '../tensor/dtype.js';
import type { Backend } from './interface.js';
import { isBackend, noteBackend } from './registry.js';

// What a backend takes: dtypes, and the sizes of buffers and rows.

/** @throws ERR_DTYPE if it is not a dtype or the backend does not compute it, ERR_VALUE for a backend that is not open */
export function checkDType(operation: string, dtype: DType, backend: Backend): void {
  if (!isBackend(backend)) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${operation}: the backend is ${describe(backend)}, expected an open one: await openShared(…), which takes names and providers`,
    );
  }
  if (backend.closed) {
    throw new SoftgradError('ERR_DISPOSED', `${operation}: backend ${backend.name} was closed; open it again`);
  }
  noteBackend(backend);
  checkDTypeName(operation, dtype);
  if (isFloat(dtype) && !backend.supports.dtypes.includes(dtype)) {
    const { dtypes, device } = backend.supports;
    const as = operation === 'to' ? `await x.to(backend, '${dtypes[0]}')` : `tensor(data, { dtype: '${dtypes[0]}' })`;
    throw new SoftgradError(
      'ERR_DTYPE',
      `${operation}: ${backend.name} has no ${dtype}, only ${dtypes.join(', ')} (${device}); convert with ${as}`,
    );
  }
}

/** @throws ERR_UNSUPPORTED for rows of more classes than the backend takes */
export function checkClasses(operation: string, backend: Backend, classes: number): void {
  const most = backend.supports.limits.classes;
  if (classes <= most) return;
  throw new SoftgradError(
    'ERR_UNSUPPORTED',
    `${operation}: ${classes} classes; ${backend.name} takes at most ${most} in one row`,
  );
}

/** A buffer within the backend's limits. @throws ERR_OUT_OF_MEMORY */
export function allocate<B>(backend: Backend<B>, size: number, dtype: DType, use?: 'intermediate'): B {
  const most = backend.supports.limits.elements;
  if (size > most) {
    throw new SoftgradError(
      'ERR_OUT_OF_MEMORY',
      `${backend.name} holds at most ${most} elements in one buffer; ${size} were asked for`,
    );
  }
  return backend.alloc(size, dtype, use);
}
