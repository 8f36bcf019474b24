import { SoftgradError } from '@softgrad/core';

/** V8 makes no longer string. */
const longestText = 2 ** 29 - 24;

/** The encodings that texts of numbers come in: Excel and PowerShell write UTF-16. */
export type TextEncoding = 'utf-8' | 'utf-16le' | 'utf-16be';

/** The encoding of a text, told from its byte order mark, or from where the zeros of its first character are. */
export function encodingOf(bytes: Uint8Array): TextEncoding {
  const [first = 0x20, second = 0x20] = bytes;
  if ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0)) return 'utf-16le';
  if ((first === 0xfe && second === 0xff) || (first === 0 && second !== 0)) return 'utf-16be';
  return 'utf-8';
}

/** The text of a file, without its byte order mark. @throws ERR_VALUE where no string is long enough for it */
export function decodeText(bytes: Uint8Array, name: string): string {
  if (bytes.length <= longestText) return new TextDecoder(encodingOf(bytes)).decode(bytes);
  throw new SoftgradError(
    'ERR_VALUE',
    `${name}: ${bytes.length} bytes are too much text to parse; expected a .npy file for data of this size`,
  );
}
