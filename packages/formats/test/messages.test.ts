import { expect, test } from 'vitest';
import { formatBytes, formatPosition, formatShape, quote, sizeOf } from '../src/index.js';
import { parseNumber } from '../src/number.js';

test('shapes and indices are formatted as Python formats tuples and lists; an unknown number of rows is "rows"', () => {
  expect([[], [3], [4, 3], [2, 0, 1], [null, 3], [null]].map(formatShape)).toEqual([
    '()',
    '(3,)',
    '(4, 3)',
    '(2, 0, 1)',
    '(rows, 3)',
    '(rows,)',
  ]);
  expect([[], [3], [4, 3], [2, 0, 5]].map(sizeOf)).toEqual([1, 3, 12, 0]);
  const places = Array.from({ length: 12 }, (_, index) => formatPosition(index, [2, 3, 2]));
  expect(places.slice(0, 3)).toEqual(['[0, 0, 0]', '[0, 0, 1]', '[0, 1, 0]']);
  expect([places[5], places[6], places[11]]).toEqual(['[0, 2, 1]', '[1, 0, 0]', '[1, 2, 1]']);
  expect(formatPosition(0, [])).toBe('[]');
});

test('bytes are given in the largest unit that is at most the number, with three digits', () => {
  const written = [0, 0.5, 1, 999, 1000, 25_600_000, 999_400, 1e9, 8e12, 1.234e15, 1e18, 5e21].map(formatBytes);
  expect(written).toEqual([
    '0 bytes',
    '0.5 bytes',
    '1 bytes',
    '999 bytes',
    '1 kB',
    '25.6 MB',
    '999 kB',
    '1 GB',
    '8 TB',
    '1.23 PB',
    '1 EB',
    '5000 EB',
  ]);
});

test('text of unknown origin is shortened, and its control characters are escaped', () => {
  expect(quote('a "b"\n')).toBe('"a \\"b\\"\\n"');
  expect(quote('x'.repeat(60))).toBe(`"${'x'.repeat(60)}"`);
  expect(quote('x'.repeat(61))).toBe(`"${'x'.repeat(60)}…"`);
  for (const code of [0x00, 0x1b, 0x1f, 0x7f, 0x80, 0x9b, 0x9f, 0x2028, 0x2029, 0x202a, 0x202e]) {
    expect(quote(String.fromCharCode(code))).toMatch(/^"\\(u[0-9a-f]{4}|[bfnrt])"$/);
  }
  expect(quote('1\u200b\u{e0001}')).toBe('"1\\u200b\\udb40\\udc01"');
  for (const text of ['~', '\u00a0', 'é', '\u2027', '\u2030']) expect(quote(text)).toBe(`"${text}"`);
  expect(quote('\u007f\u2028')).toBe('"\\u007f\\u2028"');
});

test('numbers are decimal, or a word for NaN or infinity, in upper or lower case', () => {
  const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
  for (const [text, value] of [
    ['1', 1],
    ['12', 12],
    ['1.', 1],
    ['12.50', 12.5],
    ['.5', 0.5],
    ['.25', 0.25],
    ['+1', 1],
    ['-1.5e3', -1500],
    ['1E+2', 100],
    ['1e-12', 1e-12],
    ['-0', -0],
    ['nan', nan],
    ['NaN', nan],
    ['+nan', nan],
    ['inf', infinity],
    ['+Inf', infinity],
    ['-INFINITY', -infinity],
    ...['', '.', '-', 'e5', '1e', '1e+', '1 2', ' 1', '1x', 'x1', '1.2.3', '--1', '0x10', '1_000', '1,5'].map(
      (text) => [text, null] as const,
    ),
    ...['nano', 'in', '-in', 'inf1', '1inf', '- inf', 'constructor', '+', '\n1', 'inf\n'].map(
      (text) => [text, null] as const,
    ),
  ] as const) {
    expect(parseNumber(text), JSON.stringify(text)).toBe(value);
  }
});
