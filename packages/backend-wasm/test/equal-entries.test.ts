import type { FloatDType, Kernels, Rows } from '@softgrad/core';
import { plainCrossEntropy } from '@softgrad/core/conformance';
import { expect, inject, test } from 'vitest';
import { type WasmBuffer, wasm } from '../src/index.js';
import { rowLengths } from './defines.js';
import { compute, random } from './ulp.js';

// Vectors, pairs, tails and lanes are different instructions for the same arithmetic. A bound in ULP would not notice if one of them
// rounded once more; bit equality does.

const backend = await wasm.open({ relaxedSimd: false });
const kernels = backend.kernels as Kernels<WasmBuffer>;

/** The number of distinct values in a row. Each value occurs in every lane, at the start and in the tail. */
const palette = 5;

const lengths = (dtype: FloatDType) => rowLengths(dtype).filter((classes) => classes > 1 && classes < 1100);

/** Seeds and spreads of the values: rows near each other, and, in `npm run test:all`, rows with exponentials that underflow more or less. */
const spreads = [[1, 1], [3, 60], ...(inject('everything') ? [[2, 30]] : [])] as const;

/** Rows that repeat the same few values in the same order. */
function repeating(dtype: FloatDType, { outer, classes, inner }: Rows, spread: number, seed: number) {
  const next = random(seed);
  const values = Array.from({ length: palette }, () => (next() * 2 - 1) * spread);
  const size = outer * classes * inner;
  const host = dtype === 'float64' ? new Float64Array(size) : new Float32Array(size);
  return host.map((_, i) => values[(Math.floor(i / inner) % classes) % palette]);
}

/** The first entry whose bits differ from those of an entry with the same input, or null. */
function firstDifference(result: ArrayLike<number>, { classes, inner }: Rows, without = -1): string | null {
  const firsts = new Map<number, number>();
  for (let i = 0; i < result.length; i++) {
    const c = Math.floor(i / inner) % classes;
    if (c === without) continue;
    const first = firsts.get(c % palette);
    if (first === undefined) firsts.set(c % palette, result[i]);
    else if (!Object.is(first, result[i])) return `${i}: ${result[i]}, not ${first}`;
  }
  return null;
}

test.each(['float32', 'float64'] as const)(
  'equal entries of equal rows have the same bits, wherever they are: %s',
  (dtype) => {
    const found: object[] = [];
    for (const classes of lengths(dtype)) {
      const shapes: readonly Rows[] = [
        { outer: classes < 20 ? 4 * Math.floor(256 / classes) + 8 : 8, classes, inner: 1 },
        { outer: 1, classes, inner: 8 },
      ];
      for (const rows of shapes) {
        const target = backend.alloc(rows.outer * rows.inner, 'int32');
        backend.write(target, new Int32Array(rows.outer * rows.inner).fill(1));
        for (const [seed, spread] of spreads) {
          const x = repeating(dtype, rows, spread, classes + seed);
          const p = repeating(dtype, rows, 1 / classes, seed).map(Math.abs);
          const y = p.map(Math.log);
          const g = repeating(dtype, rows, 3, classes - seed);
          for (const temperature of [1, -1.5]) {
            const parameters = { temperature, mask: null };
            const results = {
              softmax: compute(backend, [x], (out, a) => backend.softmax(out, a, rows, parameters)),
              logSoftmax: compute(backend, [x], (out, a) => kernels.logSoftmax?.(out, a, rows, parameters)),
              softmaxVjp: compute(backend, [p, g], (out, a, b) => backend.vjp(out, a, b, rows, { temperature })),
              logSoftmaxVjp: compute(backend, [y, g], (out, a, b) =>
                kernels.logSoftmaxVjp?.(out, a, b, rows, { temperature }),
              ),
              logSoftmaxJvp: compute(backend, [y, g], (out, a, b) =>
                kernels.logSoftmaxJvp?.(out, a, b, rows, { temperature }),
              ),
              crossEntropy: compute(backend, [x], (gradient, a) =>
                kernels.crossEntropy?.({ loss: null, gradient }, a, rows, {
                  ...plainCrossEntropy,
                  ...parameters,
                  target: { kind: 'indices', buffer: target },
                  scale: 0.3,
                }),
              ),
            };
            for (const [name, result] of Object.entries(results)) {
              const difference = firstDifference(result, rows, name === 'crossEntropy' ? 1 : -1);
              if (difference) found.push({ name, rows, spread, temperature, difference });
            }
          }
        }
        backend.free(target);
      }
    }
    expect(found.slice(0, 20)).toEqual([]);
  },
);
