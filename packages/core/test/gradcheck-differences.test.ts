import { expect, test } from 'vitest';
import {
  bestEstimate,
  disagree,
  type Quotient,
  quotientOf,
  type Steps,
  showKink,
} from '../src/gradcheck/differences.js';

const steps: Steps = { first: 1, range: { least: 8 ** -6, most: 8 ** 6 }, enough: 0, ratio: 4 };

/** The first steps of the estimates that are made of quotients, and the best. */
async function tried(quotient: (step: number) => Partial<Quotient>, options: Partial<Steps> = {}) {
  const taken: number[] = [];
  const best = await bestEstimate(
    async (step) => {
      taken.push(step);
      return { slope: 1, terms: 1, noise: 0, ...quotient(step) };
    },
    { ...steps, ...options },
  );
  // An estimate takes a step, its half and its quarter.
  return { best, firsts: taken.filter((_, k) => k % 3 === 0) };
}

const powers = (from: number, to: number) => {
  const sign = Math.sign(to - from) || 1;
  return Array.from({ length: Math.abs(to - from) + 1 }, (_, k) => 8 ** (from + sign * k));
};

test('shorter steps are tried while quotients disagree, until eight in a row do not improve', async () => {
  const worse = (h: number) => ({ slope: 1 / h });
  const range = { least: 8 ** -12, most: 1 };
  expect((await tried(worse, { range })).firsts).toEqual(powers(0, -8));
  const thenBetter = (h: number) => ({ slope: h > 8 ** -3.5 ? 1 / h : h * 1e-9 });
  expect((await tried(thenBetter, { range })).firsts).toEqual(powers(0, -12));
});

test('an estimate is better if its error is smaller beside its terms', async () => {
  // Across many periods of an oscillation the slope is small and its error, too, but as large as the slope.
  const aliased = (h: number) => (h > 8 ** -2.5 ? { slope: h, terms: h } : { slope: 1000 + h * 1e6, terms: 1000 });
  expect((await tried(aliased, { range: { least: 8 ** -4, most: 1 } })).best.terms).toBe(1000);
});

test('no longer step is tried where a shorter one was needed', async () => {
  // Beside a kink, the quotients across it are as small as their errors.
  const besideKink = (h: number) => (h > 8 ** -1.5 ? { slope: 1e-9 / h, terms: 1e-9 / h } : { noise: 1e-4 / h });
  const { best, firsts } = await tried(besideKink);
  expect(firsts).toEqual(powers(0, -2));
  expect(best.slope).toBe(1);
});

test('shorter steps are tried down to the end of the range, also where there are no quotients', async () => {
  const better = (h: number) => ({ slope: h });
  expect((await tried(better, { range: { least: 8 ** -3, most: 8 } })).firsts).toEqual(powers(0, -3));
  expect((await tried(better, { range: { least: 8 ** -3 * 1.01, most: 8 } })).firsts).toEqual(powers(0, -2));
  expect((await tried(() => ({ slope: Number.NaN }))).firsts).toEqual(powers(0, -6));
});

test('steps without a quotient do not count as worse ones', async () => {
  const range = { least: 8 ** -12, most: 1 };
  expect((await tried(() => ({ slope: Number.NaN }), { range })).firsts).toEqual(powers(0, -12));
});

test('no step of 0 is tried again, as between the smallest number and a kink at 0', async () => {
  const range = { least: 0, most: 0 };
  const coincident = () => {
    let left = 100;
    return () => {
      if (left-- === 0) throw new Error('a hundred quotients, and more');
      return { slope: Number.NaN };
    };
  };
  expect((await tried(coincident(), { first: 0, range })).firsts).toEqual([0]);
  expect((await tried(coincident(), { first: 2 ** -1069, range })).firsts).toEqual([2 ** -1069, 2 ** -1072]);
});

test('where rounding is the largest error, longer steps are tried up to the end of the range, and no shorter ones', async () => {
  const rounded = (h: number) => ({ noise: 1 / h });
  expect((await tried(rounded, { range: { least: 8 ** -3, most: 8 ** 3 } })).firsts).toEqual(powers(0, 3));
  expect((await tried(rounded, { range: { least: 8 ** -3, most: 8 ** 3 / 1.01 } })).firsts).toEqual(powers(0, 2));
  expect((await tried(() => ({ noise: 1 }))).firsts, 'a step that is no better ends the search').toEqual(powers(0, 1));
});

test('an error that is small enough beside the terms ends the search', async () => {
  // Of a slope h the extrapolations differ by h / 6, times 4.
  const better = (terms: number) => (h: number) => ({ slope: h, terms });
  expect((await tried(better(100), { enough: 0.01 })).firsts).toEqual(powers(0, 0));
  expect((await tried(better(0.01), { enough: 0.01 })).firsts).toEqual(powers(0, -5));
});

test('without a range there is one step; an estimate has the larger terms of the step and its half', async () => {
  const { best, firsts } = await tried((h) => ({ slope: h, terms: h }), { range: undefined } as never);
  expect([firsts, best.terms]).toEqual([[1], 1]);
  expect((await tried((h) => ({ terms: 1 / h }))).best.terms).toBe(2);
});

test('estimates disagree if their error is more than 16 times the noise, or no number', () => {
  expect([15, 16, 16.01, Number.NaN].map((error) => disagree({ error, noise: 1 }))).toEqual([false, false, true, true]);
});

test('a value that stays −Infinity changes by 0, and one that becomes −Infinity by −Infinity', () => {
  const of = (after: number, before: number) =>
    quotientOf([2], [[[after], [before]]], { divisor: 4, roundings: 1, condition: 1 });
  const none = Number.NEGATIVE_INFINITY;
  expect(of(none, none)).toEqual({ slope: 0, terms: 0, noise: 0 });
  expect(of(none, 1).slope).toBe(none);
  expect(of(1, none).slope).toBe(Number.POSITIVE_INFINITY);
  expect(of(3, 1)).toEqual({ slope: 1, terms: 1, noise: 6 });
});

test('the noise is that of the coarser numbers: of the values, or of the points where the function subtracts numbers of the size of x', () => {
  const of = (values: number, points: number, condition: number) =>
    quotientOf([2], [[[3], [1]]], { divisor: 4, roundings: 0.5, rounding: { values, points }, condition }).noise;
  expect(of(4, 1, 1)).toBe(0.5 * 2 * 3 * 4);
  expect(of(1, 8, 5)).toBe(0.5 * 2 * 2 * 5 * 8);
  expect(of(4, 8, 0.5)).toBe(0.5 * 2 * 3 * 4);
});

test('slopes of two sides differ if they are accurate beside the larger terms, and apart by more than 8 times their errors', () => {
  const side = (slope: number, error: number, terms: number) => ({ slope, error, terms, noise: 0 });
  const both = (slope: number, errors: readonly [number, number], terms: readonly [number, number] = [1, 1]) =>
    showKink([side(1, errors[0], terms[0]), side(slope, errors[1], terms[1])], 0.25);
  expect(both(2, [0.0625, 0])).toBe(true);
  expect([both(1.5, [0.0625, 0]), both(1.5 + 2 ** -50, [0.0625, 0]), both(0.5 - 2 ** -50, [0, 0.0625])]).toEqual([
    false,
    true,
    true,
  ]);
  expect([both(9, [0.125, 0.125]), both(9, [0.125, 0.126]), both(9, [0.126, 0.125])]).toEqual([true, false, false]);
  expect([both(9, [0.125, 0.25], [0, 2]), both(9, [0.125, 0.25], [2, 0])]).toEqual([true, true]);
  expect(both(Number.NaN, [0, 0])).toBe(false);
});
