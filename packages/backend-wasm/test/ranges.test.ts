import { softmax, tensor } from '@softgrad/core';
import { expect, test } from 'vitest';
import { largest, testLargestCotangents } from '../../backend-cpu/test/largest-cotangents.js';
import { testSmallDivisors } from '../../backend-cpu/test/small-divisors.js';
import { wasm } from '../src/index.js';

const backend = await wasm.open({ relaxedSimd: false });

testLargestCotangents(backend);
testSmallDivisors(backend);

test.each(['float32', 'float64'] as const)('a row of huge cotangents is noticed in every lane: %s', async (dtype) => {
  const size = largest[dtype];
  const unit = dtype === 'float64' ? 2 ** -52 : 2 ** -23;
  const rows = 8;
  const share = 2 ** -60;
  for (const classes of [3, 5, 20]) {
    for (const [axis, temperature] of [
      [1, 1],
      [1, 2],
      [0, 2],
    ] as const) {
      for (let huge = 0; huge < rows; huge++) {
        // Each cotangent is huge where its row is, and `by` is 1 or `share`.
        const cotangent = (by: number) => {
          const values = Array.from({ length: rows * classes }, (_, i) => {
            const [row, c] = axis === 1 ? [Math.floor(i / classes), i % classes] : [i % rows, Math.floor(i / rows)];
            const k = ((c * 7 + row) % 5) - 2;
            return row === huge ? (k < 0 ? -size : size * (1 - k / 8)) * by : k;
          });
          return tensor(values, { shape: axis === 1 ? [rows, classes] : [classes, rows], dtype, backend });
        };
        const s = softmax(tensor(new Float64Array(rows * classes), { shape: cotangent(1).shape, dtype, backend }), {
          axis,
          temperature,
        });
        const actual = await softmax.vjp(s, cotangent(1)).data();
        const small = await softmax.vjp(s, cotangent(share)).data();
        const wrong = [...actual].findIndex((value, i) => {
          const isHuge = (axis === 1 ? Math.floor(i / classes) : i % rows) === huge;
          const expected = (small[i] ?? 0) / (isHuge ? share : 1);
          return !(Math.abs(value - expected) <= 8 * unit * (isHuge ? size : 1));
        });
        expect([wrong, classes, axis, huge]).toEqual([-1, classes, axis, huge]);
      }
    }
  }
});
