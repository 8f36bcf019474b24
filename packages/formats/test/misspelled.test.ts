import { expect, test } from 'vitest';
import { expectedInstead, isName } from '../src/misspelled.js';

const noNumber = 'a number';

test.each([
  // The currency is before the number or after it, with a blank or without, and nowhere else.
  ['EUR1.5', 'no currency sign, as in 1.5'],
  ['EUR 12.5', 'no currency sign, as in 12.5'],
  ['EUR 1,234.5', 'no currency sign and no thousands separators, as in 1234.5'],
  ['US$-2', 'no currency sign, as in -2'],
  ['2€', 'no currency sign, as in 2'],
  ['1.5 EUR', 'no currency sign, as in 1.5'],
  ['1$2', noNumber],
  ['1.5 E', noNumber],
  // Thousands are groups of three digits after one to three.
  ['12,345.5', 'no thousands separators, as in 12345.5'],
  ['123,456,789', 'no thousands separators, as in 123456789'],
  ['-1.234,5', 'no thousands separators and a decimal point, as in -1234.5'],
  ['12.345,67', 'no thousands separators and a decimal point, as in 12345.67'],
  ['1 234 567,5', 'no thousands separators and a decimal point, as in 1234567.5'],
  ['1.234,5%', 'no thousands separators and a decimal point and no percent sign, as in 12.345'],
  ['1234.567,8', noNumber],
  ['1.234,5e3', noNumber],
  // One group of three digits may be decimals.
  ['1234,567', 'a decimal point, as in 1234.567'],
  ['-1,234', 'no thousands separator, as in -1234, or a decimal point, as in -1.234'],
  ['12,345', 'no thousands separator, as in 12345, or a decimal point, as in 12.345'],
  // What is left after a correction may need another.
  ['1,5d3', 'a decimal point and e before the exponent, as in 1.5e3'],
  ['12D-3', 'e before the exponent, as in 12e-3'],
  ['1.25d+10', 'e before the exponent, as in 1.25e+10'],
  ['.25d1', 'e before the exponent, as in .25e1'],
  ['2.d1', 'e before the exponent, as in 2.e1'],
  ['1,2,3', noNumber],
  ['1d2d3', noNumber],
  ['ad1', noNumber],
  ['1dx', noNumber],
  ['1,x', noNumber],
  ['5%3', noNumber],
  // An apostrophe and a suffix are removed only from a number.
  ["'5", 'no apostrophe, as in 5'],
  ["'-.5", 'no apostrophe, as in -.5'],
  ["'nan", noNumber],
  ['12.5f', 'no suffix, as in 12.5'],
  ['.25L', 'no suffix, as in .25'],
  ['1e-5f', 'no suffix, as in 1e-5'],
  ['-1e10n', 'no suffix, as in -1e10'],
  ['1f.5', noNumber],
  // Of a line of code, at most the signs around the number are removed.
  ['(5;', 'a number without "(" and ";", as in 5'],
  ['x = 5', 'a number without "x = ", as in 5'],
  ['abc 5;', noNumber],
  ['1x5%', noNumber],
  ['1_0x', noNumber],
  ['1e\u20135', noNumber],
  // A word for infinity keeps its sign, whichever dash it is.
  ['\u2212∞', 'a number, as in -inf'],
  ['+∞', 'a number, as in inf'],
  // What cannot be seen, or was added by a spreadsheet, a language or an input method.
  ['\u200b1', 'no invisible characters, as in 1'],
  ['1\t2', noNumber],
  ['4\u001a', 'no invisible characters, as in 4'],
  ['\u200b', noNumber],
  ['\uff0d\uff11.\uff15', 'digits from 0 to 9, as in -1.5'],
  ["'-1.5", 'no apostrophe, as in -1.5'],
  ['1.5f', 'no suffix, as in 1.5'],
  ['-.5e3L', 'no suffix, as in -.5e3'],
  ['2n', 'no suffix, as in 2'],
  ['2x', noNumber],
  ['f', noNumber],
  // Code around a number is named.
  ['1.5;', 'a number without ";", as in 1.5'],
  ['double x[] = {-1.5', 'a number without "double x[] = {", as in -1.5'],
  ['x = c(inf);', 'a number without "x = c(" and ");", as in inf'],
  ['(1.5)', "a number without parentheses: -1.5 if they are an accountant's minus sign"],
  ['x = 2y', noNumber],
  ['x 2', noNumber],
  ['[]', noNumber],
])('%j: %s', (cell, expected) => {
  expect(expectedInstead(cell)).toBe(expected);
});

test('a name may have letters and signs in it with which a misspelled number begins', () => {
  const names = [
    'banan',
    'info',
    'naïve',
    'nan_count',
    'nan 2',
    'price $5',
    'in EUR 1.5',
    'colO.5',
    'cole-5',
    'Oslo',
    'e5',
    'EUR',
  ];
  for (const name of names) expect(isName(name), name).toBe(true);
  const others = ['1', '-2.5', '1e5', 'nan', '-inf', 'Infinity', '<nan>', '(inf)', 'NaN%', 'true', 'n/a'];
  const money = [
    'US$5',
    'US$ 5',
    '$-1',
    'EUR1.5',
    'EUR 12.5',
    'EUR-1.5',
    'EUR 1,234.5',
    'O.5',
    'o,5',
    'e-5',
    'E+5',
    '=A1',
  ];
  for (const cell of [...others, ...money]) expect(isName(cell), cell).toBe(false);
});
