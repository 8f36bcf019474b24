import { type ErrorCode, SoftgradError } from '@softgrad/core';

/** The code and message with which an action fails. */
export function failure(action: () => unknown): readonly [code: ErrorCode, message: string] {
  try {
    action();
  } catch (error) {
    if (error instanceof SoftgradError) return [error.code, error.message];
    throw error;
  }
  throw new Error('nothing was thrown');
}
