import { type Backend, crossEntropy, type FloatDType, tensor } from '@softgrad/core';
import { expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { hasFusedMultiplyAdd } from '../src/module.js';
import { logits } from './ulp.js';

/** Powers of two: the gradients are normal numbers, and the temperature is one that core passes to kernels. */
const small = {
  float32: { weight: 2 ** -100, temperature: 2 ** 60, beside: 2 ** -40 },
  float64: { weight: 2 ** -1000, temperature: 2 ** 60, beside: 2 ** -940 },
} as const;

/** One way of computing rows each: three in a vector, blocks, lanes, one by one. */
const lengths = [3, 8, 40, 300, 1000];

function gradient(
  backend: Backend,
  dtype: Exclude<FloatDType, 'float16'>,
  classes: number,
  { weight = 1, divisor = 1, temperature = 1 },
): Float64Array {
  const rows = 9;
  const values = logits(dtype, rows * classes, 3, 0, classes).map((x) => x * temperature);
  const x = tensor({ data: values, shape: [rows, classes] }, { backend, dtype });
  const target = Array.from({ length: rows }, (_, row) => (7 * row) % classes);
  const weights = new Array<number>(classes).fill(weight);
  const result = crossEntropy.gradient(x, target, { reduction: 'none', weight: weights, temperature });
  return Float64Array.from(result.dataSync(), (value) => value / divisor);
}

test.each(['float32', 'float64'] as const)(
  '%s: a gradient loses no digits to small weights or a large temperature as long as it is a normal number',
  async (dtype) => {
    for (const relaxedSimd of hasFusedMultiplyAdd() ? [false, true] : [false]) {
      const backend = await wasm.open({ relaxedSimd });
      const { weight, temperature, beside } = small[dtype];
      const unit = dtype === 'float32' ? 2 ** -24 : 2 ** -53;
      for (const classes of lengths) {
        const expected = gradient(backend, dtype, classes, {});
        for (const [what, actual] of [
          ['weights', gradient(backend, dtype, classes, { weight, divisor: weight })],
          [
            'temperature',
            gradient(backend, dtype, classes, { temperature, weight: beside, divisor: beside / temperature }),
          ],
        ] as const) {
          const worst = expected.reduce(
            (most, value, k) => Math.max(most, Math.abs((actual[k] ?? Number.NaN) / value - 1)),
            0,
          );
          expect({ what, classes, worst: worst <= 8 * unit }).toEqual({ what, classes, worst: true });
        }
      }
    }
  },
);

/** From weights that leave the factors of a row normal to those with which the largest gradients are subnormal. */
const exponents = { float32: [30, 126], float64: [930, 1022] } as const;

test.each(['float32', 'float64'] as const)(
  '%s: a gradient is as accurate with a weight of every exponent, of all classes or of one, as long as it is a normal number',
  async (dtype) => {
    const backend = await wasm.open({ relaxedSimd: false });
    const rows = 8;
    const [unit, least] = dtype === 'float32' ? [2 ** -24, 2 ** -126] : [2 ** -53, 2 ** -1022];
    for (const classes of [3, 8, 40, 256, 300, 1000]) {
      const shape = [rows, classes] as const;
      const data = Float64Array.from(logits('float32', rows * classes, classes % 3 === 0 ? 0.5 : 3, 0, classes));
      // The first and the last class are targets.
      const target = Array.from({ length: rows }, (_, row) => ((classes - 1) * row) % classes);
      const options = { reduction: 'none' } as const;
      const exact = tensor({ data, shape }, { backend, dtype: 'float64' });
      const ordinary = Float64Array.from(crossEntropy.gradient(exact, target, options).dataSync());
      const x = tensor({ data, shape }, { backend, dtype });
      const [from, to] = exponents[dtype];
      for (let exponent = from; exponent < to; exponent++) {
        const small = 1.2345678 * 2 ** -exponent;
        const weights = new Array<number>(classes).fill(exponent % 3 === 0 ? small : 1);
        if (exponent % 3 > 0) weights[exponent % 3 === 1 ? 0 : classes - 1] = small;
        const rounded = dtype === 'float32' ? Array.from(new Float32Array(weights)) : weights;
        const actual = crossEntropy.gradient(x, target, { ...options, weight: weights }).dataSync();
        const worst = ordinary.reduce((most, value, i) => {
          const expected = value * (rounded[target[Math.floor(i / classes)] ?? -1] ?? Number.NaN);
          return Math.abs(expected) < least ? most : Math.max(most, Math.abs((actual[i] ?? Number.NaN) / expected - 1));
        }, 0);
        expect({ classes, exponent, within: worst <= 3.5 * unit }).toEqual({ classes, exponent, within: true });
      }
    }
  },
);

test.each(['float32', 'float64'] as const)(
  '%s: a gradient is as accurate with a large weight of every exponent, in rows far below the first one too',
  async (dtype) => {
    const backend = await wasm.open({ relaxedSimd: false });
    const rows = 8;
    const [unit, largest] = dtype === 'float32' ? [2 ** -24, 127] : [2 ** -53, 1023];
    for (const classes of [3, 8, 40, 300]) {
      const shape = [rows, classes] as const;
      // Rows that kernels may compute from one reference.
      const data = logits('float32', rows * classes, 3, 0, classes).map((x, i) => (i < classes ? x : x - 85));
      const target = Array.from({ length: rows }, (_, row) => ((classes - 1) * row) % classes);
      const options = { reduction: 'none' } as const;
      const exact = tensor({ data, shape }, { backend, dtype: 'float64' });
      const ordinary = crossEntropy.gradient(exact, target, options).dataSync();
      const x = tensor({ data, shape }, { backend, dtype });
      for (let exponent = 0; exponent < largest; exponent += dtype === 'float32' ? 1 : 31) {
        const weight = new Array<number>(classes).fill(2 ** exponent);
        const actual = crossEntropy.gradient(x, target, { ...options, weight }).dataSync();
        const worst = ordinary.reduce<number>(
          (most, value, i) => Math.max(most, Math.abs(Number(actual[i]) / (Number(value) * 2 ** exponent) - 1)),
          0,
        );
        expect({ classes, exponent, within: worst <= 4 * unit }).toEqual({ classes, exponent, within: true });
      }
    }
  },
);
