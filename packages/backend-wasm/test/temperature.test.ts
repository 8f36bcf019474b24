import type { Rows } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { testFarTemperatures } from '../../backend-tfjs/test/far-temperatures.js';
import { wasm } from '../src/index.js';
import { compute, logits, random, ulp } from './ulp.js';

const backend = await wasm.open({ relaxedSimd: false });

test.each(['float32', 'float64'] as const)(
  'the Jacobian at a temperature of 2 is half of that at 1, for every length: %s',
  (dtype) => {
    for (let classes = 1; classes <= 20; classes++) {
      const rows: Rows = { outer: 9, classes, inner: 1 };
      const s = logits(dtype, 9 * classes, 0.5, 0.5, classes);
      const wide = logits(dtype, 9 * classes * classes, 1, 0, 1);
      const at = (temperature: number) =>
        compute(backend, [wide, s], (out, _, input) => backend.jacobian(out, input, rows, { temperature }));
      const [one, two] = [at(1), at(2)];
      expect(Array.from(two)).toEqual(Array.from(one, (value) => value / 2));
    }
  },
);

test('float64 probabilities far below the largest keep their digits at any temperature', () => {
  const next = random(3);
  for (let k = 0; k < 30; k++) {
    const temperature = 0.2 + 5 * next();
    const rows: Rows = { outer: 4, classes: 7, inner: 1 };
    const x = Float64Array.from({ length: 28 }, () => temperature * (300 - 600 * next()));
    const s = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, { temperature, mask: null }));
    const expected = reference.softmax(x, rows, { temperature });
    const errors = Array.from(expected, (value, i) => Math.abs(s[i] - value) / ulp(value, 'float64'));
    expect(Math.max(...errors)).toBeLessThanOrEqual(3);
  }
});

testFarTemperatures('wasm', async () => backend, {
  float32: { softmax: 2.6, logSoftmax: 2.5, logSumExp: 1.8, loss: 2.8, gradient: 3.1, hvp: 4 },
  float64: { softmax: 2, logSoftmax: 2, logSumExp: 2, loss: 2, gradient: 3, hvp: 4 },
});
