import type { FloatDType } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { withRelaxedSimd } from './relaxed.js';
import { compute, logits, random, ulp } from './ulp.js';

/** The hvp of sigmoid, g t y (1 − y)(1 − 2y): in float64, and for float32 rounded once. */

const backends = [
  await wasm.open({ relaxedSimd: false }),
  await withRelaxedSimd(() => wasm.open({ relaxedSimd: true })),
];

type Floats = Float32Array | Float64Array;

const floats = (dtype: FloatDType, values: readonly number[]): Floats =>
  dtype === 'float64' ? Float64Array.from(values) : Float32Array.from(values);

const composed = (y: Floats, g: Floats, t: Floats): Floats =>
  y.map((value, k) => g[k] * t[k] * (value * (1 - value)) * (1 - 2 * value));

/** Outputs of sigmoid: some of every size down to the subnormal numbers, others near ½ and near 1. */
function outputs(dtype: FloatDType, count: number): Floats {
  const next = random(1);
  const least = dtype === 'float64' ? 1070 : 148;
  const values = Array.from({ length: count }, (_, k) => {
    if (k % 4 === 0) return 2 ** (-least * next());
    if (k % 4 === 1) return 0.5 + (next() - 0.5) * 2 ** (-20 * next());
    if (k % 4 === 2) return 1 - 2 ** (-24 * next());
    return next();
  });
  return floats(dtype, values);
}

describe.each(['float32', 'float64'] as const)('sigmoid.hvp in %s', (dtype) => {
  const bar = dtype === 'float32' ? 0.500001 : 3;

  test(`is within ${bar} ULP, with the same bits in every build, in place too`, () => {
    const count = 40_001;
    const y = outputs(dtype, count);
    const [g, t] = [2, 3].map((seed) => logits(dtype, count, 2, 0, seed));
    const expected = composed(y, g, t);
    const worst = reference
      .sigmoidHvp(y, g, t)
      .reduce((most, value, k) => Math.max(most, Math.abs(expected[k] - value) / ulp(value, dtype)), 0);
    expect(worst).toBeLessThanOrEqual(bar);
    for (const backend of backends) {
      const hvp = backend.kernels?.sigmoidHvp;
      expect(compute(backend, [y, g, t], (out, a, b, c) => hvp?.(out, a, b, c, count))).toEqual(expected);
      const inPlace = [0, 1, 2].map((written) =>
        compute(backend, [y, g, t], (out, ...operands) => {
          backend.write(out, [y, g, t][written]);
          const [a, b, c] = operands.map((operand, k) => (k === written ? out : operand));
          hvp?.(out, a, b, c, count);
        }),
      );
      expect(inPlace).toEqual([expected, expected, expected]);
    }
  });

  test('writes as many elements as it is asked for', () => {
    const [y, g, t] = [1, 2, 3].map((seed) => logits(dtype, 40, 1, 0, seed));
    const expected = composed(y, g, t);
    for (const backend of backends) {
      for (let length = 0; length <= 17; length++) {
        const actual = compute(backend, [y, g, t], (out, a, b, c) => {
          backend.write(out, floats(dtype, Array(40).fill(-7)));
          backend.kernels?.sigmoidHvp?.(out, a, b, c, length);
        });
        const written = expected.map((value, k) => (k < length ? value : -7));
        expect({ length, actual }).toEqual({ length, actual: written });
      }
    }
  });

  test('is what IEEE 754 says at the ends, and for what is not finite', () => {
    const { NaN: nan, POSITIVE_INFINITY: infinite } = Number;
    const cases = [
      [0, 1, 1, 0],
      [0, -1, 1, -0],
      [0.5, 3, 5, 0],
      [1, 1, 1, -0],
      [0.25, infinite, 1, infinite],
      [0.75, infinite, 1, -infinite],
      [0.25, -infinite, 1, -infinite],
      [0, infinite, 1, nan],
      [1, 1, infinite, nan],
      [0.5, infinite, 1, nan],
      [0.25, infinite, 0, nan],
      [nan, 1, 1, nan],
      [0.25, nan, 1, nan],
      [0.25, 1, nan, nan],
    ];
    const [y, g, t, expected] = [0, 1, 2, 3].map((column) =>
      floats(
        dtype,
        cases.map((row) => row[column]),
      ),
    );
    for (const backend of backends) {
      const actual = compute(backend, [y, g, t], (out, a, b, c) =>
        backend.kernels?.sigmoidHvp?.(out, a, b, c, cases.length),
      );
      expect(actual).toEqual(expected);
    }
  });
});

test('sigmoid.hvp in float32 is right where g t overflows, and where it is subnormal', () => {
  // The last is 26.6 times the least number before it is multiplied by 3/32, and 27 if it is rounded before.
  const [y, g, t] = [
    [2 ** -120, 2 ** -148, 0.25, 0.25],
    [2 ** 70, 2 ** 127, 2 ** -70, 26.6 * 2 ** -75],
    [2 ** 70, 2 ** 20, 2 ** -70, 2 ** -74],
  ].map((values) => Float32Array.from(values));
  const expected = Float32Array.of(2 ** 20, 0.5, 3 * 2 ** -145, 2 ** -148);
  for (const backend of backends) {
    const actual = compute(backend, [y, g, t], (out, a, b, c) => backend.kernels?.sigmoidHvp?.(out, a, b, c, 4));
    expect(actual).toEqual(expected);
  }
});
