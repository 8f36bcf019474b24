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
