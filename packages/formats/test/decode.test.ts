import { expect, test } from 'vitest';
import { decodeText, encodingOf, parseJson, parseText } from '../src/index.js';

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
