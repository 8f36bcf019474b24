import type { Decimal } from 'decimal.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  add,
  type DoubleDouble,
  div,
  exactly,
  exp,
  log,
  log1p,
  mul,
  product,
  scaled,
  sub,
} from '../reference/doubledouble.js';
import { exact, Precise } from './decimal.js';

const decimal = ({ hi, lo }: DoubleDouble) => exact(hi).plus(exact(lo));

/** Relative error against 120 digits. */
function error(actual: DoubleDouble, expected: Decimal): number {
  if (expected.isZero()) return Math.abs(actual.hi);
  return decimal(actual).minus(expected).div(expected).abs().toNumber();
}

const moderate = fc.double({ min: -1e100, max: 1e100, noNaN: true }).filter((x) => x === 0 || Math.abs(x) > 1e-100);
const pair = fc
  .tuple(moderate, fc.double({ min: -0.5, max: 0.5, noNaN: true }))
  .map(([hi, part]) => add(exactly(hi), exactly(hi * part * 2 ** -53)));
const bits = (n: number) => 2 ** -n;

describe('double-double arithmetic against 120 digits', () => {
  test('a sum is right to 2⁻¹⁰⁴ of its larger operand, and exact for two float64', () => {
    fc.assert(
      fc.property(pair, pair, (a, b) => {
        const expected = decimal(a).plus(decimal(b));
        const size = Math.max(Math.abs(a.hi), Math.abs(b.hi));
        return decimal(add(a, b))
          .minus(expected)
          .abs()
          .lte(new Precise(size).times(bits(104)));
      }),
    );
    expect(add(exactly(1), exactly(2 ** -80))).toEqual({ hi: 1, lo: 2 ** -80 });
    expect(sub(exactly(1), exactly(2 ** -80))).toEqual({ hi: 1, lo: -(2 ** -80) });
  });

  test('products and quotients are right to 2⁻¹⁰²', () => {
    fc.assert(fc.property(pair, pair, (a, b) => error(mul(a, b), decimal(a).times(decimal(b))) < bits(102)));
    fc.assert(
      fc.property(
        pair,
        pair.filter(({ hi }) => hi !== 0),
        (a, b) => error(div(a, b), decimal(a).div(decimal(b))) < bits(102),
      ),
    );
  });

  test('products and quotients of which the low part underflows are right to one subnormal number', () => {
    const smallest = new Precise(2).pow(-1074);
    const tiny = fc.double({ min: 2 ** -538, max: 2 ** -470, noNaN: true });
    const divisor = fc.double({ min: 0.1, max: 10, noNaN: true });
    fc.assert(
      fc.property(tiny, tiny, divisor, (a, b, c) => {
        const expected = exact(a).times(exact(b));
        const within = (actual: DoubleDouble, value: Decimal) =>
          exact(actual.hi)
            .minus(value)
            .abs()
            .lte(smallest.plus(value.abs().times(bits(53))));
        const small = product(a, b);
        return (
          within(small, expected) &&
          within(mul(exactly(a), exactly(b)), expected) &&
          within(div(exactly(small.hi), exactly(c)), exact(small.hi).div(exact(c)))
        );
      }),
    );
  });

  test('products and quotients of the largest numbers are right to 2⁻¹⁰²', () => {
    const right = (actual: DoubleDouble, float64: number, expected: Decimal) =>
      Number.isFinite(float64) ? error(actual, expected) < bits(102) : actual.hi === float64;
    const areRight = (a: number, b: number) => {
      const [x, y] = [exactly(a), exactly(b)];
      const expected = exact(a).times(exact(b));
      return (
        right(div(x, y), a / b, exact(a).div(exact(b))) &&
        [mul(x, y), mul(y, x), product(a, b), product(b, a)].every((actual) => right(actual, a * b, expected))
      );
    };
    const large = fc.double({ min: 2 ** 890, max: Number.MAX_VALUE, noNaN: true });
    fc.assert(fc.property(large, fc.double({ min: 2 ** -132, max: 2 ** 132, noNaN: true }), areRight));
    // Of factors whose upper halves may have a product beyond the largest number.
    fc.assert(
      fc.property(fc.double({ min: 2 ** 500, max: 2 ** 501, noNaN: true }), (a) =>
        areRight(a, (1 - 2 ** -40) * (Number.MAX_VALUE / a)),
      ),
    );
    // The quotient times 1.5, rounded, is beyond the largest number.
    expect(div(exactly(Number.MAX_VALUE), exactly(1.5)).hi).toBe(Number.MAX_VALUE / 1.5);
  });

  test('exp is right to 2⁻⁹⁶ over the range in which its low part is a normal number', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -600, max: 709, noNaN: true }),
        (x) => error(exp(exactly(x)), Precise.exp(exact(x))) < bits(96),
      ),
    );
    for (const x of [0, 1, -1, 0.5, Math.LN2, -Math.LN2 / 2, 1e-20, -37.42994775023705, 88.72, -103.9]) {
      expect(error(exp(exactly(x)), Precise.exp(exact(x)))).toBeLessThan(bits(96));
    }
    // Here the error is larger if a step of the reduction leaves its two parts overlapping.
    const reduced = { hi: 568.1016504040981, lo: -2.23600486589998e-14 };
    expect(error(exp(reduced), Precise.exp(decimal(reduced)))).toBeLessThan(bits(96));
  });

  test('log is right to 2⁻⁹⁶, near 1 too', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-200, max: 1e200, noNaN: true }),
        (x) => error(log(exactly(x)), Precise.ln(exact(x))) < bits(96),
      ),
    );
    for (const x of [1 + 2 ** -52, 1 - 2 ** -53, 1.0001, 0.9, 2, Math.E, 1e-300]) {
      expect(error(log(exactly(x)), Precise.ln(exact(x)))).toBeLessThan(bits(50));
      expect(
        decimal(log(exactly(x)))
          .minus(Precise.ln(exact(x)))
          .abs()
          .toNumber(),
      ).toBeLessThan(bits(92) * Math.max(1, Math.abs(Math.log(x))));
    }
  });

  test('log1p is accurate for small arguments', () => {
    const logarithms = fc.double({ min: -200, max: 20, noNaN: true }).map((exponent) => 2 ** exponent);
    fc.assert(fc.property(logarithms, (x) => error(log1p(exactly(x)), Precise.ln(exact(x).plus(1))) < bits(49)));
    expect(log1p(exactly(2 ** -150)).hi).toBe(2 ** -150);
  });

  test('non-finite values and the ends of the range come out as in float64', () => {
    expect(exp(exactly(Number.NEGATIVE_INFINITY)).hi).toBe(0);
    expect(exp(exactly(-800)).hi).toBe(0);
    expect(exp(exactly(-744)).hi).toBe(Math.exp(-744));
    expect(exp(exactly(711)).hi).toBe(Number.POSITIVE_INFINITY);
    expect(exp(exactly(Number.NaN)).hi).toBeNaN();
    expect(log(exactly(0)).hi).toBe(Number.NEGATIVE_INFINITY);
    expect(log(exactly(-1)).hi).toBeNaN();
    expect(sub(exactly(0), exactly(Number.NEGATIVE_INFINITY)).hi).toBe(Number.POSITIVE_INFINITY);
    expect(mul(exactly(1), exactly(Number.NEGATIVE_INFINITY)).hi).toBe(Number.NEGATIVE_INFINITY);
    expect(mul(exactly(0), exactly(Number.POSITIVE_INFINITY)).hi).toBeNaN();
    expect(div(exactly(1), exactly(0)).hi).toBe(Number.POSITIVE_INFINITY);
    // The low part has the other sign, and overflows as well.
    for (const sign of [1, -1]) {
      const large = { hi: sign * 2 ** 1000, lo: -sign * 2 ** 946 };
      expect(scaled(large, 2 ** 200)).toEqual(exactly(sign * Number.POSITIVE_INFINITY));
      expect(div(large, exactly(1e-212))).toEqual(exactly(sign * Number.POSITIVE_INFINITY));
    }
  });
});
