import { reference } from '@softgrad/core/conformance';
import { beforeAll, expect, test } from 'vitest';
import { root } from '../src/exp-double.js';
import { expOfFloat32, leastSteps, mostSteps, quadratic, singleLimit, stepsPerUnit } from '../src/exp-single.js';
import { type CpuBackend, cpu } from '../src/index.js';
import { largestError, randomFrom, ulp } from './accuracy.js';
import { precisely } from './few-values.js';
import { dtypes, floats } from './layouts.js';

let backend: CpuBackend;
beforeAll(async () => {
  backend = await cpu.open();
});

test('the quadratic of float32 goes through the power of 2 at the Chebyshev nodes', () => {
  const { a, b, leading } = quadratic;
  for (const k of [1, 3, 5]) {
    const t = 0.5 + 0.5 * Math.cos((Math.PI * k) / 6);
    expect(Math.abs((leading * (t * (t + b) + a)) / 2 ** ((t - 0.5) / 64) - 1)).toBeLessThan(1e-15);
  }
});

test('exp is within 0.65 ULP in float32, over every exponent', () => {
  const bits = Uint32Array.from({ length: 2 ** 17 }, (_, k) => k * 2 ** 15 + (k % 32749));
  const x = new Float32Array(bits.buffer).filter((value) => !Number.isNaN(value));
  const out = x.map(expOfFloat32);
  const expected = Float64Array.from(x, Math.exp);
  const representable = expected.map((value, k) => (Math.fround(value) === Number.POSITIVE_INFINITY ? out[k] : value));
  expect(largestError(out, representable, 'float32')).toBeLessThan(0.65);
  expect(x.every((value, k) => value < 88.73 || out[k] === Number.POSITIVE_INFINITY)).toBe(true);
  expect(x.every((value, k) => value > -104 || out[k] === 0)).toBe(true);
});

test('the root of the table of float64 is 2^(1/512) to 2⁻¹⁰⁰', () => {
  const power = precisely(root.high).plus(precisely(root.low)).pow(512);
  expect(power.div(2).minus(1).abs().toNumber()).toBeLessThan(512 * 2 ** -104);
});

test('exp is within 0.53 ULP in float64, and within one spacing where the result is subnormal', () => {
  const random = randomFrom(7);
  const x = Float64Array.from({ length: 1600 }, (_, k) =>
    k % 40 === 0
      ? 709.782712893384 - 0.8 * random() ** 4
      : k % 4 === 0
        ? 1456 * random() - 746
        : k % 4 === 1
          ? 40 * random() - 40
          : (random() - 0.5) * 2 ** -(k % 60),
  );
  const out = new Float64Array(x.length);
  backend.basis.unary(out, 'exp', x, x.length);
  for (let k = 0; k < x.length; k++) {
    if (out[k] === Number.POSITIVE_INFINITY) {
      expect(x[k]).toBeGreaterThan(709.782712893384);
      continue;
    }
    const exact = precisely(x[k]).exp();
    const error = exact.minus(precisely(out[k])).abs().div(ulp(exact.toNumber(), 'float64')).toNumber();
    if (!(error < (out[k] < 2 ** -1022 ? 1 : 0.53))) expect.fail(`exp(${x[k]}) is off by ${error} ULP`);
  }
});

test('exp in float32 is right on both sides of where its table ends', () => {
  const ends = [singleLimit, -singleLimit, mostSteps / stepsPerUnit, leastSteps / stepsPerUnit];
  for (const end of ends) {
    const x = Float32Array.of(end - 1, end - 2 ** -14, end, end + 2 ** -14, end + 1, 2 * end);
    expect([...x.map(expOfFloat32)]).toEqual(Array.from(x, () => (end > 0 ? Number.POSITIVE_INFINITY : 0)));
  }
});

test('exp in float64 is right on both sides of where a power of 2 overflows, and of where the result does', () => {
  const largest = 709.782712893384;
  const x = Float64Array.of(708.9, 709, 709.0001, 709.4, largest, largest + 2 ** -43, 710, 1e308, -744, -747);
  const out = new Float64Array(x.length);
  backend.basis.unary(out, 'exp', x, x.length);
  for (let k = 0; k < 5; k++) {
    const exact = precisely(x[k]).exp();
    const error = exact.minus(precisely(out[k])).abs().div(ulp(exact.toNumber(), 'float64'));
    expect(error.toNumber(), `exp(${x[k]})`).toBeLessThan(0.53);
  }
  expect([...out.subarray(5)]).toEqual([...Array(3).fill(Number.POSITIVE_INFINITY), 2 ** -1073, 0]);
});

test.each(dtypes)('exp and log of what is not finite are those of IEEE 754 in %s', (dtype) => {
  const x = floats(5, dtype);
  x.set([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, Number.NaN, 0, -0]);
  const out = floats(5, dtype);
  backend.basis.unary(out, 'exp', x, 5);
  expect([...out]).toEqual([0, Number.POSITIVE_INFINITY, Number.NaN, 1, 1]);
  backend.basis.unary(out, 'log', x, 5);
  const minus = Number.NEGATIVE_INFINITY;
  expect([...out]).toEqual([Number.NaN, Number.POSITIVE_INFINITY, Number.NaN, minus, minus]);
});

test.each(dtypes)(
  'sigmoid in %s is the reference at every size, its vjp is g y (1 − y), its hvp g t y (1 − y) (1 − 2y)',
  (dtype) => {
    const bar = dtype === 'float32' ? 1 : 2;
    const least = dtype === 'float32' ? 2 ** -126 : 2 ** -1022;
    const sizes = [0, 1e-20, 0.3, 1, 5, 30, 60, 88, 104, 177, 178, 700, 709, 745, 1e5, Number.POSITIVE_INFINITY];
    const x = floats(2 * sizes.length, dtype);
    x.set([...sizes, ...sizes.map((size) => -size)]);
    const y = floats(x.length, dtype);
    const { sigmoid, sigmoidVjp, sigmoidHvp, relu, reluVjp } = backend.kernels;
    sigmoid?.(y, x, x.length);
    expect(largestError(y, reference.sigmoid(x), dtype, least)).toBeLessThanOrEqual(bar);
    const g = x.map((_, k) => k - 3);
    const out = floats(x.length, dtype);
    sigmoidVjp?.(out, y, g, x.length);
    expect(largestError(out, reference.sigmoidVjp(y, g), dtype, least)).toBeLessThanOrEqual(bar);
    const t = x.map((_, k) => 5 - k);
    sigmoidHvp?.(out, y, g, t, x.length);
    expect(largestError(out, reference.sigmoidHvp(y, g, t), dtype, least)).toBeLessThanOrEqual(bar);
    sigmoidHvp?.(t, y, g, t, x.length);
    expect(t).toEqual(out);
    relu?.(out, x, x.length);
    expect([...out]).toEqual([...reference.relu(x)]);
    reluVjp?.(out, x, g, x.length);
    expect(out).toEqual(g.map((value, k) => (x[k] > 0 ? value : 0)));
    const one = floats(1, dtype).fill(Number.NaN);
    sigmoid?.(out, one, 1);
    relu?.(y, one, 1);
    expect([out[0], y[0]]).toEqual([Number.NaN, Number.NaN]);
  },
);
