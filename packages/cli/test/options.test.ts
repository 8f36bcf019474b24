import { InvalidArgumentError } from 'commander';
import { expect, test } from 'vitest';
import { fraction, integer, list, listOrNone, placeOf, positive, positiveInteger } from '../src/options.js';

/** Numbers in JavaScript or in other languages that are not decimal. */
const notDecimal = ['0x10', '0X10', '0b11', '0o17', '1_0', '1,5', '10n', '1e', '.', '1 0', '\t'] as const;

test.each([
  [
    'an integer',
    integer,
    ['0', '-1', '+1', '12', ' 3 ', '1e3', '1.'],
    ['', ' ', '1.5', 'x', '9007199254740992', 'Infinity', 'NaN', ...notDecimal],
  ],
  ['a whole number above 0', positiveInteger, ['1', '12'], ['', '0', '-1', '1.5', 'x', 'Infinity', ...notDecimal]],
  [
    'a finite number above 0',
    positive,
    ['1', '0.5', '.5', '.25', '12.5', '1e-300', '1E-3', '2.5e+1'],
    ['', ' ', '0', '-1', 'x', 'Infinity', 'nan', '1e999', ...notDecimal],
  ],
  [
    'a number from 0 to 1',
    fraction,
    ['0', '0.5', '1'],
    ['', ' ', '-0.1', '1.1', 'x', 'NaN', '0x1', '0b1', '0o0', ...notDecimal],
  ],
] as const)('%s', (name, parse, accepted, refused) => {
  expect(accepted.map(parse)).toEqual(accepted.map(Number));
  for (const text of refused) {
    expect(() => parse(text), JSON.stringify(text)).toThrow(new InvalidArgumentError(`Expected ${name}.`));
  }
});

test('a list has names between commas, each once, and at least one: with none, a check would pass because nothing ran', () => {
  expect(list('a,b-c')).toEqual(['a', 'b-c']);
  expect(list(',a,,b,')).toEqual(['a', 'b']);
  expect(list(' a , b,a')).toEqual(['a', 'b']);
  expect(list('none')).toEqual(['none']);
  for (const text of ['', ' ', ',', ' , ']) {
    const error = new InvalidArgumentError('Expected one or more, with commas between them.');
    for (const parse of [list, listOrNone]) expect(() => parse(text), JSON.stringify(text)).toThrow(error);
  }
});

test('none stands for an empty list only alone', () => {
  expect(listOrNone('none')).toEqual([]);
  expect(listOrNone('none,a')).toEqual(['none', 'a']);
  expect(listOrNone('a')).toEqual(['a']);
});

test('a store is s3:// or a folder, whatever the folder is called; other URLs are refused', () => {
  for (const store of ['s3://bucket/x', 'folder', './gs://x', 'C:/x', 'x://'])
    expect(placeOf({ root: '.', store })).toBe(store);
  expect(placeOf({ root: 'here' })).toBe('here');
  for (const store of ['gs://bucket', 'GS://bucket', 'https://x', 'git+ssh://x', 'a1://x', 'a.b-c://x']) {
    expect(() => placeOf({ root: '.', store }), store).toThrow(`${store}: expected s3://BUCKET/PREFIX, or a folder`);
  }
});
