import { shortened } from '@softgrad/core';

/** Characters without width, such as those that are pasted with a number from a page, and control characters that editors leave; no blanks. */
export const invisible = /(?![\t-\r])[\p{Cc}\p{Cf}]/gu;
/** What JSON does not escape: controls and line separators, which can control a terminal, and characters that cannot be seen. */
const unprinted = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/**
 * Text of unknown origin for a one-line message: quoted, escaped as in JSON, with every control and invisible character, and shortened.
 *
 * @example
 * quote('7\u200b'); // '"7\\u200b"'
 */
export function quote(text: string): string {
  const escaped = JSON.stringify(shortened(text));
  return escaped.replace(unprinted, (c) =>
    c
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
