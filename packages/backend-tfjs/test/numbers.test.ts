import { logSumExp, softmax, tensor } from '@softgrad/core';
import { expect, test } from 'vitest';
import { tfjs } from '../src/index.js';
import { testNumbers } from './numbers.js';

for (const engine of ['cpu', 'wasm'] as const) testNumbers(engine);

test.each([
  { engine: 'cpu', shape: [1, 128_256], axis: 1 },
  { engine: 'wasm', shape: [1, 128_256], axis: 1 },
  // No length from 8 to 64 divides these.
  { engine: 'wasm', shape: [2, 100_003], axis: 1 },
  { engine: 'wasm', shape: [3, 257], axis: 1 },
  { engine: 'wasm', shape: [64_000, 3], axis: 0 },
] as const)('$engine: sums over the classes of $shape do not drift', async ({ engine, shape, axis }) => {
  const backend = await tfjs.open({ engine });
  const x = Float32Array.from({ length: shape[0] * shape[1] }, (_, k) => Math.sin(k));
  const y = await logSumExp(tensor(x, { shape, backend }), { axis }).data();
  const sums = new Float64Array(shape[1 - axis] ?? 0);
  x.forEach((logit, k) => {
    const row = axis === 1 ? Math.floor(k / shape[1]) : k % shape[1];
    sums[row] = (sums[row] ?? 0) + Math.exp(logit);
  });
  // 4 ULP of the logarithm, because a relative error of the sum is an absolute error of its logarithm.
  for (const [row, sum] of sums.entries()) expect(Math.abs((y[row] ?? 0) - Math.log(sum))).toBeLessThan(2 ** -19);
  await backend.close();
});

test.each([5000, 128_256])('wasm: the probabilities of %d classes sum to 1', async (classes) => {
  const backend = await tfjs.open({ engine: 'wasm' });
  const x = Float32Array.from({ length: classes }, (_, k) => 8 * Math.sin(k * k));
  const p = await softmax(tensor(x, { shape: [1, classes], backend })).data();
  const sum = p.reduce((total, value) => total + value, 0);
  expect(Math.abs(sum - 1)).toBeLessThan(2 ** -21);
  await backend.close();
});
