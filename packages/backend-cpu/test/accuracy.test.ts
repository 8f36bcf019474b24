import { plainCrossEntropy, reference, referenceCrossEntropy } from '@softgrad/core/conformance';
import { beforeAll, describe, expect, test } from 'vitest';
import { type CpuBackend, cpu } from '../src/index.js';
import type { FloatArray } from '../src/storage.js';
import { largestError, logitsOf, randomFrom, ulp, workloads } from './accuracy.js';
import { Precise, precisely, repeating } from './few-values.js';
import { dtypes, floats } from './layouts.js';

const plain = { temperature: 1, mask: null };

let backend: CpuBackend;
beforeAll(async () => {
  backend = await cpu.open();
});

describe.each(dtypes)('%s, against double-double', (dtype) => {
  const bar = dtype === 'float32' ? 0.75 : 1;
  const ofLogarithms = dtype === 'float32' ? 0.75 : 2;
  // What is smaller has fewer digits, or in float32 is not promised.
  const least = dtype === 'float32' ? 1e-30 : 2 ** -1022;

  test.each(workloads)('±$range + $offset, $rows rows of $classes', (workload) => {
    const x = logitsOf(workload, (length) => floats(length, dtype));
    const rows = { outer: workload.rows, classes: workload.classes, inner: 1 };
    const expected = reference.softmax(x, rows);

    const unshifted = floats(x.length, dtype);
    backend.softmax(unshifted, x, rows, plain);
    expect(largestError(unshifted, expected, dtype, least), 'softmax').toBeLessThanOrEqual(bar);

    const shifted = floats(x.length, dtype);
    backend.softmax(shifted, x, rows, plain);
    expect(largestError(shifted, expected, dtype, least), 'softmax, shifted').toBeLessThanOrEqual(bar);

    const tempered = floats(x.length, dtype);
    backend.softmax(tempered, x, rows, { temperature: -0.7, mask: null });
    const expectedTempered = reference.softmax(x, rows, { temperature: -0.7 });
    expect(largestError(tempered, expectedTempered, dtype, least), 'softmax, T = −0.7').toBeLessThanOrEqual(bar);

    const logs = floats(x.length, dtype);
    backend.kernels.logSoftmax?.(logs, x, rows, plain);
    expect(largestError(logs, reference.logSoftmax(x, rows), dtype), 'logSoftmax').toBeLessThanOrEqual(ofLogarithms);

    const target = Int32Array.from({ length: workload.rows }, (_, row) =>
      row % 2 ? row % workload.classes : largest(x, row, workload.classes),
    );
    const gradient = floats(x.length, dtype);
    const loss = floats(workload.rows, dtype);
    backend.kernels.crossEntropy?.({ loss, gradient }, x, rows, {
      ...plainCrossEntropy,
      target: { kind: 'indices', buffer: target },
    });
    const right = referenceCrossEntropy(x, { kind: 'indices', values: target }, rows, { reduction: 'none' });
    expect(largestError(loss, right.loss, dtype), 'loss').toBeLessThanOrEqual(ofLogarithms);
    expect(largestError(gradient, right.gradient, dtype, least), 'gradient').toBeLessThanOrEqual(bar);
  });

  test('row sums of softmax are 1 within 4 ULP √f, of the Jacobian 0 within 4 ULP of the largest entry × f', () => {
    const unit = ulp(1, dtype);
    for (const classes of [1, 2, 3, 10, 100]) {
      const workload = { range: 20, offset: 0, rows: 10, classes };
      const rows = { outer: workload.rows, classes, inner: 1 };
      const s = logitsOf(workload, (length) => floats(length, dtype));
      backend.softmax(s, s, rows, plain);
      const jacobian = floats(s.length * classes, dtype);
      backend.jacobian(jacobian, s, rows, plain);
      for (let k = 0; k < s.length; k++) {
        const total = k % classes === 0 ? sum(s.subarray(k, k + classes)) : 1;
        if (!(Math.abs(total - 1) <= 4 * unit * Math.sqrt(classes)))
          expect.fail(`${classes} classes add up to ${total}`);
        const entries = jacobian.subarray(k * classes, (k + 1) * classes);
        const bound = 4 * unit * classes * Math.max(...entries.map(Math.abs));
        if (!(Math.abs(sum(entries)) <= bound)) expect.fail(`${classes} entries add up to ${sum(entries)}`);
      }
    }
  });

  test('the Jacobian is symmetric to the bit at every temperature', () => {
    for (const classes of [2, 3, 7, 20]) {
      const rows = { outer: 5, classes, inner: 1 };
      const s = logitsOf({ range: 8, offset: 0, rows: 5, classes }, (length) => floats(length, dtype));
      backend.softmax(s, s, rows, plain);
      const out = floats(s.length * classes, dtype);
      for (const temperature of [1, -0.7]) {
        backend.jacobian(out, s, rows, { temperature });
        const transposed = out.map((_, k) => {
          const [row, r, c] = [Math.floor(k / classes ** 2), Math.floor(k / classes) % classes, k % classes];
          return out[(row * classes + c) * classes + r];
        });
        expect(transposed).toEqual(out);
      }
    }
  });

  test('vjp is within 4 ULP × Σ|s g|', () => {
    for (const classes of [2, 10, 1000, 5000]) {
      const workload = { range: 4, offset: 0, rows: 1, classes };
      const rows = { outer: 1, classes, inner: 1 };
      const s = logitsOf(workload, (length) => floats(length, dtype));
      const g = logitsOf({ ...workload, range: 1, offset: 1 }, (length) => floats(length, dtype));
      backend.softmax(s, s, rows, plain);
      const out = floats(classes, dtype);
      backend.vjp(out, s, g, rows, plain);
      const bound = 4 * ulp(1, dtype) * sum(s.map((p, k) => Math.abs(p * g[k])));
      const expected = reference.softmaxVjp(s, g, rows);
      expect(out.every((value, k) => Math.abs(value - expected[k]) <= bound)).toBe(true);
    }
  });
});

// Against 36 digits rather than the nearest float64, which would turn every error into a whole number.
test.each([
  { range: 20, offset: 0, rows: 300, classes: 3 },
  { range: 80, offset: 0, rows: 80, classes: 10 },
  { range: 8, offset: 0, rows: 1, classes: 1000 },
  { range: 8, offset: 1e4, rows: 3, classes: 100 },
])('float64 is rounded once, within 0.53 ULP: $rows rows of $classes, ±$range + $offset', (workload) => {
  const x = logitsOf(workload, (length) => new Float64Array(length));
  const out = new Float64Array(x.length);
  backend.softmax(out, x, { outer: workload.rows, classes: workload.classes, inner: 1 }, plain);
  for (let start = 0; start < x.length; start += workload.classes) {
    const logits = [...x.subarray(start, start + workload.classes)].map(precisely);
    const exps = logits.map((logit) => logit.minus(logits[0]).exp());
    const total = exps.reduce((partial, e) => partial.plus(e));
    for (const [k, e] of exps.entries()) {
      const exact = e.div(total);
      const error = exact
        .minus(precisely(out[start + k]))
        .abs()
        .div(ulp(exact.toNumber(), 'float64'));
      expect(error.toNumber(), `row ${start / workload.classes}, class ${k}`).toBeLessThan(0.53);
    }
  }
});

// Errors of several roundings seldom add up: only many samples tell 1 ULP, which the nearest float64 turns into whole numbers, from 3.
test.each([
  { range: 20, offset: 0, rows: 1500, classes: 3 },
  { range: 20, offset: 0, rows: 400, classes: 10 },
  { range: 20, offset: 0, rows: 4, classes: 1000 },
  { range: 8, offset: 1e4, rows: 8, classes: 1000 },
])('float64 is within 1 ULP, log-softmax 2, over many rows: $rows of $classes, ±$range + $offset', (workload) => {
  const x = logitsOf(workload, (length) => new Float64Array(length));
  const rows = { outer: workload.rows, classes: workload.classes, inner: 1 };
  const out = new Float64Array(x.length);
  const expected = reference.softmax(x, rows);
  backend.softmax(out, x, rows, plain);
  expect(largestError(out, expected, 'float64'), 'softmax').toBeLessThanOrEqual(1);

  const far = x.map((value) => value - 2 ** 13);
  backend.softmax(out, far, rows, plain);
  expect(largestError(out, reference.softmax(far, rows), 'float64'), 'softmax, shifted').toBeLessThanOrEqual(1);

  const temperature = -0.7;
  backend.softmax(out, x, rows, { temperature, mask: null });
  const tempered = reference.softmax(x, rows, { temperature });
  expect(largestError(out, tempered, 'float64', 2 ** -1022), 'softmax, T = −0.7').toBeLessThanOrEqual(1);

  // Far from the largest, the rounding error of x − max is hundreds of ULP of the probability.
  const peaks = x.map((value, k) => (k % workload.classes === 1 ? -460 : value - workload.offset));
  backend.softmax(out, peaks, rows, { temperature, mask: null });
  const peaked = reference.softmax(peaks, rows, { temperature });
  expect(largestError(out, peaked, 'float64'), 'softmax with a far peak, T = −0.7').toBeLessThanOrEqual(1);

  backend.kernels.logSoftmax?.(out, x, rows, plain);
  expect(largestError(out, reference.logSoftmax(x, rows), 'float64'), 'logSoftmax').toBeLessThanOrEqual(2);
});

test('the vjp of a nearly one-hot row does not cancel', () => {
  const rows = { outer: 1, classes: 2, inner: 1 };
  const s = Float64Array.of(37.42994775023705, 0);
  backend.softmax(s, s, rows, plain);
  const out = new Float64Array(2);
  backend.vjp(out, s, Float64Array.of(1, 0), rows, plain);
  expect(s[0]).toBe(1);
  expect([...out].map((value) => value.toPrecision(4))).toEqual(['5.551e-17', '-5.551e-17']);
});

test.each(dtypes.flatMap((dtype) => [2, 3, 4, 10, 300].map((classes) => ({ dtype, classes }))))(
  'nor does it with $classes classes in $dtype, one after the other or over an inner axis',
  ({ dtype, classes }) => {
    const tiny = 2 ** -70;
    for (const rows of [
      { outer: 2, classes, inner: 1 },
      { outer: 1, classes, inner: 2 },
    ]) {
      const at = (row: number, k: number) => row * (rows.inner === 1 ? classes : 1) + k * rows.inner;
      const [s, g, out] = [0, 1, 2].map(() => floats(2 * classes, dtype));
      s.fill(tiny);
      for (const row of [0, 1]) {
        s[at(row, classes - 1)] = 1;
        g[at(row, classes - 1)] = row + 1;
      }
      backend.vjp(out, s, g, rows, plain);
      for (const row of [0, 1]) {
        for (let k = 0; k < classes - 1; k++) expect(out[at(row, k)]).toBe(-(row + 1) * tiny);
        expect(out[at(row, classes - 1)]).toBe((row + 1) * (classes - 1) * tiny);
      }
    }
  },
);

test.each(dtypes)('nor does it in %s if all probabilities but two are 0, wherever the two are', (dtype) => {
  const tiny = 2 ** -70;
  for (const classes of [2, 3, 4, 7, 15, 16, 17, 18, 19, 20, 127, 128, 129, 130, 131]) {
    const near = (top: number) => [top + 1, top - 1, top + 5, top - 4, 0, classes - 1];
    const others = (top: number) => [...new Set(near(top))].filter((k) => k !== top && k >= 0 && k < classes);
    const pairs = Array.from({ length: classes }, (_, top) => others(top).map((other) => [top, other] as const)).flat();
    const rows = { outer: pairs.length, classes, inner: 1 };
    const [s, g, out, expected] = [0, 1, 2, 3].map(() => floats(pairs.length * classes, dtype));
    for (const [row, [top, other]] of pairs.entries()) {
      for (let k = 0; k < classes; k++) g[row * classes + k] = 1 + (k % 3);
      const [first, second] = [row * classes + top, row * classes + other];
      s[first] = 1;
      s[second] = tiny;
      expected[first] = tiny * (g[first] - g[second]);
      expected[second] = -expected[first];
    }
    backend.vjp(out, s, g, rows, plain);
    const wrong = out.findIndex((value, k) => value !== expected[k]);
    expect([classes, wrong]).toEqual([classes, -1]);
  }
});

test.each([50, 200, 700])(
  'what dominates a row by %s has the log-probability −exp(−gap), and its cross-entropy that gradient',
  (gap) => {
    const rows = { outer: 1, classes: 2, inner: 1 };
    const x = Float64Array.of(gap, 0);
    const tiny = new Precise(-gap).exp().toNumber();
    const logs = new Float64Array(2);
    backend.kernels.logSoftmax?.(logs, x, rows, plain);
    expect(largestError(logs, [-tiny, -gap], 'float64')).toBeLessThanOrEqual(2);
    const gradient = new Float64Array(2);
    backend.kernels.crossEntropy?.({ loss: null, gradient }, x, rows, {
      ...plainCrossEntropy,
      target: { kind: 'probabilities', buffer: Float64Array.of(1, 0) },
    });
    expect(largestError(gradient, [-tiny, tiny], 'float64')).toBeLessThanOrEqual(2);
  },
);

test('float32 probabilities are right down to the last subnormal', () => {
  const x = Float32Array.from({ length: 1100 }, (_, k) => -k / 10);
  const rows = { outer: 1, classes: x.length, inner: 1 };
  const out = new Float32Array(x.length);
  backend.softmax(out, x, rows, plain);
  expect(largestError(out, reference.softmax(x, rows), 'float32')).toBeLessThan(0.7);
  expect(out.some((p) => p > 0 && p < 2 ** -148)).toBe(true);
});

test('float32 softmax is right wherever its exponential leaves the table, with a mask and a temperature too', () => {
  const rows = { outer: 1, classes: 2, inner: 1 };
  for (let steps = 0; steps < 2 ** 10; steps++) {
    const x = 176.5 + steps / 2 ** 10;
    for (const temperature of [1, 0.01]) {
      const logits = Float32Array.of(x * temperature, 0);
      for (const mask of [null, { buffer: Uint8Array.of(1, 1), outer: 1 }]) {
        const out = new Float32Array(2);
        backend.softmax(out, logits, rows, { temperature, mask });
        if (out[0] !== 1 || out[1] !== 0) expect.fail(`${[...out]} at ${x}, T = ${temperature}`);
      }
    }
  }
});

test.each([3, 100, 10_000])('what dominates %s float64 logits has its log-probability within 2 ULP', (classes) => {
  const rows = { outer: 1, classes, inner: 1 };
  const random = randomFrom(classes);
  for (const gap of [30, 45, 80]) {
    const x = Float64Array.from({ length: classes }, (_, k) => (k === 1 ? gap : 2 * random()));
    const out = new Float64Array(classes);
    backend.kernels.logSoftmax?.(out, x, rows, plain);
    expect(largestError(out, reference.logSoftmax(x, rows), 'float64')).toBeLessThanOrEqual(2);
  }
});

test('float64 log-softmax keeps the rests of large logits over a temperature, however far below the largest', () => {
  const rows = { outer: 1, classes: 2, inner: 1 };
  const x = Float64Array.of(686213.1034675986, 685952.8678074033);
  const temperature = 0.308790873689577;
  const out = new Float64Array(2);
  backend.kernels.logSoftmax?.(out, x, rows, { temperature, mask: null });
  const exact = precisely(x[1]).minus(precisely(x[0])).div(precisely(temperature)).toNumber();
  expect(largestError(out, [0, exact], 'float64')).toBeLessThanOrEqual(2);
});

test.each([2 ** 17 + 2])('%s equal float64 logits have exactly the same share, shifted and unshifted', (classes) => {
  const rows = { outer: 1, classes, inner: 1 };
  for (const value of [0.3001, 700]) {
    const x = new Float64Array(classes).fill(value);
    backend.softmax(x, x, rows, plain);
    expect(
      x.every((p) => p === 1 / classes),
      `${value}`,
    ).toBe(true);
    const removed = new Float64Array(classes).fill(value);
    removed[5] = Number.NEGATIVE_INFINITY;
    backend.softmax(removed, removed, rows, plain);
    expect(
      removed.every((p, k) => p === (k === 5 ? 0 : 1 / (classes - 1))),
      `${value}`,
    ).toBe(true);
  }
});

test.each([128_256])('a sum of %s terms does not drift', (classes) => {
  const rows = { outer: 1, classes, inner: 1 };
  const weights = [1, Math.exp(-1), Math.exp(-2), Math.exp(-3)];
  const x = Float32Array.from({ length: classes }, (_, k) => -(k % 4));
  const total = (classes / 4) * sum(weights);
  backend.softmax(x, x, rows, plain);
  for (let k = 0; k < 4; k++) {
    for (const at of [k, classes - 4 + k]) {
      expect(Math.abs(x[at] - weights[k] / total)).toBeLessThan(0.7 * ulp(weights[k] / total, 'float32'));
    }
  }
});

test.each([1, 2 ** 50])('nor does that of exponentials in float64 at T = %d', (temperature) => {
  const classes = 128_256;
  const rows = { outer: 1, classes, inner: 1 };
  const few = [0, -0.3, -1.1, -2.7];
  const x = Float64Array.from(repeating(classes, few), (value) => value * temperature);
  const exps = few.map((value) => precisely(value).exp());
  const total = exps.reduce((partial, e) => partial.plus(e)).times(classes / few.length);
  const gradient = new Float64Array(classes);
  backend.kernels.crossEntropy({ loss: null, gradient }, x, rows, {
    ...plainCrossEntropy,
    temperature,
    target: { kind: 'indices', buffer: Int32Array.of(0) },
  });
  for (let k = 1; k < classes; k++) {
    const exact = exps[k % few.length].div(total);
    const error = k < 8 || k > classes - 8 ? exact.minus(precisely(gradient[k] * temperature)).abs() : new Precise(0);
    expect(error.div(ulp(exact.toNumber(), 'float64')).toNumber()).toBeLessThan(0.51);
  }
});

function largest(x: FloatArray, row: number, classes: number): number {
  const entries = x.subarray(row * classes, (row + 1) * classes);
  return entries.indexOf([...entries].reduce((a, b) => Math.max(a, b)));
}

/** In the order given, but in pairs, so that the test's own rounding stays below what it tests. */
function sum(values: ArrayLike<number>, start = 0, end = values.length): number {
  if (end - start < 3) return end - start === 2 ? values[start] + values[start + 1] : end > start ? values[start] : 0;
  const middle = (start + end) >> 1;
  return sum(values, start, middle) + sum(values, middle, end);
}
