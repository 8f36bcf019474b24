import type { Rows } from '@softgrad/core';
import { plain, plainCrossEntropy, reference } from '@softgrad/core/conformance';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testFarTemperatures } from '../../backend-tfjs/test/far-temperatures.js';
import { type WebgpuBackend, type WebgpuBuffer, webgpu } from '../src/index.js';

let backend: WebgpuBackend;
beforeAll(async () => {
  backend = await webgpu.open();
});
afterAll(() => backend.close());

async function run(
  operands: readonly Float32Array[],
  length: number,
  enqueue: (out: WebgpuBuffer, buffers: readonly WebgpuBuffer[]) => void,
) {
  const buffers = operands.map((values) => {
    const buffer = backend.alloc(values.length, 'float32');
    backend.write(buffer, values);
    return buffer;
  });
  const out = backend.alloc(length, 'float32');
  enqueue(out, buffers);
  const result = await backend.read(out);
  for (const buffer of [out, ...buffers]) backend.free(buffer);
  return result;
}

/** Reproducible random numbers in [0, 1). */
function randomNumbers() {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function logits(count: number, size: number, offset: number): Float32Array {
  const random = randomNumbers();
  return Float32Array.from({ length: count }, () => offset + size * (2 * random() - 1));
}

/** The largest error in ULP of float32 over values of at least 1e-30. */
function worstUlp(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const size = Math.abs(expected[i]);
    if (size < 1e-30) continue;
    worst = Math.max(worst, Math.abs(actual[i] - expected[i]) / 2 ** (Math.floor(Math.log2(size)) - 23));
  }
  return worst;
}

/** Softmax in float64, whose error is negligible against float32 even in long rows. */
function softmax64(x: Float32Array, { outer, classes, inner }: Rows): Float64Array {
  const out = new Float64Array(x.length);
  for (let row = 0; row < outer * inner; row++) {
    const at = (c: number) => (Math.floor(row / inner) * classes + c) * inner + (row % inner);
    let max = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < classes; c++) max = Math.max(max, x[at(c)]);
    let sum = 0;
    for (let c = 0; c < classes; c++) sum += Math.exp(x[at(c)] - max);
    for (let c = 0; c < classes; c++) out[at(c)] = Math.exp(x[at(c)] - max) / sum;
  }
  return out;
}

const ranges = [
  { size: 1, offset: 0 },
  { size: 20, offset: 0 },
  { size: 80, offset: 0 },
  { size: 8, offset: 1e4 },
  { size: 8, offset: -1e4 },
];
const someRanges = [
  { size: 20, offset: 0 },
  { size: 8, offset: -1e4 },
];

// A row by one invocation, by a whole workgroup, by several workgroups; a column summed in blocks, and a column with more parts than a
// workgroup has invocations.
test.each([
  [{ outer: 1, classes: 10, inner: 1 }, ranges],
  [{ outer: 1, classes: 1000, inner: 1 }, ranges],
  [{ outer: 1, classes: 128_256, inner: 1 }, someRanges],
  [{ outer: 1, classes: 1000, inner: 3 }, ranges],
  [{ outer: 1, classes: 32_000, inner: 3 }, someRanges],
  [{ outer: 1, classes: 140_000, inner: 5 }, someRanges],
])('softmax of %o is within 2.5 ULP for logits of any size and offset, and adds up to 1', async (rows, tried) => {
  const { classes, inner } = rows;
  for (const { size, offset } of tried) {
    const x = logits(classes * inner, size, offset);
    const s = await run([x], x.length, (out, [buffer]) => backend.softmax(out, buffer, rows, plain));
    expect(worstUlp(s, softmax64(x, rows)), `±${size} at ${offset}`).toBeLessThanOrEqual(2.5);
    for (let i = 0; i < inner; i++) {
      let sum = 0;
      for (let c = 0; c < classes; c++) sum += s[c * inner + i];
      expect(Math.abs(sum - 1)).toBeLessThanOrEqual(4 * 2 ** -23 * Math.sqrt(classes));
    }
  }
});

test.each([0.1, 3, 1e-3, 1e6, -0.7])('accuracy is the same with temperature %f', async (temperature) => {
  const rows = { outer: 7, classes: 130, inner: 1 };
  const x = logits(7 * 130, 60 * Math.min(1, Math.abs(temperature)), 3);
  const s = await run([x], x.length, (out, [buffer]) =>
    backend.softmax(out, buffer, rows, { temperature, mask: null }),
  );
  expect(worstUlp(s, reference.softmax(x, rows, { temperature }))).toBeLessThanOrEqual(2.5);
});

test('log-softmax is within 2 ULP if the probability underflows or is nearly 1', async () => {
  const rows = { outer: 6, classes: 3, inner: 1 };
  const x = Float32Array.of(0, -150, -1000, 0, -20, -1e6, 12, 0, -12, 1e30, 0, -1e30, 0, -0.9, -40, 0, 0, 0);
  const y = await run([x], 18, (out, [buffer]) =>
    backend.kernels.logSoftmax(out, buffer, rows, { temperature: 1, mask: null }),
  );
  expect(worstUlp(y, reference.logSoftmax(x, rows))).toBeLessThanOrEqual(2);
});

test('the gradient of cross-entropy is within 4 ULP if the probability of the target is nearly 1 or 0', async () => {
  const rows = { outer: 3, classes: 3, inner: 1 };
  const x = Float32Array.of(20, 0, -150, 0, 0.5, 30, 90, -90, 0);
  const target = backend.alloc(3, 'int32');
  backend.write(target, Int32Array.of(0, 2, 1));
  const gradient = await run([x], 9, (out, [buffer]) =>
    backend.kernels.crossEntropy({ loss: null, gradient: out }, buffer, rows, {
      ...plainCrossEntropy,
      target: { kind: 'indices', buffer: target },
    }),
  );
  backend.free(target);
  const logP = reference.logSoftmax(x, rows);
  // For the target, p − 1 is minus the sum of the others, which does not cancel.
  const expected = Array.from(logP, (value, i) => {
    const row = Math.floor(i / 3);
    if (i % 3 !== [0, 2, 1][row]) return Math.exp(value);
    return -[0, 1, 2].filter((c) => c !== i % 3).reduce((sum, c) => sum + Math.exp(logP[row * 3 + c]), 0);
  });
  expect(worstUlp(gradient, expected)).toBeLessThanOrEqual(4);
});

test('the gradient of cross-entropy is within 2 ULP if the probability of the target is ½ to 1', async () => {
  const rows = { outer: 256, classes: 3, inner: 1 };
  const x = Float32Array.from({ length: 768 }, (_, i) => [0.4 + i / 96, 0, -1][i % 3]);
  const indices = new Int32Array(256);
  const target = backend.alloc(256, 'int32');
  backend.write(target, indices);
  const gradient = await run([x], 768, (out, [buffer]) =>
    backend.kernels.crossEntropy({ loss: null, gradient: out }, buffer, rows, {
      ...plainCrossEntropy,
      target: { kind: 'indices', buffer: target },
    }),
  );
  backend.free(target);
  const options = { reduction: 'none' } as const;
  const expected = reference.crossEntropyGradient(x, { kind: 'indices', values: indices }, rows, options);
  expect(worstUlp(gradient, expected)).toBeLessThanOrEqual(2);
});

test('vjp does not cancel where a row is nearly one-hot', async () => {
  const rows = { outer: 1, classes: 2, inner: 1 };
  const small = 5.551115123125783e-17;
  for (const [s, g, expected] of [
    [
      [1, small],
      [1, 0],
      [small, -small],
    ],
    [
      [small, 1],
      [0, 1],
      [-small, small],
    ],
    [
      [small, 1],
      [1, 0],
      [small, -small],
    ],
  ]) {
    const dx = await run([Float32Array.from(s), Float32Array.from(g)], 2, (out, [p, cotangent]) =>
      backend.vjp(out, p, cotangent, rows, plain),
    );
    expect([...dx]).toEqual(expected.map(Math.fround));
  }
});

test('vjp is within 4 ULP × Σ|s g| for all kinds of rows', async () => {
  for (const rows of [
    { outer: 5, classes: 7, inner: 1 },
    { outer: 2, classes: 1000, inner: 1 },
    { outer: 1, classes: 40_000, inner: 1 },
    { outer: 2, classes: 300, inner: 5 },
  ]) {
    const { outer, classes, inner } = rows;
    const random = randomNumbers();
    const s = Float32Array.from(softmax64(logits(outer * classes * inner, 10, 0), rows));
    const g = Float32Array.from(s, () => 100 * (2 * random() - 1));
    const dx = await run([s, g], s.length, (out, [p, cotangent]) => backend.vjp(out, p, cotangent, rows, plain));
    for (let row = 0; row < outer * inner; row++) {
      const at = Array.from(
        { length: classes },
        (_, c) => (Math.floor(row / inner) * classes + c) * inner + (row % inner),
      );
      const top = at.reduce((a, b) => (s[b] > s[a] ? b : a));
      const mean = at.reduce((sum, i) => sum + s[i] * (g[i] - g[top]), 0);
      const size = at.reduce((sum, i) => sum + Math.abs(s[i] * g[i]), 0);
      const worst = at.reduce((most, i) => Math.max(most, Math.abs(dx[i] - s[i] * (g[i] - g[top] - mean))), 0);
      expect(worst).toBeLessThanOrEqual(4 * 2 ** -23 * size);
    }
  }
});

/** `|v − o| + Σ p |v − o|` of each entry of a row, o the entry of v at a probability above ½, else 0: the terms of `v − ⟨p, v⟩`. */
function centredTerms(p: Float32Array, v: Float32Array): Float64Array {
  const origin = v[p.findIndex((share) => share > 0.5)] ?? 0;
  const mean = p.reduce((sum, share, c) => sum + share * Math.abs(v[c] - origin), 0);
  return Float64Array.from(v, (value) => Math.abs(value - origin) + mean);
}

// A difference of three numbers that is rounded once, and a product.
test.each([
  [2, 1.8],
  [3, 2.3],
  [10, 2.2],
  [128, 1.7],
])('vjp with %i classes is within %f ULP of its terms', async (classes, bound) => {
  const rows = { outer: Math.ceil(16_000 / classes), classes, inner: 1 };
  const s = Float32Array.from(reference.softmax(logits(rows.outer * classes, 20, 0), rows));
  const random = randomNumbers();
  const g = Float32Array.from(s, () => 2 * random() - 1);
  const terms = s.map((share, i) => {
    const row = Math.floor(i / classes) * classes;
    const of = (values: Float32Array) => values.subarray(row, row + classes);
    return share * centredTerms(of(s), of(g))[i - row];
  });
  const dx = await run([s, g], s.length, (out, [p, cotangent]) => backend.vjp(out, p, cotangent, rows, plain));
  const errors = reference.softmaxVjp(s, g, rows).map((value, i) => {
    const size = Math.max(Math.abs(value), terms[i]);
    return size < 1e-30 ? 0 : Math.abs(dx[i] - value) / 2 ** (Math.floor(Math.log2(size)) - 23);
  });
  expect(Math.max(...errors)).toBeLessThanOrEqual(bound);
});

test('rows and columns of the Jacobian add up to 0', async () => {
  const classes = 100;
  const rows = { outer: 2, classes, inner: 1 };
  const s = Float32Array.from(softmax64(logits(2 * classes, 5, 0), rows));
  const matrices = await run([s], 2 * classes ** 2, (out, [p]) => backend.jacobian(out, p, rows, plain));
  let worst = 0;
  for (let row = 0; row < 2; row++) {
    for (let r = 0; r < classes; r++) {
      const start = (row * classes + r) * classes;
      const entries = matrices.subarray(start, start + classes);
      const column = Array.from({ length: classes }, (_, k) => matrices[(row * classes + k) * classes + r]);
      for (const line of [[...entries], column]) {
        const largest = Math.max(...line.map(Math.abs));
        worst = Math.max(worst, Math.abs(line.reduce((a, b) => a + b, 0)) / largest);
      }
    }
  }
  expect(worst).toBeLessThanOrEqual(4 * 2 ** -23 * classes);
});

test('a row with more parts than a workgroup has invocations is correct', async () => {
  // 257 parts, the last with one unit.
  const classes = 256 * 16_384 + 4;
  const rows = { outer: 1, classes, inner: 1 };
  const x = new Float32Array(classes);
  for (let c = 0; c < classes; c++) x[c] = (c % 4093) / 512;
  x[classes - 1] = 20;
  const [y] = await run([x], 1, (out, [buffer]) =>
    backend.kernels.logSumExp(out, buffer, rows, { temperature: 1, mask: null }),
  );
  let sum = 0;
  for (const value of x) sum += Math.exp(value);
  expect(worstUlp([y], [Math.log(sum)])).toBeLessThanOrEqual(4);
});

test('exp is within the error that supports.expUlp announces', async () => {
  const x = Float32Array.from({ length: 5000 }, (_, i) => -87 + (175 * i) / 4999);
  const y = await run([x], x.length, (out, [buffer]) => backend.basis.unary(out, 'exp', buffer, x.length));
  const { base, slope } = backend.supports.expUlp;
  expect(base).toBeLessThanOrEqual(2);
  const beyond = x.findIndex((argument, i) => {
    const exact = Math.exp(argument);
    const error = Math.abs(y[i] - exact) / 2 ** (Math.floor(Math.log2(exact)) - 23);
    return !(error <= base + slope * Math.abs(argument));
  });
  expect(beyond).toBe(-1);
});

/** The largest error and the largest mean error, in ULP, of `parts` equal parts of some results. */
function errorsUlp(actual: ArrayLike<number>, expected: ArrayLike<number>, parts: number) {
  const length = expected.length / parts;
  const means = Array.from({ length: parts }, (_, part) => {
    let sum = 0;
    for (let i = part * length; i < (part + 1) * length; i++) {
      sum += (actual[i] - expected[i]) / 2 ** (Math.floor(Math.log2(Math.abs(expected[i]))) - 23);
    }
    return sum / length;
  });
  return { worst: worstUlp(actual, expected), bias: Math.max(...means.map(Math.abs)) };
}

const unary = (op: 'exp' | 'log', x: Float32Array) =>
  run([x], x.length, (out, [buffer]) => backend.basis.unary(out, op, buffer, x.length));

test('errors of exp and log average out: they are those of rounding, not of coefficients', async () => {
  const length = 65_536;
  const x = Float32Array.from({ length }, (_, i) => -87 + (175 * (i + 0.5)) / length);
  const ofExp = errorsUlp(await unary('exp', x), Float64Array.from(x, Math.exp), 8);
  expect(ofExp.worst).toBeLessThanOrEqual(1.25);
  expect(ofExp.bias).toBeLessThan(0.04);
  const nearOne = Float32Array.from(x, (_, i) => Math.SQRT1_2 * (1 + (i + 0.5) / length));
  const ofLog = errorsUlp(await unary('log', nearOne), Float64Array.from(nearOne, Math.log), 16);
  expect(ofLog.worst).toBeLessThanOrEqual(1);
  expect(ofLog.bias).toBeLessThan(0.04);
  // From 2^-125 to 2^-1 and from 2 to 2^125.
  const far = Float32Array.from(
    x,
    (_, i) => 2 ** (Math.sign(i - length / 2 + 0.5) + (248 * (i - length / 2)) / length),
  );
  const ofFar = errorsUlp(await unary('log', far), Float64Array.from(far, Math.log), 2);
  expect(ofFar.worst).toBeLessThanOrEqual(1);
  expect(ofFar.bias).toBeLessThan(0.04);
});

test('log of a subnormal number is that of its value', async () => {
  const x = new Float32Array(
    Uint32Array.of(1, 2, 3, 0x1234, 0x400000, 0x7fffff, 0x800000, 0x80000001, 0x807fffff).buffer,
  );
  const y = await unary('log', x);
  expect(worstUlp(y.slice(0, 7), Float64Array.from(x.slice(0, 7), Math.log))).toBeLessThanOrEqual(1);
  expect([...y.slice(7)]).toEqual([Number.NaN, Number.NaN]);
});

test('a sum of exponentials just above 1 is not rounded before its logarithm', async () => {
  const count = 4096;
  // The exponential of the second logit is the sum without the maximum; up to √2 − 1 log(1 + r) is as accurate as r, above 1 + r is rounded.
  const x = Float32Array.from({ length: count }, (_, i) => -0.89 - i / 256);
  const r = await unary('exp', x);
  const rows = { outer: count, classes: 2, inner: 1 };
  const logits = Float32Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? 0 : x[(i - 1) / 2]));
  const y = await run([logits], 2 * count, (out, [buffer]) =>
    backend.kernels.logSoftmax(out, buffer, rows, { temperature: 1, mask: null }),
  );
  const logarithms = Float64Array.from(r, (rest) => -Math.log1p(rest));
  expect(
    worstUlp(
      y.filter((_, i) => i % 2 === 0),
      logarithms,
    ),
  ).toBeLessThanOrEqual(1);
});

test('long columns are summed to the last element, with what additions lose by rounding', async () => {
  // The last block of the first invocation is one element, much larger than the others.
  const rows = { outer: 1, classes: 31_745, inner: 16 };
  const x = new Float32Array(rows.classes * rows.inner).fill(0.1);
  x.fill(500, x.length - rows.inner);
  const sums = await run([x], rows.inner, (out, [buffer]) => backend.basis.reduce(out, 'sum', buffer, rows));
  const exact = (rows.classes - 1) * Math.fround(0.1) + 500;
  expect(worstUlp(sums, new Float64Array(rows.inner).fill(exact))).toBeLessThanOrEqual(0.5);
});

test('equal logits of a row have the same probability, whichever invocation computes it', async () => {
  const [count, classes] = [64, 1000];
  for (const rows of [
    { outer: count, classes, inner: 1 },
    { outer: 1, classes, inner: count },
  ]) {
    const random = randomNumbers();
    // The maximum occurs about 90 times in each row, so that most invocations merge sums of the same maximum.
    const distinct = Array.from({ length: count }, () =>
      Array.from({ length: 11 }, (_, k) => (k === 0 ? 0 : -4 * random())),
    );
    const rowOf = (i: number) => (rows.inner === 1 ? Math.floor(i / classes) : i % count);
    const x = Float32Array.from({ length: count * classes }, (_, i) => distinct[rowOf(i)][Math.floor(11 * random())]);
    const s = await run([x], x.length, (out, [buffer]) => backend.softmax(out, buffer, rows, plain));
    for (let row = 0; row < count; row++) {
      const [first, step] = rows.inner === 1 ? [row * classes, 1] : [row, count];
      const found = new Set(Array.from({ length: classes }, (_, c) => s[first + c * step]));
      expect(found.size, `row ${row} of ${rows.outer} × ${rows.inner}`).toBe(11);
    }
  }
});

test('a class of weight 0 adds nothing to a loss, however small its logit is', async () => {
  const x = Float32Array.of(3e38, -3e38, 0, 2, -3e38, -3e38, 3e38, 3e38);
  const rows: Rows = { outer: 2, classes: 4, inner: 1 };
  const targets = Int32Array.of(0, 3);
  const weights = Float32Array.of(0.5, 0, 0, 2);
  const [logitsBuffer, gradient] = [backend.alloc(8, 'float32'), backend.alloc(8, 'float32')];
  const [target, weight, loss] = [backend.alloc(2, 'int32'), backend.alloc(4, 'float32'), backend.alloc(2, 'float32')];
  backend.write(logitsBuffer, x);
  backend.write(target, targets);
  backend.write(weight, weights);
  for (const temperature of [1, 0.3]) {
    backend.kernels.crossEntropy({ loss, gradient }, logitsBuffer, rows, {
      ...plainCrossEntropy,
      temperature,
      target: { kind: 'indices', buffer: target },
      weight,
    });
    const losses = await backend.read(loss);
    expect(losses[0]).toBe(0);
    expect(Math.abs(losses[1] - 2 * Math.LN2)).toBeLessThan(1e-6);
    const slopes = await backend.read(gradient);
    const expected = [0, 0, 0, 0, 0, 0, 1 / temperature, -1 / temperature];
    expect(expected.every((value, i) => Math.abs(slopes[i] - value) < 1e-6)).toBe(true);
  }
  // With smoothing every class with a weight counts: in the first row those of the maximum, in the second one whose loss overflows.
  backend.write(logitsBuffer, Float32Array.of(3e38, -3e38, -3e38, 3e38, -3e38, -3e38, 3e38, 3e38));
  backend.write(target, Int32Array.of(0, 0));
  for (const labelSmoothing of [0.5, 1]) {
    backend.kernels.crossEntropy({ loss, gradient: null }, logitsBuffer, rows, {
      temperature: 0.01,
      mask: null,
      target: { kind: 'indices', buffer: target },
      weight,
      labelSmoothing,
      ignoreIndex: -100,
      scale: 1,
    });
    const losses = await backend.read(loss);
    expect(losses[0] / Math.LN2).toBeCloseTo(0.5 * (1 - labelSmoothing) + (2.5 / 4) * labelSmoothing, 6);
    expect(losses[1]).toBe(Number.POSITIVE_INFINITY);
  }
  for (const buffer of [logitsBuffer, target, weight, loss, gradient]) backend.free(buffer);
});

test('max and min tell neighbouring numbers of either sign apart', async () => {
  const next = 1 + 2 ** -23;
  const a = Float32Array.of(1, next, -1, -next, 0, 2 ** -126);
  const b = Float32Array.of(next, 1, -next, -1, 2 ** -126, 0);
  const extent = [1, 1, a.length] as const;
  for (const op of ['max', 'min'] as const) {
    const actual = await run([a, b], a.length, (out, [x, y]) =>
      backend.basis.binary(out, op, { buffer: x, extent }, { buffer: y, extent }, extent),
    );
    expect([...actual]).toEqual([...a].map((value, i) => Math[op](value, b[i])));
  }
});

test('entries of −Infinity are not counted where all others are the lowest number', async () => {
  const lowest = -3.4028234663852886e38;
  const x = Float32Array.of(lowest, Number.NEGATIVE_INFINITY, lowest, Number.NEGATIVE_INFINITY);
  const rows = { outer: 1, classes: 4, inner: 1 };
  const shares = await run([x], 4, (out, [input]) => backend.softmax(out, input, rows, plain));
  expect([...shares]).toEqual([0.5, 0, 0.5, 0]);
});

testFarTemperatures('webgpu', async () => backend, {
  float32: { softmax: 3.4, logSoftmax: 3, logSumExp: 2, loss: 3, gradient: 3.5, hvp: 3.8 },
});
