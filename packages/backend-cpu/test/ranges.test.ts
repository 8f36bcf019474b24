import { logSoftmax, softmax, softmin, tensor } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { cpu } from '../src/index.js';
import { lengths, row, testLargestCotangents } from './largest-cotangents.js';
import { expectWithin } from './layouts.js';
import { testSmallDivisors } from './small-divisors.js';

const backend = cpu.openSync();

testLargestCotangents(backend);
testSmallDivisors(backend);

test('second derivatives along the largest float32 cotangents and tangents', async () => {
  const s = tensor([[0.25, 0.25, 0.5]], { backend });
  const y = tensor([[Math.log(0.25), Math.log(0.25), Math.log(0.5)]], { backend });
  for (const [g, t] of [
    [3e38, 1],
    [1, 3e38],
    [3e38, 1e-30],
  ] as const) {
    const cotangent = tensor([[g, -g, g]], { backend });
    const tangent = tensor([[t, t, -t]], { backend });
    const relative = (values: Float32Array) => [...values].map((value) => (value / (g * t)).toFixed(5));
    const d = relative(await softmax.hvp(s, cotangent, tangent).data());
    expect(d).toEqual(['0.25000', '-0.25000', '0.00000']);
    const e = relative(await logSoftmax.hvp(y, cotangent, tangent).data());
    expect(e).toEqual(['-0.25000', '-0.25000', '0.50000']);
  }
});

test('the second derivative of sigmoid along float64 cotangents whose rounding errors are beyond the range is that of ordinary ones', () => {
  const y = Float64Array.from({ length: 99 }, (_, k) => (k + 1) / 100);
  const [ordinary, large] = [2 ** -3, 2 ** 1020].map((size) => {
    const out = new Float64Array(99);
    const cotangent = y.map((_, k) => size * Math.cos(k));
    backend.kernels?.sigmoidHvp?.(out, y, cotangent, y, 99);
    return out.map((value) => value / size);
  });
  expectWithin(4, large, ordinary, 'float64', '2^1020');
});

test('a derivative in float32 that is too small before it is divided by a tiny temperature is not lost', async () => {
  for (const classes of lengths.filter((length) => length > 1)) {
    const made = (first: number, others: number) =>
      tensor([Array.from({ length: classes }, (_, c) => (c === 0 ? first : others))], { dtype: 'float32', backend });
    // Their product, 2⁻¹⁵⁶, is 0 in float32.
    const [s, g] = [made(2 ** -126, 1 / (classes - 1)), made(2 ** -30, 0)];
    const at = async (temperature: number) => (await softmax.vjp(s, g, { temperature }).data())[0];
    expect((await at(2 ** -60)) * 2 ** 96).toBeCloseTo(1, 5);
    expect(await at(2 ** -970)).toBe(Number.POSITIVE_INFINITY);
  }
});

test('softmin of logits whose differences overflow takes the smallest, along each axis and masked', async () => {
  const column = [1.7e308, -1.7e308, 0];
  for (const sign of [1, -1]) {
    const x = tensor(
      column.map((value) => [sign * value, -sign * value]),
      { dtype: 'float64', backend },
    );
    const mask = [
      [true, true],
      [true, true],
      [true, false],
    ];
    const smallest = sign === 1 ? [0, 1, 1, 0, 0, 0] : [1, 0, 0, 1, 0, 0];
    for (const options of [{ axis: 0 }, { axis: 0, mask }]) {
      expect([...(await softmin(x, options).data())]).toEqual(smallest);
      expect([...(await softmax(x, options).data())]).toEqual(smallest.map((p, k) => (k < 4 ? 1 - p : p)));
    }
  }
});

test('at negative temperatures, logits whose differences overflow are negated', () => {
  const rows = { outer: 1, classes: 3, inner: 1 };
  const logSoftmaxOf = (values: readonly number[], temperature: number) => {
    const [x, out] = [backend.alloc(3, 'float64'), backend.alloc(3, 'float64')];
    backend.write(x, Float64Array.from(values));
    backend.kernels?.logSoftmax?.(out, x, rows, { temperature, mask: null });
    return [...(backend.readSync?.(out) ?? [])];
  };
  const logits = [1.7e308, -1.6e308, 3];
  const expected = logSoftmaxOf(logits, 1);
  expect(expected).toEqual([0, Number.NEGATIVE_INFINITY, -1.7e308]);
  expect(
    logSoftmaxOf(
      logits.map((x) => -x),
      -1,
    ),
  ).toEqual(expected);
});

test('the sum of a long row of cotangents is as exact as that of a short one', async () => {
  const classes = 2 ** 18;
  const y = tensor(new Float64Array(classes).fill(-Math.log(classes)), { shape: [1, classes], backend });
  const g = tensor(new Float64Array(classes).fill(0.1), { shape: [1, classes], backend });
  // g − exp(y) Σ g = 0, but for the rounding of exp(y).
  const dx = await logSoftmax.vjp(y, g).data();
  const p = Math.exp(-Math.log(classes)) * classes;
  const expected = 0.1 - 0.1 * p;
  expect(Math.max(...Array.from(dx.subarray(0, 100), (d) => Math.abs(d - expected)))).toBeLessThan(2 ** -50);
});

test('derivatives of the smallest cotangents keep their bits', async () => {
  for (const dtype of ['float32', 'float64'] as const) {
    const smallest = dtype === 'float64' ? 2 ** -1074 : 2 ** -149;
    const y = tensor([[1, 1, 1, 1].map((p) => Math.log(p / 4))], { dtype, backend });
    const g = tensor([[64, 0, -16, 16].map((multiple) => multiple * smallest)], { dtype, backend });
    // g − Σ g / 4, exactly.
    const dx = await logSoftmax.vjp(y, g).data();
    expect(Array.from(dx, (d) => d / smallest)).toEqual([48, -16, -32, 0]);
    const dy = await logSoftmax.jvp(y, g).data();
    expect(Array.from(dy, (d) => d / smallest)).toEqual([48, -16, -32, 0]);
  }
});

describe('the vjp of softmax in float64 keeps its digits where one of its factors is at an end of the range', () => {
  const unit = 2 ** -53;
  const of = (values: readonly number[]) => tensor([values], { dtype: 'float64', backend });

  test('small cotangents and a tiny temperature', () => {
    for (const classes of lengths) {
      const p = Array.from(softmax(of(row(classes))).dataSync(), Number);
      const s = of(p);
      const g = Array.from({ length: classes }, (_, c) => Math.cos(3 * c));
      const ordinary = softmax.vjp(s, of(g)).dataSync();
      const small = of(g.map((value) => value * 2 ** -1000));
      for (const exponent of [-65, -100]) {
        const actual = softmax.vjp(s, small, { temperature: 2 ** exponent }).dataSync();
        const wrong = ordinary.findIndex((value, i) => {
          const error = Math.abs(Number(actual[i]) * 2 ** (1000 + exponent) - Number(value));
          return !(error <= 8 * unit * (p[i] ?? 0));
        });
        expect([classes, exponent, wrong]).toEqual([classes, exponent, -1]);
      }
    }
  });

  test('huge cotangents and a large temperature', () => {
    // The quotients of these probabilities by the temperature are subnormal.
    const tiny = Math.SQRT2 * 2 ** -960;
    const huge = Math.SQRT1_2 * 2 ** 1000;
    for (const classes of lengths) {
      const s = of(row(classes).map((_, c) => (c === 0 ? 1 : tiny)));
      const g = of(row(classes).map((_, c) => (c === 0 ? huge : 0)));
      const actual = softmax.vjp(s, g, { temperature: 2 ** 100 }).dataSync();
      const wrong = actual.findIndex((value, i) => i > 0 && !(Math.abs(Number(value) * 2 ** 60 + 1) <= 8 * unit));
      expect([classes, wrong]).toEqual([classes, -1]);
    }
  });
});
