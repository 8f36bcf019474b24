import { SoftgradError } from '../errors.js';

/**
 * Checks that an array still has its memory. Without it the length is 0, so that the shape would seem to be wrong. For backends and file formats.
 *
 * @param what the function and its argument, with which the message begins
 * @throws ERR_DISPOSED if the memory was detached
 *
 * @example
 * checkAttached('npyElements', data); // ERR_DISPOSED: npyElements: the array was detached: its memory was transferred or resized, …
 */
export function checkAttached(what: string, array: ArrayBufferView): void {
  if (!isDetached(array)) return;
  throw new SoftgradError(
    'ERR_DISPOSED',
    `${what}: the array was detached: its memory was transferred or resized, or it is the view() of a tensor, and memory grew for a new one; pass a copy, view().slice()`,
  );
}

/**
 * Whether the memory was taken from an array or a view, whose length is then 0: it was transferred to a worker, WebAssembly memory grew, or a resizable
 * buffer is now too short for it.
 */
function isDetached(array: ArrayBufferView): boolean {
  try {
    // Without memory a typed array has no iterator, and a DataView not even a length.
    if (array.byteLength === 0 && 'length' in array) Uint8Array.prototype.values.call(array as Uint8Array);
    return false;
  } catch {
    return true;
  }
}
