import { reference } from '@softgrad/core/conformance';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { type CpuBackend, cpu } from '../src/index.js';
import { randomFrom, ulp } from './accuracy.js';
import { dtypes, expectWithin, floats } from './layouts.js';

/** Second derivatives of rows from uniform to one-hot, of lengths on both sides of blocks and tiles. */

let kernels: CpuBackend['kernels'];
beforeAll(async () => {
  kernels = (await cpu.open()).kernels;
});

const lengths = [2, 3, 4, 10, 17, 128, 129, 1000, 5000];

/** The largest error in ULP of the largest of the terms that a row is made of. */
function worst(
  actual: ArrayLike<number>,
  expected: Float64Array,
  sizes: Float64Array,
  classes: number,
  dtype: 'float32' | 'float64',
): number {
  let most = 0;
  for (let start = 0; start < expected.length; start += classes) {
    const unit = ulp(Math.max(...sizes.subarray(start, start + classes)), dtype);
    for (let i = start; i < start + classes; i++) most = Math.max(most, Math.abs(actual[i] - expected[i]) / unit);
  }
  return most;
}

/** `p_i (|c_i| + Σ p |c|)` of each entry, c the product of the centred directions. */
function terms(p: ArrayLike<number>, classes: number, directions: readonly ArrayLike<number>[]): Float64Array {
  const out = new Float64Array(p.length);
  for (let start = 0; start < out.length; start += classes) {
    const at = Array.from({ length: classes }, (_, c) => start + c);
    const mean = (v: (i: number) => number) => at.reduce((sum, i) => sum + p[i] * v(i), 0);
    const top = at.reduce((a, b) => (p[b] > p[a] ? b : a));
    const centers = directions.map((v) => v[top] + mean((i) => v[i] - v[top]));
    const size = (i: number) => directions.reduce((product, v, k) => product * Math.abs(v[i] - centers[k]), 1);
    const whole = mean(size);
    for (const i of at) out[i] = p[i] * (size(i) + whole);
  }
  return out;
}

test.each([1, 2.87, 0.01])(
  'of softmax in float64 at temperature %d is rounded once, relative to its own terms',
  (temperature) => {
    const random = randomFrom(12);
    for (const classes of [2, 3, 5, 10, 17]) {
      const rows = { outer: Math.ceil(900 / classes), classes, inner: 1 };
      const length = rows.outer * classes;
      const direction = () => Float64Array.from({ length }, () => 2 * random() - 1);
      const [g, t] = [direction(), direction()];
      const x = direction().map((value, i) => value * [1, 20, 60][Math.floor(i / classes) % 3]);
      const s = reference.softmax(x, rows);
      const sizes = new Float64Array(length);
      for (const at of reference.rowIndices(rows)) {
        const top = at.find((i) => s[i] > 0.5);
        const size = [g, t].map((v) => {
          const moved = (i: number) => Math.abs(v[i] - (top === undefined ? 0 : v[top]));
          const mean = at.reduce((sum, i) => sum + s[i] * moved(i), 0);
          return (i: number) => moved(i) + mean;
        });
        const product = (i: number) => size[0](i) * size[1](i);
        const mean = at.reduce((sum, i) => sum + s[i] * product(i), 0);
        for (const i of at) sizes[i] = (s[i] * (product(i) + mean)) / temperature ** 2;
      }
      const out = new Float64Array(length);
      kernels.softmaxHvp(out, s, g, t, rows, { temperature });
      const expected = reference.softmaxHvp(s, g, t, rows, { temperature });
      expectWithin(1, out, expected, 'float64', `${classes} classes`, sizes);
    }
  },
);

describe.each(dtypes)('in %s', (dtype) => {
  const random = randomFrom(9);
  const directions = (length: number, center = 0) => floats(length, dtype).map(() => 4 * random() - 2 + center);
  /** Rows whose largest logit is ahead of the others by 0 to 80. */
  const logitsOf = (classes: number, count: number) => {
    const step = 80 / (count - 1);
    const x = floats(count * classes, dtype);
    for (let row = 0; row < count; row++) {
      for (let c = 0; c < classes; c++) x[row * classes + c] = random() - (c === (row * 5) % classes ? 0 : step * row);
    }
    return x;
  };

  test.each(lengths)('of %i classes they are within an ULP of their terms', (classes) => {
    const isLong = classes > 500 && !inject('everything');
    const outer = classes > 1000 ? (isLong ? 3 : 5) : isLong ? 5 : 21;
    const rows = { outer, classes, inner: 1 };
    const x = logitsOf(classes, outer);
    const out = floats(x.length, dtype);
    // `npm test` has long rows, of whose terms there are as many kinds as of short ones, without a constant at T = 1 and with one at another temperature.
    const settings = [1, 0.5, -3].flatMap((value) => [0, 1000].map((constant) => [value, constant]));
    for (const [temperature, offset] of isLong ? [settings[0], settings[5]] : settings) {
      const [g, t, perRow] = [directions(x.length, offset), directions(x.length, offset), directions(outer)];
      const squared = temperature ** 2;
      const s = floats(x.length, dtype);
      s.set(reference.softmax(x, rows, { temperature }));
      const p = Float64Array.from(s);
      kernels.softmaxHvp(out, s, g, t, rows, { temperature });
      const ofBoth = terms(p, classes, [g, t]).map((size) => size / squared);
      const expected = reference.softmaxHvp(s, g, t, rows, { temperature });
      expect(worst(out, expected, ofBoth, classes, dtype)).toBeLessThanOrEqual(1);
      const y = floats(x.length, dtype);
      y.set(reference.logSoftmax(x, rows, { temperature }));
      kernels.logSoftmaxHvp(out, y, g, t, rows, { temperature });
      const one = terms(p, classes, [t]);
      const sums = Float64Array.from({ length: outer }, (_, row) =>
        Array.from(g.subarray(row * classes, (row + 1) * classes), Math.abs).reduce((sum, size) => sum + size, 0),
      );
      const ofSum = one.map((size, i) => (size * sums[Math.floor(i / classes)]) / squared);
      const ofLog = reference.logSoftmaxHvp(y, g, t, rows, { temperature });
      expect(worst(out, ofLog, ofSum, classes, dtype)).toBeLessThanOrEqual(1);
      kernels.logSumExpHvp(out, x, perRow, t, rows, { temperature, mask: null });
      const ofRow = one.map((size, i) => (size * Math.abs(perRow[Math.floor(i / classes)])) / squared);
      const ofLogits = reference.logSumExpHvp(x, perRow, t, rows, { temperature });
      expect(worst(out, ofLogits, ofRow, classes, dtype)).toBeLessThanOrEqual(1);
    }
  });

  test('a tangent that is 1 at one small probability keeps the digits of all other entries', () => {
    const classes = 3000;
    const rows = { outer: 1, classes, inner: 1 };
    const x = floats(classes, dtype).map(() => random() / 100);
    x[7] = 0.03;
    const t = floats(classes, dtype);
    t[7] = 1;
    const out = floats(classes, dtype);
    kernels.logSumExpHvp(out, x, floats(1, dtype).fill(1), t, rows, { temperature: 1, mask: null });
    const expected = reference.logSumExpHvp(x, [1], t, rows);
    const others = Array.from(expected, (value, c) => (c === 7 ? 0 : value));
    const unit = ulp(Math.max(...others.map(Math.abs)), dtype);
    for (const [c, value] of others.entries()) {
      if (c !== 7) expect(Math.abs(out[c] - value)).toBeLessThanOrEqual(unit);
    }
  });

  test('of log-softmax depends on nothing but the sum of the cotangent, whatever cancels in it', () => {
    for (const classes of [3, 40]) {
      const rows = { outer: 1, classes, inner: 1 };
      const [y, g, t] = [floats(classes, dtype).fill(-Math.log(classes)), floats(classes, dtype), directions(classes)];
      const [out, expected] = [floats(classes, dtype), floats(classes, dtype)];
      g[1] = 1;
      kernels.logSoftmaxHvp(expected, y, g, t, rows, { temperature: 1 });
      [g[0], g[classes - 1]] = [2 ** 60, -(2 ** 60)];
      kernels.logSoftmaxHvp(out, y, g, t, rows, { temperature: 1 });
      expect(out).toEqual(expected);
    }
  });

  test('a constant in the cotangent or the tangent changes no bit of a dominated row', () => {
    const constant = dtype === 'float32' ? 4096 : 2 ** 40;
    const rows = { outer: 21, classes: 10, inner: 1 };
    const s = floats(210, dtype);
    s.set(reference.softmax(logitsOf(10, 21), rows));
    const whole = () => floats(210, dtype).map(() => Math.round(8 * random()));
    const [g, t, out, moved] = [whole(), whole(), floats(210, dtype), floats(210, dtype)];
    kernels.softmaxHvp(out, s, g, t, rows, { temperature: 1 });
    kernels.softmaxHvp(
      moved,
      s,
      g.map((value) => value + constant),
      t.map((value) => value - constant),
      rows,
      { temperature: 1 },
    );
    const last = 20 * 10;
    expect([...moved.subarray(last)]).toEqual([...out.subarray(last)]);
  });
});

// With the second temperature, 1 / T² is not in the range of error terms either; the last directions have a constant in common.
test.each([
  [1, 2 ** 1021, 0],
  [2 ** 460, 2 ** 1021, 0],
  [1, 2 ** 960, 2 ** 1000],
])(
  'in float64 at T = %d, directions of ±%d + %d, whose rounding errors are beyond the range, keep the digits of rounded operations',
  (temperature, huge, constant) => {
    const random = randomFrom(17);
    for (const classes of [2, 3, 17]) {
      const rows = { outer: 20, classes, inner: 1 };
      const length = rows.outer * classes;
      const direction = () => Float64Array.from({ length }, () => 2 * random() - 1);
      const [x, g, t] = [direction().map((value) => 9 * value * temperature), direction(), direction()];
      const perRow = direction().subarray(0, rows.outer);
      const parameters = { temperature, mask: null };
      const [s, y] = [reference.softmax(x, rows, parameters), reference.logSoftmax(x, rows, parameters)];
      const hvps = {
        softmax: (out: Float64Array, large: Float64Array) => kernels.softmaxHvp(out, s, g, large, rows, parameters),
        'softmax, the cotangent': (out: Float64Array, large: Float64Array) =>
          kernels.softmaxHvp(out, s, large, t, rows, parameters),
        logSoftmax: (out: Float64Array, large: Float64Array) =>
          kernels.logSoftmaxHvp(out, y, g, large, rows, parameters),
        logSumExp: (out: Float64Array, large: Float64Array) =>
          kernels.logSumExpHvp(out, x, perRow, large, rows, parameters),
      };
      for (const [name, hvp] of Object.entries(hvps)) {
        const [ordinary, large] = [new Float64Array(length), new Float64Array(length)];
        const small = direction().map((value) => Math.round(value * 2 ** 9) / 2 ** 11);
        hvp(ordinary, small);
        hvp(
          large,
          small.map((value) => value * huge + constant),
        );
        const [units, sizes] = [
          large.map((value) => value / huge),
          ordinary.map((_, i) => (s[i] * classes) / temperature ** 2),
        ];
        expectWithin(4, units, ordinary, 'float64', `${name} of ${classes} classes`, sizes);
      }
    }
  },
);
