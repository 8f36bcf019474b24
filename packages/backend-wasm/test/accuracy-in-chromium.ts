import { logSoftmax, tensor } from '@softgrad/core';
import { plain, reference } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { wasm } from '../dist/index.js';
import { compute, largestError, logits, ulp } from './ulp.js';

/** `npm test` computes short rows, rows of one block with a remainder, and rows of several blocks: in Node the same kernels run with every length. */
const lengths = inject('everything')
  ? [2, 3, 4, 5, 8, 10, 16, 17, 33, 47, 48, 63, 64, 65, 100, 128, 256, 257, 1000, 5000]
  : [2, 17, 65, 1000];

// Without relaxed SIMD the results are bit-identical to Node's, see accuracy.test.ts.
describe('in Chromium, with relaxed SIMD', () => {
  test.each(lengths)('probabilities of rows of %i are within 3 ULP in float32 and 2 in float64', async (classes) => {
    const backend = await wasm.open({ relaxedSimd: true });
    for (const [spread, offset] of [
      [1, 0],
      [40, 0],
      [80, 0],
      [8, 1e4],
    ]) {
      const rows = { outer: Math.ceil(20_000 / classes), classes, inner: 1 };
      const x = logits('float32', rows.outer * classes, spread, offset, classes);
      const s = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain));
      expect(largestError(s, x, rows)).toBeLessThanOrEqual(3);
      const few = { ...rows, outer: Math.ceil(300 / classes) };
      const y = logits('float64', few.outer * classes, spread, offset, classes);
      const exact = reference.softmax(y, few);
      const t = compute(backend, [y], (out, input) => backend.softmax(out, input, few, plain));
      const errors = Array.from(exact, (value, i) => Math.abs(t[i] - value) / ulp(value, 'float64'));
      expect(Math.max(...errors.filter((_, i) => exact[i] >= 1e-30))).toBeLessThanOrEqual(2);
    }
  });

  test('the logarithms of a row of equal logits are right if another row is one-hot', async () => {
    const backend = await wasm.open({ relaxedSimd: true });
    for (const dtype of ['float32', 'float64'] as const) {
      using x = tensor(
        [
          [0, 0, 0],
          [90, 0, 0],
          [1, 1, 1],
          [2, 2, 2],
        ],
        { dtype, backend },
      );
      using y = logSoftmax(x);
      const third = expect.closeTo(-Math.log(3), 6);
      expect([...y.dataSync()].filter((_, i) => i < 3 || i > 5)).toEqual(new Array(9).fill(third));
    }
  });
});
