import { expect, test } from 'vitest';
import { difference, div, exactly, exp, nearest } from '../../core/reference/doubledouble.js';
import { logSoftmaxPart, lossOf, weightedLossOf } from '../src/from-statistics.js';
import { expOfGap } from '../src/gap.js';
import { leaf, mergeTree } from '../src/statistics.js';

/** Whole numbers, so that their products with any power of 2 are exact from the smallest float64 on: gaps up to 60 temperatures, and a few larger ones. */
const rows = Array.from({ length: 2000 }, (_, k) => {
  const temperature = 1 + ((k * 7919) % 99991);
  const max = ((k * 104729) % 1999993) - 999996;
  const most = k % 10 === 0 ? 2000 : 60;
  return { x: max - Math.floor(((k % 97) / 97) * most * temperature), max, temperature };
});

test.each([-1074, -1050, -1000, -900, 900, 980, 997])(
  'a gap and a temperature multiplied by 2 to the power of %i have the same exponential',
  (exponent) => {
    const unit = 2 ** exponent;
    for (const { x, max, temperature } of rows) {
      const label = `exp((${x} − ${max}) / ${temperature})`;
      expect(expOfGap(x * unit, max * unit, temperature * unit), label).toBe(expOfGap(x, max, temperature));
    }
  },
);

test.each([2 ** -910, 2 ** -890, 1, 2 ** 890, 2 ** 910])(
  'the exponential of a gap that is rounded is within an ULP, in units of %d',
  (unit) => {
    for (let k = 0; k < 2000; k++) {
      const [x, max, temperature] = [-400 * ((k * 0.618) % 1), 300 * ((k * 0.414) % 1), 1 + ((k * 0.732) % 1)];
      const exact = nearest(exp(div(difference(x, max), exactly(temperature))));
      const relative = expOfGap(x * unit, max * unit, temperature * unit) / exact - 1;
      expect(Math.abs(relative), `exp((${x} − ${max}) / ${temperature})`).toBeLessThanOrEqual(2 ** -52);
    }
  },
);

test('a gap may be beyond the largest float64', () => {
  const [x, max] = [-1.5 * 2 ** 1023, 1.5 * 2 ** 1023];
  const unit = 2 ** -1000;
  for (const temperature of [2 ** 1023, 2 ** 1020, 1.7 * 2 ** 1015]) {
    expect(expOfGap(x, max, temperature)).toBe(expOfGap(x * unit, max * unit, temperature * unit));
    const part = { logits: [x, max], temperature, target: 0 };
    const row = leaf(part);
    const quotient = -(1.5 * 2 ** 1020) / (temperature / 16);
    const out = new Float64Array(2);
    logSoftmaxPart(out, part, row);
    expect(out[0]).toBe(quotient - Math.log1p(row.rest));
    expect(lossOf(row, temperature)).toBe(-out[0]);
  }
  expect(expOfGap(x, max, 1)).toBe(0);
});

test.each([-1074, -1040, -700, 0, 700, 1002])(
  'the loss of a target of probabilities is the same in units of 2 to the power of %i, in one part and in several',
  (exponent) => {
    const logits = [-3145728, 3145728, 2097152, -1, 0, 12345];
    const temperature = 1572865;
    const weighted = { probabilities: [0.5, 0.125, 0.25, 0.0625, 0, 0.0625], weight: null, labelSmoothing: 0 };
    const loss = (unit: number, ends: readonly number[]) => {
      const leaves = ends.map((end, k) => {
        const [from, to] = [ends[k - 1] ?? 0, end];
        const part = { ...weighted, probabilities: weighted.probabilities.slice(from, to) };
        const scaled = logits.slice(from, to).map((logit) => logit * unit);
        return leaf({ logits: scaled, temperature: temperature * unit, weighted: part });
      });
      return weightedLossOf(mergeTree(leaves, temperature * unit), temperature * unit, weighted);
    };
    for (const ends of [[6], [1, 6], [2, 3, 6]]) {
      expect(loss(2 ** exponent, ends)).toBe(loss(1, ends));
      expect(Math.abs(loss(1, ends) / loss(1, [6]) - 1)).toBeLessThanOrEqual(2 ** -51);
    }
  },
);

test('infinite logits and NaN at every temperature', () => {
  const [infinity, least] = [Number.POSITIVE_INFINITY, 2 ** -1074];
  for (const temperature of [least, 2 ** -1000, 1, 2 ** 1000, Number.MAX_VALUE]) {
    expect(expOfGap(-infinity, 1, temperature)).toBe(0);
    expect(expOfGap(1, infinity, temperature)).toBe(0);
    for (const x of [0, 1, -Number.MAX_VALUE, Number.MAX_VALUE, least]) expect(expOfGap(x, x, temperature)).toBe(1);
    for (const [x, max] of [
      [Number.NaN, 1],
      [1, Number.NaN],
      [infinity, infinity],
      [-infinity, -infinity],
    ])
      expect(expOfGap(x, max, temperature)).toBeNaN();
  }
});
