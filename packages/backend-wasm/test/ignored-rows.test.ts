import type { FloatDType } from '@softgrad/core';
import { expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { logits } from './ulp.js';

const backend = await wasm.open({ relaxedSimd: false });

/** Lengths that are taken in lanes, in blocks and one row after another. */
const lengths = [1, 2, 3, 5, 13, 16, 20, 100, 257, 1030];

test.each(['float32', 'float64'] as const)(
  'an ignored row whose softmax is undefined has loss 0 and gradient 0, and does not touch its neighbours: %s',
  (dtype: FloatDType) => {
    const outer = 11;
    for (const classes of lengths) {
      const finite = logits(dtype, outer * classes, 5, 0, classes);
      const x = finite.slice();
      // Every second row is ignored, with the value at another class each time; the last of them at the last class.
      const ignored = (row: number) => row % 2 === 1;
      const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      for (let row = 1; row < outer; row += 2) {
        for (let c = 0; c < classes; c++) {
          if (row % 3 === 2 || c === classes - 1 - (row >> 1)) x[row * classes + c] = values[row % 3];
        }
      }
      x[10 * classes - 1] = Number.NaN;
      const indices = Int32Array.from({ length: outer }, (_, row) => (ignored(row) ? -100 : classes - 1));
      const [target, loss] = [backend.alloc(outer, 'int32'), backend.alloc(outer, dtype)];
      const [input, gradient] = [backend.alloc(x.length, dtype), backend.alloc(x.length, dtype)];
      backend.write(target, indices);
      const results = [finite, x].flatMap((host) =>
        [0, 0.1].flatMap((labelSmoothing) => {
          backend.write(input, host);
          backend.kernels?.crossEntropy?.(
            { loss, gradient },
            input,
            { outer, classes, inner: 1 },
            {
              temperature: 1,
              mask: null,
              target: { kind: 'indices', buffer: target },
              weight: null,
              labelSmoothing,
              ignoreIndex: -100,
              scale: 0.5,
            },
          );
          return [Array.from(backend.readSync?.(loss) ?? []), Array.from(backend.readSync?.(gradient) ?? [])];
        }),
      );
      const wrong = results.flatMap((result, k) =>
        Array.from(result, (value, i) => {
          const row = k % 2 === 0 ? i : Math.floor(i / classes);
          const isRight = ignored(row) ? value === 0 : Number.isFinite(value) && value !== 0;
          return isRight || classes === 1 ? [] : [`result ${k} of ${classes} classes, row ${row}, at ${i}: ${value}`];
        }).flat(),
      );
      expect(wrong).toEqual([]);
      for (const buffer of [target, loss, input, gradient]) backend.free(buffer);
    }
  },
);
