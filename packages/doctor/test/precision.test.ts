import { describe, expect, test } from 'vitest';
import { diagnose } from '../src/index.js';
import { precisionOf } from '../src/precision.js';
import { readProblem } from '../src/problem.js';
import { isSumOfRounded } from '../src/row-sum.js';

const of = (...values: number[]) => precisionOf(Float64Array.from(values));

describe('the precision of numbers', () => {
  test('is the coarsest that holds all of them', () => {
    expect(of(0.2451171875, -0.91015625)?.name).toBe('bfloat16');
    expect(of(0.24462890625, -0.90966796875)?.name).toBe('float16');
    expect(of(0.2447, -0.9099, 0.6652)?.name).toBe('4 decimals');
    expect(of(0.244728, -0.909969)?.name).toBe('6 decimals');
    expect(of(Math.fround(0.2447), Math.fround(-0.9099), Math.fround(0.6652))?.name).toBe('4 decimals');
    expect(of(1.234e-5, 4.561e-3, 0.7893)?.name).toBe('4 significant digits');
    expect(of(0.24472847105479767, -0.9099694268)).toBeNull();
    expect(of(0, 0, Number.NaN)).toBeNull();
  });

  test('is that of a half precision whose numbers were printed, where that is no chance', () => {
    const values = [-0.91015625, 0.2451171875, 0.6640625, -0.1787109375, 0.111328125, 0.0673828125];
    expect(of(...values.map((value) => Number(value.toFixed(6))))?.name).toBe('bfloat16, printed with 6 decimals');
    expect(of(0.91, 0.245)?.name).toBe('3 decimals');
  });

  test('is also that of a printout, where it leaves more open for every number: what was printed as 0 may be anything below', () => {
    expect(of(0.125, -0.125, 0)).toEqual({
      name: 'bfloat16, or printed with 3 decimals',
      slack: Float64Array.of(0.5e-3, 0.5e-3, 0.5e-3),
      unit: 2 ** -8,
    });
    expect(of(0.125, -0.5)?.name).toBe('bfloat16');
  });

  test('leaves half of the last place, of float16 below its normal numbers half of 2⁻²⁴', () => {
    expect(of(0.2451171875, -0.91015625)?.slack).toEqual(Float64Array.of(2 ** -11, 2 ** -9));
    expect(of(0.2447, -0.9099)?.slack).toEqual(Float64Array.of(0.5e-4, 0.5e-4));
    const subnormal = of(3 * 2 ** -24, -(2 ** -24));
    expect([subnormal?.name, subnormal?.slack]).toEqual(['bfloat16 or float16', Float64Array.of(2 ** -25, 2 ** -25)]);
  });

  test('tells decimals from significant digits by which of the last places are used', () => {
    expect(of(0.0048, 0.0005, -0.0114)?.name).toBe('4 decimals');
    expect(of(0.00481, 0.000523, -0.0114)?.name).toBe('3 significant digits');
    // The last decimal is used by two of three, the fourth digit by one.
    expect(of(12.34, 0.0048, 0.0049)?.name).toBe('4 decimals');
  });
});

test('what half precision leaves of a sum that is 0 are multiples of the last place of its terms', () => {
  const problem = readProblem({ probabilities: [[0.5, 0.25, 0.25]] });
  const [last, middle] = [2 ** -10, 2 ** -11];
  const unit = 2 ** -8;
  expect(isSumOfRounded(problem, Float64Array.of(last, -middle, 0), unit)).toBe(true);
  expect(isSumOfRounded(problem, Float64Array.of(last, middle / 2, 0), unit)).toBe(false);
  expect(isSumOfRounded(problem, Float64Array.of(last, -middle), unit)).toBe(false);
  const logits = [
    [1, 2, 3],
    [3, 1, 0.5],
  ];
  const summed = [
    [0, 2 ** -11, -(2 ** -10)],
    [2 ** -9, 0, 0],
  ];
  expect(diagnose({ logits, gradient: summed }).verdict).toBe('row-sum');
  const other = [
    [1.0013580322265625e-5, 4.57763671875e-5, -5.5789947509765625e-5],
    [2.467632293701172e-5, -1.3113021850585938e-5, -1.1563301086425781e-5],
  ];
  expect(diagnose({ logits, gradient: other }).verdict).toBe('unknown');
});

test('where as many numbers use the last digit in decimals as in significant digits, the coarser of the two is taken', () => {
  // 0.98987 and -0.00987 printed with three digits.
  const numbers = Float64Array.of(-0.01, -0.91, -0.01, 0.99, -0.00987);
  expect(precisionOf(numbers)?.name).toBe('3 significant digits');
  const s = [1e-9, 2e-9, 3e-9, 0.99987, 0.00013];
  const gradient = [s.map((value, i) => Number((value - (i === 1 ? 0.96 : 0.01)).toExponential(2)))];
  const { matches } = diagnose({ probabilities: [s], target: [1], labelSmoothing: 0.05, gradient });
  expect(matches.map(({ id }) => id)).toContain('right');
});
