/**
 * What to do about the name of a file that is not UTF-8, to be added to an error; empty for any other name. Node replaces the bytes that are not by
 * U+FFFD, so that the file is not found by that name, and a new one would have another.
 *
 * @example
 * adviceOnName('logits.npy'); // ''
 */
export function adviceOnName(path: string): string {
  return path.includes('\ufffd')
    ? '; the name has bytes that are not UTF-8 (shown as \ufffd), which Node cannot open: rename the file or folder'
    : '';
}
