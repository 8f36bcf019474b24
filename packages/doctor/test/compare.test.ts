import { describe, expect, test } from 'vitest';
import { leastErrors, measure, type Noise, relativeErrors } from '../src/compare.js';
import type { Candidate } from '../src/form.js';
import { normal } from './random.js';

/** Most candidates are ruled out by a lower bound of their errors. */

const next = normal(31);
const numbers = (scale: number) => Float64Array.from({ length: 60 }, () => scale * next());
const sizes = (scale: number) => numbers(scale).map(Math.abs);

const data = numbers(1);
const levels: readonly Noise[] = [
  { relative: 0, absolute: 0, resolution: 0 },
  { relative: 1e-6, absolute: 1e-12, resolution: 1e-6 },
  { relative: 1e-3, absolute: 0, slack: sizes(1e-2), ofInputs: 2, resolution: 1e-3 },
  { relative: 0.3, absolute: 0.1, slack: sizes(0.1), ofInputs: 1, resolution: 0.3 },
];

function near(distance: number): Candidate {
  const values = data.map((value) => value + distance * next());
  return { formula: 'near', values, terms: sizes(2), open: sizes(1e-3) };
}

describe.each([0, 1e-6, 1e-3, 0.1, 1, 100])('the numbers are %d off', (distance) => {
  test.each([1, 1e-8, 1e6])('the bound is no higher than the error of any noise, in the unit %d', (unit) => {
    const { values, terms, open, formula } = near(distance);
    const scaled = (a: unknown) => (a as Float64Array).map((value) => unit * value);
    const candidate = { formula, values: scaled(values), terms: scaled(terms), open: scaled(open) };
    const own = levels.map(({ slack, absolute, ...noise }): Noise => {
      return { ...noise, absolute: unit * absolute, ...(slack ? { slack: scaled(slack) } : {}) };
    });
    const errors = relativeErrors(measure(scaled(data)), candidate, own);
    leastErrors(measure(scaled(data)), candidate, own).forEach((least, level) => {
      expect(least).toBeGreaterThanOrEqual(0);
      expect(least).toBeLessThanOrEqual(errors[level] ?? 0);
    });
  });
});

test('the bound of numbers that are far off is their error but for the noise', () => {
  const candidate = near(3);
  const given = measure(data);
  const [plain = 0, fine = 0, coarse = 0] = relativeErrors(given, candidate, levels);
  const least = leastErrors(given, candidate, levels);
  expect(least[0]).toBeCloseTo(plain, 5);
  expect(least[1]).toBeCloseTo(fine, 4);
  expect(least[2]).toBeGreaterThan(0.95 * coarse);
});

test('the bound is reached where the noise is in proportion to the differences', () => {
  const all = (value: number) => data.map(() => value);
  const candidate = { formula: 'constant', values: all(3), terms: all(2), open: all(0.1) };
  const own = [...levels.slice(0, 2), { relative: 0.1, absolute: 0.2, slack: all(0.3), ofInputs: 2, resolution: 0.1 }];
  const given = measure(all(5));
  const errors = relativeErrors(given, candidate, own);
  expect(errors[2]).toBeCloseTo((2 - 0.2 - 0.2 - 0.3 - 0.2) / 5, 12);
  leastErrors(given, candidate, own).forEach((least, level) => {
    expect(least).toBeLessThanOrEqual(errors[level] ?? 0);
    expect(least).toBeCloseTo(errors[level] ?? 0, 5);
  });
});

test('numbers that are repeated have the same errors, however many there are', () => {
  const times = (array: unknown, count: number) =>
    Float64Array.from({ length: count * data.length }, (_, k) => (array as Float64Array)[k % data.length] ?? 0);
  const { formula, values, terms, open } = near(3);
  const once = relativeErrors(measure(data), { formula, values, terms, open }, levels);
  expect(new Set(once).size).toBe(levels.length);
  for (const count of [2, 4, 5, 9, 64]) {
    const own = levels.map(
      ({ slack, ...noise }): Noise => ({ ...noise, ...(slack && { slack: times(slack, count) }) }),
    );
    const many = { formula, values: times(values, count), terms: times(terms, count), open: times(open, count) };
    const errors = relativeErrors(measure(times(data, count)), many, own);
    errors.forEach((error, level) => {
      expect(error / (once[level] ?? 0)).toBeCloseTo(1, 12);
    });
  }
});

test('where numbers or terms are not finite there is no bound', () => {
  const { values, terms, formula } = near(1);
  const withOne = (a: unknown, value: number) => (a as Float64Array).map((own, k) => (k === 7 ? value : own));
  const given = measure(data);
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    for (const candidate of [
      { formula, values: withOne(values, value), terms },
      { formula, values, terms: withOne(terms, value) },
    ]) {
      expect(leastErrors(given, candidate, levels)).toEqual(levels.map(() => 0));
    }
    const broken = measure(withOne(data, value));
    expect(leastErrors(broken, { formula, values, terms }, levels)).toEqual(levels.map(() => 0));
  }
});
