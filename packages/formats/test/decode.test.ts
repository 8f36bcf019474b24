import { expect, test } from 'vitest';
import { csvLines, decodeText, encodingOf, jsonRows, npyElements, parseJson, parseText } from '../src/index.js';

/** A text in UTF-16. */
function utf16(text: string, littleEndian: boolean): Uint8Array {
  const bytes = Buffer.from(text, 'utf16le');
  return littleEndian ? bytes : bytes.swap16();
}

const marked = (text: string) => [
  Buffer.from(`\ufeff${text}`),
  utf16(`\ufeff${text}`, true),
  utf16(`\ufeff${text}`, false),
];
const unmarked = (text: string) => [Buffer.from(text), utf16(text, true), utf16(text, false)];

test('texts are read in UTF-8 and UTF-16, with a byte order mark, or without one if they begin in ASCII', async () => {
  const encodings = ['utf-8', 'utf-16le', 'utf-16be'];
  expect(marked('1').map(encodingOf)).toEqual(encodings);
  expect(marked('α').map(encodingOf)).toEqual(encodings);
  expect(unmarked('1').map(encodingOf)).toEqual(encodings);
  // Half of a byte order mark, or two zero bytes, does not determine the encoding.
  const unmarkedBytes = [[], [0x31], [0xff], [0xfe, 0x31], [0xff, 0x31], [0x31, 0xfe], [0x31, 0xff], [0, 0]];
  for (const bytes of unmarkedBytes) {
    expect(encodingOf(Uint8Array.from(bytes)), String(bytes)).toBe('utf-8');
  }
  const expected = { shape: [1, 2], data: Float64Array.of(1, -2.5) };
  const json = '[[1, -2.5]]';
  for (const bytes of [...marked(json), ...unmarked(json)]) expect(parseJson(bytes, 'x')).toEqual(expected);
  for (const text of [json, '[[1. -2.5]]', '1;-2.5', 'a b\n1 -2.5', 'array([[1. , -2.5]])']) {
    for (const bytes of [...marked(text), ...unmarked(text)]) {
      expect(await parseText(bytes, 'x', 1e9), text).toEqual(expected);
    }
  }
  for (const bytes of marked('α,β\n1,-2.5')) expect(await parseText(bytes, 'x', 1e9)).toEqual(expected);
  expect(decodeText(utf16('\ufeffµ', false), 'x')).toBe('µ');
});

test('bytes that are no text are refused by what they are, without a control character in the message', async () => {
  const latin1 = (text: string) => Buffer.from(text, 'latin1');
  for (const [bytes, found] of [
    ['\x1f\x8b\x08\x00\x00\x00', 'compressed with gzip; expected text, as in gunzip -c FILE | softgrad softmax -'],
    ['BZh91AY', 'compressed with bzip2; '],
    ['\x28\xb5\x2f\xfd\x04', 'compressed with Zstandard; '],
    ['\xfd7zXZ\x00', 'compressed with xz; '],
    ['PK\x03\x04\x14\x00', 'a ZIP archive, such as .npz or .xlsx; expected text, or a .npz file with that ending'],
    ['\x93NUMPY\x01\x00', 'the bytes of a .npy file; expected text, or a file with the ending .npy'],
    ['\x89HDF\r\n', 'an HDF5 file; '],
    ['1,2\n3,\x004', 'bytes of value zero, '],
    ['\xff\xfe\x00\x001\x00\x00\x00', 'bytes of value zero, '],
  ]) {
    const error = await parseText(latin1(bytes), 'x', 1e9).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'ERR_VALUE', message: expect.stringContaining(`x: ${found}`) });
    expect(error).toMatchObject({ message: expect.not.stringMatching(/\p{Cc}/u) });
  }
  // The beginning of a name, not of an archive.
  expect(await parseText(latin1('PK,BZ\n1,2'), 'x', 1e9)).toMatchObject({ shape: [1, 2] });
});

test('bytes and numbers that were transferred to a worker are errors that say so', async () => {
  const transferred = <A extends ArrayBufferView>(array: A): A => {
    structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
    return array;
  };
  const bytes = () => transferred(new Uint8Array([0x31]));
  const array = () => ({ shape: [2], data: transferred(Float64Array.of(1, 2)) });
  for (const [where, read] of [
    ['x.json', () => parseJson(bytes(), 'x.json')],
    ['x.csv', () => parseText(bytes(), 'x.csv', 1e9)],
    ['npyElements', () => npyElements(array().data, '<f2')],
    ['csvLines', () => [...csvLines(array(), ',')]],
    ['jsonRows', () => [...jsonRows(array())]],
  ] as const) {
    await expect((async () => read())()).rejects.toMatchObject({
      code: 'ERR_DISPOSED',
      message: expect.stringMatching(new RegExp(`^${where}: the array was detached`)),
    });
  }
});
