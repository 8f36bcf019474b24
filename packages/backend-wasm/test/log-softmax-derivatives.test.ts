import type { FloatDType, Kernels, Rows } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { type WasmBuffer, wasm } from '../src/index.js';
import { withRelaxedSimd } from './relaxed.js';
import { compute, random, ulp } from './ulp.js';

type Name = 'logSoftmaxVjp' | 'logSoftmaxJvp';
type Host = Float32Array | Float64Array;

/** Around the lengths of one vector, of several, of a block, and of one part of a long row or more. */
const lengths = inject('everything')
  ? [
      2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 17, 20, 31, 33, 64, 100, 128, 129, 255, 256, 257, 511, 513, 514, 1023, 1025,
      1027, 1030, 2050,
    ]
  : [2, 3, 4, 5, 7, 8, 9, 12, 17, 33, 128, 256, 257, 513, 1025, 1027];

/** Log-probabilities of rows of which every second has a class above 1/2, at each place, that leaves 2^-1 … 2^-60 to the others. */
function logProbabilities(dtype: FloatDType, rows: Rows): Host {
  const next = random(rows.classes);
  const x = Float64Array.from({ length: rows.outer * rows.classes }, (_, i) => {
    const [row, c] = [Math.floor(i / rows.classes), i % rows.classes];
    return 3 * next() + (row % 2 === 1 && c === (row >> 1) % rows.classes ? 4 + (row % 40) : 0);
  });
  return host(dtype, reference.logSoftmax(x, rows));
}

const host = (dtype: FloatDType, values: ArrayLike<number>): Host =>
  dtype === 'float64' ? Float64Array.from(values) : Float32Array.from(values);

/**
 * The tangents of which a constant is subtracted that changes no jvp as far as Σ exp(y) is 1, which that of rounded y is not: the tangent of the class above 1/2, or
 * what is common to all tangents of the row.
 */
function shiftedTangents(y: Host, t: Host, { outer, classes }: Rows, common: number): Float64Array {
  const shifted = Float64Array.from(t);
  for (let row = 0; row < outer; row++) {
    const own = shifted.subarray(row * classes, (row + 1) * classes);
    const top = y.subarray(row * classes, (row + 1) * classes).findIndex((value) => value > -Math.LN2);
    const shift = top >= 0 ? own[top] : row === 2 ? common : 0;
    for (let c = 0; c < classes; c++) own[c] -= shift;
  }
  return shifted;
}

/** Sizes of the terms of each result, whose rounding is allowed. */
function termsOf(name: Name, y: Host, v: Float64Array, { outer, classes }: Rows): Float64Array {
  const sizes = new Float64Array(y.length);
  for (let row = 0; row < outer; row++) {
    const at = Array.from({ length: classes }, (_, c) => row * classes + c);
    const top = at.find((i) => y[i] > -Math.LN2);
    if (name === 'logSoftmaxVjp') {
      const others = at.reduce((sum, i) => (i === top ? sum : sum + v[i]), 0);
      const total = others + (top === undefined ? 0 : v[top]);
      for (const i of at) {
        const p = Math.exp(y[i]);
        sizes[i] =
          i === top ? Math.abs(Math.expm1(y[i]) * v[i]) + Math.abs(p * others) : Math.abs(v[i]) + Math.abs(p * total);
      }
      continue;
    }
    const mean = at.reduce((sum, i) => sum + Math.exp(y[i]) * Math.abs(v[i]), 0);
    for (const i of at) sizes[i] = Math.abs(v[i]) + mean;
  }
  return sizes;
}

describe.each([
  ['float32', false],
  ['float32', true],
  ['float64', false],
] as const)('%s, relaxed SIMD %s', (dtype, relaxedSimd) => {
  test.each([
    ['logSoftmaxVjp', 1],
    ['logSoftmaxJvp', 1],
    ['logSoftmaxVjp', 0.3],
    ['logSoftmaxJvp', -4],
  ] as const)(
    '%s of rows of every length is within 4 ULP of its terms at temperature %d, also in place',
    async (name, temperature) => {
      const backend = await withRelaxedSimd(() => wasm.open({ relaxedSimd }));
      const kernel = backend.kernels?.[name] as Required<Kernels<WasmBuffer>>[Name];
      for (const classes of lengths) {
        const rows = { outer: Math.max(5, Math.ceil(1300 / classes)), classes, inner: 1 };
        const y = logProbabilities(dtype, rows);
        const next = random(7);
        const ordinary = host(
          dtype,
          y.map(() => Math.round((2 * next() - 1) * 2 ** 12) / 2 ** 12),
        );
        const [huge, infinite, common] = [ordinary.slice(), ordinary.slice(), ordinary.slice()];
        // In one row of the first block, in one of the last.
        for (const at of [1, y.length - 2]) huge[at] = dtype === 'float64' ? 1e300 : 1e35;
        infinite[y.length >> 1] = Number.POSITIVE_INFINITY;
        for (let c = 0; c < classes; c++) common[2 * classes + c] += 1024;
        for (const [label, v] of Object.entries({ ordinary, huge, infinite, common })) {
          const run = (out: WasmBuffer, a: WasmBuffer, b: WasmBuffer) => kernel(out, a, b, rows, { temperature });
          const found = compute(backend, [y, v], run);
          const where = `${classes} classes, ${label}`;
          for (const replaced of [0, 1]) {
            const inPlace = compute(backend, [y, v], (out, a, b) => {
              const own = [a, b];
              run(own[replaced], a, b);
              backend.write(out, host(dtype, backend.readSync?.(own[replaced]) ?? []));
            });
            expect(inPlace, `${where}, in place of operand ${replaced}`).toEqual(found);
          }
          if (label === 'infinite') {
            // One row is not finite, and no other is changed.
            const row = Math.floor((y.length >> 1) / classes) * classes;
            const right = compute(backend, [y, ordinary], run);
            for (let i = 0; i < y.length; i++) {
              if (i >= row && i < row + classes) expect(Number.isFinite(found[i]), `${where}: ${i}`).toBe(false);
              else expect(found[i], `${where}: ${i}`).toBe(right[i]);
            }
            continue;
          }
          const shifted = name === 'logSoftmaxVjp' ? v : shiftedTangents(y, v, rows, label === 'common' ? 1024 : 0);
          const operand = Float64Array.from(shifted);
          const expected = reference[name](y, operand, rows, { temperature });
          const sizes = termsOf(name, y, operand, rows).map((size) => size / Math.abs(temperature));
          for (let i = 0; i < y.length; i++) {
            if (!(Math.abs(found[i] - expected[i]) <= 4 * ulp(sizes[i], dtype)))
              expect.fail(`${where}: ${found[i]} at ${i}, expected ${expected[i]} ± ${4 * ulp(sizes[i], dtype)}`);
          }
        }
      }
      backend.close();
    },
  );
});
