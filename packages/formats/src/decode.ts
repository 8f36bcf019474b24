import { checkAttached, SoftgradError } from '@softgrad/core';

/** The longest string that V8 can make. */
const longestText = 2 ** 29 - 24;

/** The encodings of texts of numbers: Excel and PowerShell write UTF-16. */
export type TextEncoding = 'utf-8' | 'utf-16le' | 'utf-16be';

/**
 * The encoding of a text, determined by its byte order mark or else by the position of the zero byte in its first character.
 *
 * @param bytes the beginning of the text, at least two bytes of it unless it is shorter
 * @example
 * encodingOf(Uint8Array.of(0xff, 0xfe, 0x31, 0x00)); // 'utf-16le'
 */
export function encodingOf(bytes: Uint8Array): TextEncoding {
  const [first = 0x20, second = 0x20] = bytes;
  if ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0)) return 'utf-16le';
  if ((first === 0xfe && second === 0xff) || (first === 0 && second !== 0)) return 'utf-16be';
  return 'utf-8';
}

/** The first bytes of files that are no text, and what to do about them. */
const binaryFormats: readonly (readonly [magic: string, advice: string])[] = [
  ['\x1f\x8b', `compressed with gzip; ${unpacked('gunzip')}`],
  ['BZh', `compressed with bzip2; ${unpacked('bunzip2')}`],
  ['\x28\xb5\x2f\xfd', `compressed with Zstandard; ${unpacked('unzstd')}`],
  ['\xfd7zXZ', `compressed with xz; ${unpacked('unxz')}`],
  ['PK\x03\x04', 'a ZIP archive, such as .npz or .xlsx; expected text, or a .npz file with that ending'],
  ['\x93NUMPY', 'the bytes of a .npy file; expected text, or a file with the ending .npy'],
  ['\x89HDF', 'an HDF5 file; expected text, .npy or .npz'],
];

function unpacked(command: string): string {
  return `expected text, as in ${command} -c FILE | softgrad softmax -`;
}

/** @throws ERR_VALUE for bytes that are not those of a text */
function refuseBinary(bytes: Uint8Array, text: string, name: string): void {
  const beginning = String.fromCharCode(...bytes.subarray(0, 8));
  const found = binaryFormats.find(([magic]) => beginning.startsWith(magic));
  const advice = found?.[1] ?? 'bytes of value zero, which no text in UTF-8 or UTF-16 has; expected text';
  if (found !== undefined || text.includes('\0')) throw new SoftgradError('ERR_VALUE', `${name}: ${advice}`);
}

/**
 * The text of a file in UTF-8 or UTF-16, without its byte order mark.
 *
 * @param name of the file, for messages
 * @throws ERR_VALUE if it has more bytes than a string of V8 can have characters (2²⁹ − 24), or if it is binary
 * @throws ERR_DISPOSED for bytes that were transferred to a worker
 * @example
 * decodeText(Uint8Array.of(0xff, 0xfe, 0x31, 0x00), 'logits.txt'); // '1'
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  checkAttached(name, bytes);
  if (bytes.length <= longestText) {
    const text = new TextDecoder(encodingOf(bytes)).decode(bytes);
    refuseBinary(bytes, text, name);
    return text;
  }
  throw new SoftgradError(
    'ERR_VALUE',
    `${name}: ${bytes.length} bytes are more text than can be parsed; expected a .npy file for data of this size`,
  );
}
