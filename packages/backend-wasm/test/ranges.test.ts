import { softmax, tensor } from '@softgrad/core';
import { expect, test } from 'vitest';
import { largest, testLargestCotangents } from '../../backend-cpu/test/largest-cotangents.js';
import { testSmallDivisors } from '../../backend-cpu/test/small-divisors.js';
import { wasm } from '../src/index.js';
import { compute } from './ulp.js';

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

// Where one of them is huge, directions are multiplied by a small power of 2: a small result has to be multiplied by its inverse before it is divided by T.
test.each([
  ['float32', 2 ** 120, 2 ** -77, 2 ** 33],
  ['float64', 2 ** 1020, 2 ** -950, 2 ** 60],
] as const)(
  'a huge direction at a probability of 0 takes no digits of the smallest results: %s',
  (dtype, huge, least, temperature) => {
    const { kernels } = backend;
    for (const classes of [3, 4, 5, 12, 20, 40]) {
      const rows = { outer: 1, classes, inner: 1 };
      const parameters = { temperature, mask: null };
      const host = (...first: number[]) => {
        const values = Array.from({ length: classes }, (_, c) => first[c] ?? 0);
        return dtype === 'float32' ? Float32Array.from(values) : Float64Array.from(values);
      };
      const s = host(0, 1 - least, least);
      const small = 2 ** -10 * (1 + 2 ** -21);
      const results = [huge, 0].map((first) => {
        const direction = host(first, 0, small);
        const vjp = compute(backend, [s, direction], (out, p, g) => backend.vjp(out, p, g, rows, parameters));
        const jvp = compute(backend, [s.map(Math.log), direction], (out, y, t) =>
          kernels?.logSoftmaxJvp?.(out, y, t, rows, parameters),
        );
        return [vjp, jvp].map((result) => Array.from(result).slice(1, 3));
      });
      expect(results[0], `${classes} classes`).toEqual(results[1]);
      expect(results[1]?.[0]?.[1]).toBe((least * small) / temperature);
    }
  },
);
