import { logSoftmax, logSumExp, softmax, type Tensor, tensor } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import { beforeAll, describe, test } from 'vitest';
import { type CpuBackend, cpu } from '../src/index.js';
import { randomFrom } from './accuracy.js';
import { dtypes, expectWithin, floats } from './layouts.js';

/**
 * Operations that core composes from the basis keep more digits on the way than the dtype has: only the operands that kernels gave and the result are rounded,
 * each by half an ULP, which is one of a number just above a power of 2.
 */

let backend: CpuBackend;
beforeAll(async () => {
  backend = await cpu.open();
});

const shapes = [
  [400, 2],
  [300, 3],
  [100, 10],
  [60, 17],
  [8, 128],
] as const;

describe.each(dtypes)('in %s', (dtype) => {
  describe.each([1, 2.87, 0.01])('at temperature %d', (temperature) => {
    const random = randomFrom(77);
    const workloads = shapes.map(([outer, classes]) => {
      const rows = { outer, classes, inner: 1 };
      const spread = [1, 20, 60].map((range) => range * temperature);
      const uniform = () => floats(outer * classes, dtype).map(() => 2 * random() - 1);
      const x = uniform().map((value, k) => value * spread[Math.floor(k / classes) % 3]);
      return { rows, shape: [outer, classes], x, g: uniform(), h: uniform() };
    });
    const given = (data: Float32Array | Float64Array, shape: readonly number[]) => tensor(data, { shape, backend });
    const numbers = (result: Tensor) => result.dataSync() as Float32Array | Float64Array;

    test('the double backward of softmax is within an ULP of its terms', () => {
      for (const { rows, shape, x, g, h } of workloads) {
        const s = softmax(given(x, shape), { temperature });
        const values = numbers(s);
        const actual = softmax.doubleBackward(s, given(g, shape), given(h, shape));
        const expected = reference.softmaxDoubleBackward(values, g, h, rows, { temperature });
        const sizes = new Float64Array(values.length);
        for (const at of reference.rowIndices(rows)) {
          const top = at.find((i) => values[i] > 0.5);
          const origin = top === undefined ? 0 : g[top];
          const mean = (v: (i: number) => number) => at.reduce((sum, i) => sum + values[i] * v(i), 0);
          const spread = mean((i) => Math.abs(g[i] - origin));
          const ofUpstream = mean((i) => Math.abs(h[i]));
          for (const i of at)
            sizes[i] =
              (Math.abs(h[i]) * (Math.abs(g[i] - origin) + spread) + Math.abs(g[i]) * ofUpstream) / temperature;
        }
        expectWithin(1, numbers(actual), expected, dtype, `${shape}`, sizes);
      }
    });

    test('the diagonals of softmax and log-softmax are within two ULP', () => {
      for (const { rows, shape, x } of workloads) {
        const parameters = { temperature };
        const ofSoftmax = softmax.linearize(given(x, shape), parameters);
        expectWithin(
          2,
          numbers(ofSoftmax.diagonal()),
          reference.softmaxJacobian(numbers(ofSoftmax.value), rows, parameters, 'diagonal'),
          dtype,
          `softmax ${shape}`,
        );
        const ofLog = logSoftmax.linearize(given(x, shape), parameters);
        expectWithin(
          1,
          numbers(ofLog.diagonal()),
          reference.logSoftmaxJacobian(numbers(ofLog.value), rows, parameters, 'diagonal'),
          dtype,
          `logSoftmax ${shape}`,
        );
      }
    });

    test('the jvp of log-sum-exp is within 1.5 ULP of its terms', () => {
      for (const { rows, shape, x, g } of workloads) {
        const actual = logSumExp.jvp(given(x, shape), given(g, shape), { temperature });
        const expected = reference.logSumExpJvp(x, g, rows, { temperature });
        const sizes = reference.logSumExpJvp(x, g.map(Math.abs), rows, { temperature });
        expectWithin(1.5, numbers(actual), expected, dtype, `${shape}`, sizes);
      }
    });
  });
});
