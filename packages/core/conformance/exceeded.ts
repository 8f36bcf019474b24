import { isSoftgradError } from '../src/index.js';

/** The reason why a case does not apply whose buffers are too large. */
export function limitedElements(most: number): string {
  return `limits buffers to ${most} elements`;
}

/** The reason why a case does not apply whose rows are too long: these are all stated, as requirements. */
export function limitedClasses(most: number): string {
  return `limits rows to ${most} classes`;
}

/**
 * The limit of elements that core names where it refuses a buffer, or null. An error of the backend's own `alloc` may have the same text: only if that names the limit
 * that is announced, and more than it, is the buffer too large.
 */
export function exceededElements(error: unknown): number | null {
  if (!isSoftgradError(error) || error.code !== 'ERR_OUT_OF_MEMORY') return null;
  const [, most, asked] = /at most (\d+) elements in one buffer; (\d+) were asked for/.exec(error.message) ?? [];
  return Number(asked) > Number(most) ? Number(most) : null;
}
