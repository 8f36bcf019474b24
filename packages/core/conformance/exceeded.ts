import { isSoftgradError, type Supports } from '../src/index.js';

type Limits = Supports['limits'];

/** Why a call that core refused because of a limit says nothing about a backend that announces this limit; null for any other error. */
export function exceededLimit(error: unknown, { elements, classes }: Limits): string | null {
  const found = limitIn(error);
  if (found === null) return null;
  if (found.elements === elements) return limitedElements(elements);
  return found.classes === classes ? limitedClasses(classes) : null;
}

/** The reason why a case does not apply whose buffers are too large. */
export function limitedElements(most: number): string {
  return `limits buffers to ${most} elements`;
}

/** The reason why a case does not apply whose rows are too long. */
export function limitedClasses(most: number): string {
  return `limits rows to ${most} classes`;
}

/**
 * The limit that core names in an error. An error of the backend's own `alloc` may have the same text: only if that names the limit that is announced, and more
 * than it, is the call too large.
 */
export function limitIn(error: unknown): Partial<Limits> | null {
  if (!isSoftgradError(error)) return null;
  const { code, message } = error;
  if (code === 'ERR_OUT_OF_MEMORY') {
    const [, most, asked] = /at most (\d+) elements in one buffer; (\d+) were asked for/.exec(message) ?? [];
    return Number(asked) > Number(most) ? { elements: Number(most) } : null;
  }
  const [, asked, most] = /(\d+) classes; .* takes at most (\d+) in one row/.exec(message) ?? [];
  return code === 'ERR_UNSUPPORTED' && Number(asked) > Number(most) ? { classes: Number(most) } : null;
}
