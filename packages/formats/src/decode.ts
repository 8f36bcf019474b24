import { SoftgradError } from '@softgrad/core';

/** The longest string that V8 can make. */
const longestText = 2 ** 29 - 24;

/** The encodings of texts of numbers: Excel and PowerShell write UTF-16. */
export type TextEncoding = 'utf-8' | 'utf-16le' | 'utf-16be';

/** The encoding of a text, determined by its byte order mark or else by the position of the zero byte in its first character. */
export function encodingOf(bytes: Uint8Array): TextEncoding {
  const [first = 0x20, second = 0x20] = bytes;
  if ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0)) return 'utf-16le';
  if ((first === 0xfe && second === 0xff) || (first === 0 && second !== 0)) return 'utf-16be';
  return 'utf-8';
}

/** The text of a file, without its byte order mark. @throws ERR_VALUE if it is longer than any string can be */
export function decodeText(bytes: Uint8Array, name: string): string {
  if (bytes.length <= longestText) return new TextDecoder(encodingOf(bytes)).decode(bytes);
  throw new SoftgradError(
    'ERR_VALUE',
    `${name}: ${bytes.length} bytes are more text than can be parsed; expected a .npy file for data of this size`,
  );
}
