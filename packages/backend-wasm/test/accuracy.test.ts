import { crossEntropy, logSoftmax, logSumExp, softmax, tensor } from '@softgrad/core';
import { plain } from '@softgrad/core/conformance';
import { expect, inject, test } from 'vitest';
import { wasm } from '../src/index.js';
import { crossEntropyOf } from './cross-entropy.js';
import { compute, largestError, logits, random, ulp } from './ulp.js';

const backend = await wasm.open({ relaxedSimd: false });

/** Lengths of rows, short to as long as a vocabulary; `npm test` has every other one. */
const lengths = [1, 2, 3, 7, 10, 16, 31, 47, 48, 100, 128, 1000, 6200, 32000, 128256];

test.each([
  [1, 0],
  [20, 0],
  [80, 0],
  [20, 1e4],
])('float32 probabilities of logits in ±%d around %d are within 3 ULP at every length', (spread, offset) => {
  for (const classes of inject('everything') ? lengths : lengths.filter((_, i) => i % 2 === 1)) {
    const rows = { outer: Math.ceil((inject('everything') ? 60_000 : 20_000) / classes), classes, inner: 1 };
    const x = logits('float32', rows.outer * classes, spread, offset, classes);
    const actual = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain));
    expect({ classes, within: largestError(actual, x, rows) <= 3 }).toEqual({ classes, within: true });
  }
});

/** Lengths and seeds of which earlier kernels failed some; `npm test` has one of rows in a block and one of longer rows. */
const dominated = [
  [48, 8],
  [65, 3],
  ...(inject('everything')
    ? [
        [17, 16],
        [17, 30],
        [64, 5],
        [65, 20],
        [100, 59],
      ]
    : []),
];

test.each(dominated)(
  'rows of %i in which one exponential dominates the sum are within 3 ULP too, seed %i',
  (classes, seed) => {
    const rows = { outer: Math.floor(200_000 / classes), classes, inner: 1 };
    const x = logits('float32', rows.outer * classes, 40, 0, seed);
    const actual = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain));
    expect(largestError(actual, x, rows)).toBeLessThanOrEqual(3);
  },
);

test('rows of probabilities add up to 1 within 4 ULP times √f', () => {
  for (const dtype of ['float32', 'float64'] as const) {
    for (const classes of [3, 10, 1000, 32000]) {
      const x = logits(dtype, 4 * classes, 20, 0, 5);
      const s = compute(backend, [x], (out, input) =>
        backend.softmax(out, input, { outer: 4, classes, inner: 1 }, plain),
      );
      for (let row = 0; row < 4; row++) {
        let sum = 0;
        for (let c = 0; c < classes; c++) sum += s[row * classes + c];
        expect(Math.abs(sum - 1)).toBeLessThanOrEqual(4 * ulp(1, dtype) * Math.sqrt(classes));
      }
    }
  }
});

test('a late maximum, huge logits and −Infinity take other code paths, which are as accurate', () => {
  for (const classes of [3, 10, 60, 7000]) {
    const rows = { outer: 6, classes, inner: 1 };
    const x = logits('float32', 6 * classes, 5, 0, classes);
    x[classes - 1] = 90;
    for (let c = 0; c < classes; c++) {
      x[classes + c] += 3000;
      x[2 * classes + c] = c % 3 === 0 ? x[2 * classes + c] : Number.NEGATIVE_INFINITY;
      x[3 * classes + c] = c === 1 ? 3e38 : -3e38;
      x[4 * classes + c] = c === 0 ? 300 : -300;
    }
    const actual = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain));
    expect(largestError(actual, x, rows)).toBeLessThanOrEqual(3);
  }
});

test('a NaN with any payload makes its own row NaN, and no other row', () => {
  for (const classes of [1, 2, 3, 10, 60, 7000]) {
    for (const payload of [0x7fc00000, 0x7fc00001, 0xffc3_2157, 0x7fff_ffff]) {
      const rows = { outer: 9, classes, inner: 1 };
      const x = logits('float32', 9 * classes, 5, 0, classes);
      new Uint32Array(x.buffer)[4 * classes + (classes >> 1)] = payload;
      const s = Float32Array.from(compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain)));
      const undefinedRows = Array.from({ length: 9 }, (_, r) =>
        s.subarray(r * classes, (r + 1) * classes).every(Number.isNaN),
      );
      expect(undefinedRows).toEqual(Array.from({ length: 9 }, (_, r) => r === 4));
    }
  }
});

test('vjp of a nearly one-hot row does not cancel', () => {
  using x = tensor([[37.42994775023705, 0]], { dtype: 'float64', backend });
  using s = softmax(x);
  using g = tensor([[1, 0]], { dtype: 'float64', backend });
  using dx = softmax.vjp(s, g);
  const expected = Math.exp(-37.42994775023705); // 5.551e-17
  const [first, second] = dx.dataSync();
  expect(Math.abs(first - expected)).toBeLessThanOrEqual(4 * ulp(expected, 'float64'));
  expect(Math.abs(second + expected)).toBeLessThanOrEqual(4 * ulp(expected, 'float64'));
});

test.each([3, 60, 7000])('logarithms and p − 1 are right if all other %i probabilities underflow', (classes) => {
  for (const dtype of ['float32', 'float64'] as const) {
    const gap = dtype === 'float64' ? 800 : 120;
    const row = Array.from({ length: classes }, (_, c) => (c === 1 ? 0 : -gap));
    using x = tensor([row], { dtype, backend });
    using y = logSoftmax(x);
    using l = logSumExp(x);
    const { loss, gradient } = crossEntropy(x, [0], { reduction: 'sum' });
    expect(y.dataSync()[0]).toBe(-gap);
    expect(Math.abs(l.dataSync()[0])).toBeLessThan(1e-40);
    expect(loss.dataSync()[0]).toBe(gap);
    expect([...gradient.dataSync().subarray(0, 2)]).toEqual([-1, 1]);
  }
});

test.each([3, 60, 7000])('with %i classes, 1 − p of a target with probability near 1 does not cancel', (classes) => {
  for (const dtype of ['float32', 'float64'] as const) {
    const row = Array.from({ length: classes }, (_, c) => (c === 1 ? 50 : 0));
    const rest = (classes - 1) * Math.exp(-50);
    using x = tensor([row], { dtype, backend });
    const { loss, gradient } = crossEntropy(x, [1], { reduction: 'sum' });
    using y = logSoftmax(x);
    for (const value of [loss.dataSync()[0], -gradient.dataSync()[1], -y.dataSync()[1]]) {
      expect(Math.abs(value - rest)).toBeLessThanOrEqual(4 * ulp(rest, dtype));
    }
  }
});

test.each(inject('everything') ? [2, 3, 5, 16, 17, 60, 257] : [2, 3, 17, 257])(
  'with %i classes, neither does that of one such row among others, at any place in its group',
  (classes) => {
    const outer = 9;
    const targets = Array.from({ length: outer }, (_, row) => (row * 3 + 1) % classes);
    for (const dtype of ['float32', 'float64'] as const) {
      const { size, most } = dtype === 'float64' ? { size: 60, most: 8 } : { size: 40, most: 6 };
      for (const temperature of [1, 1.25]) {
        // One such row in each round; in the last round all rows are such, each with a different gap.
        for (let certain = 0; certain <= outer; certain++) {
          const gaps = targets.map((_, row) => (row === certain || certain === outer ? size + row : 0));
          const values = targets.map((target, row) =>
            Array.from({ length: classes }, (_, c) => temperature * (c === target ? gaps[row] : 0)),
          );
          using x = tensor(values, { dtype, backend });
          const result = crossEntropy(x, targets, { reduction: 'none', temperature });
          using loss = result.loss;
          using gradient = result.gradient;
          using y = logSoftmax(x, { temperature });
          const [losses, slopes, logs] = [loss, gradient, y].map((tensorOfRows) => tensorOfRows.dataSync());
          for (let row = 0; row < outer; row++) {
            const others = (classes - 1) * Math.exp(-gaps[row]);
            const at = row * classes + targets[row];
            const found = [
              [losses[row], Math.log1p(others)],
              [-slopes[at] * temperature, others / (1 + others)],
              [-logs[at], Math.log1p(others)],
            ].map(([actual, expected]) => Math.abs(actual - expected) <= most * ulp(expected, dtype));
            expect({ dtype, temperature, certain, row, found }).toEqual({
              dtype,
              temperature,
              certain,
              row,
              found: [true, true, true],
            });
          }
        }
      }
    }
  },
);

test.each([2, 3, 7])('with %i classes, neither does Σ q p − q of probabilities between 0.5 and 0.6', (classes) => {
  const rows = { outer: inject('everything') ? 20_000 : 5000, classes, inner: 1 };
  const next = random(9);
  for (const temperature of [1, 2.87]) {
    const x = new Float32Array(rows.outer * classes);
    for (let first = 0; first < x.length; first += classes) {
      const others = Array.from({ length: classes - 1 }, () => next() + 1e-3);
      const share = 0.5 + 0.1 * next();
      const odds = share / (1 - share);
      x[first] = temperature * Math.log(odds * others.reduce((sum, value) => sum + value, 0));
      for (const [c, value] of others.entries()) x[first + 1 + c] = temperature * Math.log(value);
    }
    const q = Float32Array.from(x, () => next());
    const { gradient } = crossEntropyOf(backend, x, rows, q, { temperature, results: 'gradient' });
    let worst = 0;
    for (let first = 0; first < x.length; first += classes) {
      const exponentials = Array.from(x.subarray(first, first + classes), (value) => Math.exp(value / temperature));
      const sum = exponentials.reduce((total, value) => total + value, 0);
      const total = q.subarray(first, first + classes).reduce((a, b) => a + b, 0);
      // The terms that are left when Σ q is subtracted from both.
      const terms = [total - q[first], ((sum - exponentials[0]) / sum) * total].map((term) => term / temperature);
      const unit = ulp(Math.max(...terms), 'float32');
      worst = Math.max(worst, Math.abs(gradient[first] - (terms[0] - terms[1])) / unit);
    }
    expect({ temperature, within: worst <= 3.1 }).toEqual({ temperature, within: true });
  }
});
