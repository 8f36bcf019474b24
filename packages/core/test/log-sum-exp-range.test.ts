import { Decimal } from 'decimal.js';
import { expect, inject, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/exact.js';
import { logSumExp, tensor } from '../src/index.js';
import { exact as exactly, Precise } from './decimal.js';

const right = await exact.open();

/** Rows of x / T; `npm test` has one with equal and one with different probabilities. */
const rows = [
  [0, 0, -1e6],
  [-60, 0, -2, -1, -80],
  ...(inject('everything')
    ? [
        [0, -40],
        [1, 2, 3, -30],
      ]
    : []),
];

const ranges = {
  float32: {
    temperatures: [2 ** -149, 1e-44, 1e-40, 2.9e-39, 3e-39, 1e-38, 2 ** -40, 0.01, 0.3, 1, 3, 2 ** 40, 2 ** 100, 1e38],
    sizes: [1, 2 ** -60, 2 ** -120, 2 ** -140, 2 ** 60, 2 ** 120],
    least: 2 ** -149,
    most: 2 ** 128,
    unit: 2 ** -24,
  },
  float64: {
    temperatures: [2 ** -1074, 1e-320, 1e-310, 5.5e-309, 5.6e-309, 1e-300, 2 ** -70, 0.3, 1, 3, 2 ** 600, 1e308],
    sizes: [1, 2 ** -500, 2 ** -1000, 2 ** -1060, 2 ** 500, 2 ** 1010],
    least: 2 ** -1074,
    most: Number.POSITIVE_INFINITY,
    unit: 2 ** -53,
  },
} as const;

/** Probabilities that are subnormal numbers, in float32 and in float64. A small temperature makes normal numbers of them. */
const subnormal = [-93, 0, -99, -1, -715, -730];

/** The probabilities of a row that a temperature divides. */
function probabilities(x: readonly number[], temperature: number): Decimal[] {
  const logits = x.map(exactly);
  const largest = logits.reduce((a, b) => Decimal.max(a, b), new Precise(Number.NEGATIVE_INFINITY));
  const terms = logits.map((logit) => logit.minus(largest).div(exactly(temperature)).exp());
  const sum = terms.reduce((a, b) => a.plus(b));
  return terms.map((term) => term.div(sum));
}

// Products of a probability, a direction and 1 / T overflow or become 0 only if the result does, even where 1 / T overflows.
for (const dtype of ['float32', 'float64'] as const) {
  const { temperatures, sizes, least, most, unit } = ranges[dtype];
  for (const range of ['full', 'ordinary'] as const) {
    const backend = delegate(right, { supports: { ...right.supports, range } });
    test.each(temperatures)(`vjp and jvp in ${dtype} at temperature %s, range: ${range}`, async (temperature) => {
      const round = (value: number) => (dtype === 'float32' ? Math.fround(value) : value);
      for (const row of temperature < 2 ** -10 ? [...rows, subnormal] : rows) {
        const x = row.map((value) => round(value * temperature));
        if (x.some((value) => !Number.isFinite(value))) continue;
        const p = probabilities(x, temperature);
        const of = (values: readonly number[], shape: readonly number[]) => tensor(values, { shape, dtype, backend });
        const check = (
          what: string,
          actual: ArrayLike<number>,
          expected: readonly Decimal[],
          terms: readonly Decimal[],
        ) => {
          expected.forEach((exact, i) => {
            const value = exact.toNumber();
            const rounded = Math.abs(value) >= most ? Math.sign(value) * Number.POSITIVE_INFINITY : value;
            // Products are rounded before they are divided by temperatures from 2⁻¹⁰ on.
            const bound = (terms[i] ?? exact)
              .abs()
              .times(unit * 10)
              .plus((2 * least) / (temperature >= 2 ** -10 ? Math.min(1, temperature) : 1));
            const isNear =
              actual[i] === rounded ||
              exactly(actual[i] ?? Number.NaN)
                .minus(exact)
                .abs()
                .lte(bound);
            if (!isNear) expect.fail(`${what} of [${x}]: ${actual[i]} at ${i}, expected ${value}`);
          });
        };
        for (const size of sizes) {
          const g = round(-0.3 * size);
          const t = row.map((_, c) => [size, 0, round(size * -0.5)][c % 3] ?? 0);
          const over = (factor: number, c: number) =>
            (p[c] ?? new Precise(0)).times(exactly(factor)).div(exactly(temperature));
          const products = t.map(over);
          const sum = (values: readonly Decimal[]) => values.reduce((a, b) => a.plus(b));
          const options = { temperature };
          const vjp = p.map((_, c) => over(g, c));
          check('vjp', await logSumExp.vjp(of(x, [1, x.length]), of([g], [1]), options).data(), vjp, vjp);
          const jvp = await logSumExp.jvp(of(x, [1, x.length]), of(t, [1, x.length]), options).data();
          check('jvp', jvp, [sum(products)], [sum(products.map((term) => term.abs()))]);
        }
      }
    });
  }
}
