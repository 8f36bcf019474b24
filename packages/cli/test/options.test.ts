import { InvalidArgumentError } from 'commander';
import { expect, test } from 'vitest';
import { fraction, integer, list, positive, positiveInteger } from '../src/options.js';

test.each([
  [
    'an integer',
    integer,
    ['0', '-1', '12', ' 3 ', '1e3'],
    ['', ' ', '1.5', 'x', '9007199254740992', 'Infinity', 'NaN'],
  ],
  ['a whole number above 0', positiveInteger, ['1', '12'], ['', '0', '-1', '1.5', 'x', 'Infinity']],
  ['a finite number above 0', positive, ['1', '0.5', '1e-300'], ['', '0', '-1', 'x', 'Infinity', 'nan']],
  ['a number from 0 to 1', fraction, ['0', '0.5', '1'], ['', ' ', '-0.1', '1.1', 'x', 'NaN']],
] as const)('%s', (name, parse, accepted, refused) => {
  expect(accepted.map(parse)).toEqual(accepted.map(Number));
  for (const text of refused) {
    expect(() => parse(text), JSON.stringify(text)).toThrow(new InvalidArgumentError(`Expected ${name}.`));
  }
});

test('a list has names between commas', () => {
  expect(list('a,b-c')).toEqual(['a', 'b-c']);
  expect(list(',a,,b,')).toEqual(['a', 'b']);
  expect(list('')).toEqual([]);
});
