import type { Backend, FloatDType, Rows } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { type WasmBuffer, wasm } from '../src/index.js';
import { compute, logits, ulp } from './ulp.js';

/** Second derivatives of rows from uniform to one-hot, of lengths that are and are not multiples of the lanes, along rows and along columns. */

const shapes: readonly Rows[] = [
  ...[1, 2, 3, 4, 10, 17, 130].map((classes) => ({ outer: 21, classes, inner: 1 })),
  // In `npm test` of no more rows than there are lanes, and one.
  { outer: inject('everything') ? 21 : 5, classes: 1000, inner: 1 },
  ...(inject('everything') ? [{ outer: 1, classes: 5000, inner: 1 }] : []),
  { outer: 2, classes: 10, inner: 7 },
  { outer: 3, classes: 33, inner: 8 },
];

const backend: Backend<WasmBuffer> = await wasm.open();

/** In each row one logit, at a different place, is larger than the others by 0 to 80. */
function aheadBySteps(dtype: FloatDType, { outer, classes, inner }: Rows) {
  const x = logits(dtype, outer * classes * inner, 0.5, 0, 1);
  reference.rowIndices({ outer, classes, inner }).forEach((at, row) => {
    at.forEach((i, c) => {
      if (c !== (row * 5) % classes) x[i] -= 4 * row;
    });
  });
  return x;
}

/** `p_i (|c_i| + Σ p |c|)` of each entry, where c is the product of the centered directions, times the factor of its row. */
function terms(
  p: ArrayLike<number>,
  rows: Rows,
  directions: readonly ArrayLike<number>[],
  ofRow: (row: number) => number,
) {
  const out = new Float64Array(p.length);
  reference.rowIndices(rows).forEach((at, row) => {
    const mean = (v: (i: number) => number) => at.reduce((sum, i) => sum + p[i] * v(i), 0);
    const top = at.reduce((a, b) => (p[b] > p[a] ? b : a));
    const centers = directions.map((v) => v[top] + mean((i) => v[i] - v[top]));
    const size = (i: number) => directions.reduce((product, v, k) => product * Math.abs(v[i] - centers[k]), 1);
    const whole = mean(size);
    for (const i of at) out[i] = p[i] * (size(i) + whole) * ofRow(row);
  });
  return out;
}

/** The largest error, in ULP of the largest term in the sum of a row. */
function worst(actual: ArrayLike<number>, expected: Float64Array, sizes: Float64Array, rows: Rows, dtype: FloatDType) {
  return reference.rowIndices(rows).reduce((most, at) => {
    const unit = ulp(
      at.reduce((size, i) => Math.max(size, sizes[i]), 0),
      dtype,
    );
    return at.reduce((largest, i) => Math.max(largest, Math.abs(actual[i] - expected[i]) / unit), most);
  }, 0);
}

describe.each(['float32', 'float64'] as const)('in %s', (dtype) => {
  test.each(shapes)('hvp of $outer × $classes × $inner is within 2.5 ULP of its terms', (rows) => {
    const size = rows.outer * rows.classes * rows.inner;
    const count = rows.outer * rows.inner;
    const x = aheadBySteps(dtype, rows);
    const [cotangent, tangent, perRow] = [size, size, count].map((length, k) => logits(dtype, length, 2, 0, 2 + k));
    const stored = (values: Float64Array) => (dtype === 'float64' ? values : Float32Array.from(values));
    const sums = reference.rowIndices(rows).map((at) => at.reduce((sum, i) => sum + Math.abs(cotangent[i]), 0));
    const { kernels } = backend;
    const cotangents = backend.alloc(count, dtype);
    backend.write(cotangents, perRow);
    for (const [temperature, offset] of [1, -2].flatMap((value) => [0, 1000].map((constant) => [value, constant]))) {
      const squared = temperature ** 2;
      const [g, t] = [cotangent, tangent].map((v) => v.map((value) => value + offset));
      const s = stored(reference.softmax(x, rows, { temperature }));
      const y = stored(reference.logSoftmax(x, rows, { temperature }));
      const found = [
        worst(
          compute(backend, [s, g, t], (out, a, b, c) => kernels?.softmaxHvp?.(out, a, b, c, rows, { temperature })),
          reference.softmaxHvp(s, g, t, rows, { temperature }),
          terms(s, rows, [g, t], () => 1 / squared),
          rows,
          dtype,
        ),
        worst(
          compute(backend, [y, cotangent, t], (out, a, b, c) =>
            kernels?.logSoftmaxHvp?.(out, a, b, c, rows, { temperature }),
          ),
          reference.logSoftmaxHvp(y, cotangent, t, rows, { temperature }),
          terms(s, rows, [t], (row) => sums[row] / squared),
          rows,
          dtype,
        ),
        worst(
          compute(backend, [x, t], (out, a, b) =>
            kernels?.logSumExpHvp?.(out, a, cotangents, b, rows, { temperature, mask: null }),
          ),
          reference.logSumExpHvp(x, perRow, t, rows, { temperature }),
          terms(s, rows, [t], (row) => Math.abs(perRow[row]) / squared),
          rows,
          dtype,
        ),
      ];
      expect(Math.max(...found), String(found)).toBeLessThanOrEqual(2.5);
    }
    backend.free(cotangents);
  });
});
