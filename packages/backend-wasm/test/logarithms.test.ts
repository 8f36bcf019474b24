import { type FloatDType, hostArray } from '@softgrad/core';
import { plain, reference } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { compute, logits, ulp } from './ulp.js';

const backend = await wasm.open({ relaxedSimd: false });
const { logSoftmax, logSoftmaxVjp, logSumExp } = backend.kernels ?? {};
if (!logSoftmax || !logSumExp || !logSoftmaxVjp) throw new Error('the backend has no kernels for logarithms');

/** One value for each row. */
function sums(x: Float32Array | Float64Array, outer: number, temperature = 1): ArrayLike<number> {
  const dtype = x instanceof Float64Array ? 'float64' : 'float32';
  const [input, out] = [backend.alloc(x.length, dtype), backend.alloc(outer, dtype)];
  backend.write(input, x);
  logSumExp?.(out, input, { outer, classes: x.length / outer, inner: 1 }, { ...plain, temperature });
  const values = backend.readSync?.(out) ?? [];
  for (const buffer of [input, out]) backend.free(buffer);
  return values;
}

/** The share of float64 log-sum-exps that are the exact value rounded once. */
function rounded(x: Float64Array, outer: number, temperature: number): number {
  const expected = reference.logSumExp(x, { outer, classes: x.length / outer, inner: 1 }, { temperature });
  const actual = sums(x, outer, temperature);
  return expected.filter((value, row) => actual[row] === value).length / outer;
}

test.each([0.3, 1, 2.87, 100])(
  'float64 log-sum-exp of two equal logits is x / T + log 2, rounded once, T = %d',
  (temperature) => {
    // The sum of the exponentials is exactly twice the largest: only the quotient, the logarithm and their sum are rounded.
    const row = logits('float64', 1000, 4 * temperature, 0, 5);
    const x = Float64Array.from({ length: 2000 }, (_, i) => row[i >> 1]);
    expect(rounded(x, 1000, temperature)).toBeGreaterThan(0.995);
  },
);

test('the logarithm of a float64 sum is rounded once', () => {
  // All exponentials but one are exactly 1, so that the rounding of the other one hardly changes the logarithm.
  const [outer, classes] = [300, 100];
  const other = logits('float64', outer, 0.5, -0.5, 6);
  const x = Float64Array.from({ length: outer * classes }, (_, i) => (i % classes ? 0 : other[i / classes]));
  expect(rounded(x, outer, 1)).toBeGreaterThan(0.95);
});

test('float32 log-sum-exp is right where the sum is just above a power of 2', () => {
  // Σ exp(x) / exp(max) is 2^18 and a little. Without the largest term it is below 2^18, and its last digit may be lost when 1 is added.
  const [outer, classes] = [6, 2 ** 18 + 1];
  const x = new Float32Array(outer * classes);
  for (let row = 0; row < outer; row++) {
    x.fill(0.3 + row / 10, row * classes, (row + 1) * classes);
    x[row * classes] = -1 - row / 7;
  }
  const actual = sums(x, outer);
  for (let row = 0; row < outer; row++) {
    const [other, most] = x.subarray(row * classes);
    const expected = most + Math.log(classes - 1 + Math.exp(other - most));
    expect(Math.abs(actual[row] - expected)).toBeLessThanOrEqual(2 * ulp(expected, 'float32'));
  }
});

test.each([24.5, 25.5, 26.5, 27.5, 27.9, 30])(
  'float32 log-softmax of rows whose other probabilities add up to 2^−%d is within 2 ULP',
  (gap) => {
    for (const classes of [17, 64, 128, 256]) {
      const outer = 4 * Math.floor(256 / classes) * 6;
      const spread = logits('float32', outer * classes, 0.25, -0.25, classes);
      const x = spread.map((less, i) =>
        i % classes === 3 ? 0.3 : 0.3 - Math.LN2 * gap - Math.log(classes - 1) + less,
      );
      const rows = { outer, classes, inner: 1 };
      const actual = compute(backend, [x], (out, input) => logSoftmax(out, input, rows, plain));
      const expected = reference.logSoftmax(x, rows);
      const worst = expected.reduce((most, y, i) => Math.max(most, Math.abs(actual[i] - y) / ulp(y, 'float32')), 0);
      expect({ classes, within: worst <= 2 }).toEqual({ classes, within: true });
    }
  },
);

describe.each(['float32', 'float64'] as const)('%s', (dtype: FloatDType) => {
  test('log-sum-exp of a row with +Infinity is +Infinity, but NaN if there is a NaN anywhere', () => {
    for (const classes of [2, 3, 5, 17]) {
      const x = hostArray(classes * classes * classes, dtype).map((_, i) => i % 3);
      const expected: number[] = [];
      for (let row = 0; row < classes ** 2; row++) {
        const [infinite, undefinedAt] = [row % classes, Math.floor(row / classes)];
        x[row * classes + infinite] = Number.POSITIVE_INFINITY;
        if (infinite !== undefinedAt) x[row * classes + undefinedAt] = Number.NaN;
        expected.push(infinite === undefinedAt ? Number.POSITIVE_INFINITY : Number.NaN);
      }
      expect([...Array.from(sums(x, classes ** 2))]).toEqual(expected);
    }
  });

  test('log-softmax is finite where x − max overflows and (x − max) / T does not', () => {
    const largest = dtype === 'float64' ? 1.7e308 : 3.3e38;
    for (const temperature of [1.25, 1.6, 2, 3]) {
      const half = 0.49 * largest * Math.min(temperature, 2);
      const x = hostArray(6, dtype).map((_, i) => [half, -half, half, half, 1, -half][i]);
      const actual = compute(backend, [x], (out, input) =>
        logSoftmax(out, input, { outer: 2, classes: 3, inner: 1 }, { ...plain, temperature }),
      );
      const expected = (-half / temperature) * 2;
      expect(Math.abs(actual[1] / expected - 1)).toBeLessThan(1e-6);
      expect(Math.abs(actual[5] / expected - 1)).toBeLessThan(1e-6);
    }
  });

  test('the vjp of log-softmax is right for two probabilities of about 1/2, whichever side of it they are rounded to', () => {
    const half = dtype === 'float64' ? -Math.LN2 : Math.fround(-Math.LN2);
    const [above, below] = [half + ulp(half, dtype), half - ulp(half, dtype)];
    for (const [first, second] of [
      [above, half],
      [above, below],
      [half, half],
      [half, above],
      [below, above],
    ]) {
      const y = hostArray(2, dtype).map((_, i) => [first, second][i]);
      const g = hostArray(2, dtype).map((_, i) => [1, 2][i]);
      const actual = compute(backend, [y, g], (out, a, b) =>
        logSoftmaxVjp(out, a, b, { outer: 1, classes: 2, inner: 1 }, { temperature: 1 }),
      );
      expect(Math.abs(actual[0] + 0.5)).toBeLessThan(8 * ulp(1, dtype));
      expect(Math.abs(actual[1] - 0.5)).toBeLessThan(8 * ulp(1, dtype));
    }
  });
});
