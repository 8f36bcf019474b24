import { expect, test } from 'vitest';
import { formatNumber, formatShape, subscript } from '../src/format.js';

test('a number has four digits, a true minus sign, and powers of ten where it is small or large', () => {
  const shown = (...values: readonly number[]) => values.map((value) => formatNumber(value));
  expect(shown(0, -0, 0.33529, -0.10914, 1, 12.345, 9999.4)).toEqual([
    '0',
    '0',
    '0.3353',
    '−0.1091',
    '1.000',
    '12.35',
    '9999',
  ]);
  expect(shown(0.001, 0.0056, 0.00099999, -2.775e-17, 1e5, -123456)).toEqual([
    '0.0010',
    '0.0056',
    '1.0e−3',
    '−2.8e−17',
    '1.0e5',
    '−1.2e5',
  ]);
  expect(shown(Number.NaN, Infinity, -Infinity)).toEqual(['NaN', '∞', '−∞']);
  expect(formatNumber(0.22291, 3)).toBe('0.223');
});

test('a shape is written as Python does, and an index as a subscript', () => {
  expect([formatShape([4, 3]), formatShape([3]), formatShape([2, 3, 3])]).toEqual(['(4, 3)', '(3,)', '(2, 3, 3)']);
  expect(subscript('x', 1203)).toBe('x₁₂₀₃');
});
