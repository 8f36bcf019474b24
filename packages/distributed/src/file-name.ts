/**
 * What to do about a name that is not UTF-8; empty for any other. Node replaces the bytes that are not by U+FFFD, in arguments and where it lists a folder, so that
 * the file is not found by that name, and a new one would have another.
 */
export function adviceOnName(path: string): string {
  return path.includes('\ufffd')
    ? '; the name has bytes that are not UTF-8 (shown as \ufffd), which Node cannot open: rename the file or folder'
    : '';
}
