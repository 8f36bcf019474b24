/** The stable codes of every error that softgrad throws; tests and callers switch on these, never on messages. */
export type ErrorCode =
  /** A shape does not fit the operation. */
  | 'ERR_SHAPE'
  /** An axis that the tensor does not have. */
  | 'ERR_AXIS'
  /** A dtype that the operation or the backend does not support. */
  | 'ERR_DTYPE'
  /** An option or a value outside its domain (temperature 0, a class index past the last class). */
  | 'ERR_VALUE'
  /** The backend has neither a kernel for the operation nor the basis to compose it from. */
  | 'ERR_UNSUPPORTED'
  /** Operands live on different backends; the message names both. */
  | 'ERR_BACKEND_MISMATCH'
  /** The backend cannot run here; the message says what is missing and how to install it. */
  | 'ERR_BACKEND_UNAVAILABLE'
  /** The tensor was disposed, its backend was closed, or the memory of an array was detached. */
  | 'ERR_DISPOSED'
  /** Not enough memory; the message says how much was requested and what the limit is. */
  | 'ERR_OUT_OF_MEMORY'
  /** The device was lost. Host data is intact; `setBackend`, `openShared` and a provider's `open` give a new backend. */
  | 'ERR_DEVICE_LOST';

/**
 * The one error class of softgrad: an `Error` with a stable `code`.
 *
 * @example
 * try {
 *   softmax(x, { axis: 3 });
 * } catch (error) {
 *   if (isSoftgradError(error) && error.code === 'ERR_AXIS') console.log(error.message);
 *   // softmax: axis 3 of a rank-2 tensor; expected -2 to 1
 * }
 */
export class SoftgradError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'SoftgradError';
    this.code = code;
  }
}

/**
 * True for an error thrown by any copy of softgrad in this process, for which `instanceof SoftgradError` is false.
 *
 * @example
 * isSoftgradError(new SoftgradError('ERR_AXIS', 'no such axis')); // true
 */
export function isSoftgradError(error: unknown): error is SoftgradError {
  return error instanceof Error && error.name === 'SoftgradError' && 'code' in error;
}

/**
 * Calls `body`, and names the operation in an error for want of memory, which backends and host arrays do not know. Other errors have its name.
 */
export function inOperation<T>(operation: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw named(operation, error);
  }
}

/** The error that `inOperation` throws, with advice behind it. Short calls use it without `inOperation`, whose function would have to be made. */
export function named(operation: string, error: unknown, advice = ''): unknown {
  if (!isSoftgradError(error) || error.code !== 'ERR_OUT_OF_MEMORY') return error;
  return new SoftgradError(error.code, `${operation}: ${error.message}${advice}`, { cause: error });
}
