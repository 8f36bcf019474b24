import type { FloatDType } from '@softgrad/core';
import { expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { logits } from './ulp.js';

const backend = await wasm.open({ relaxedSimd: false });

/** Lengths of rows that are computed in lanes, in blocks and one at a time. */
const lengths = [1, 2, 3, 5, 13, 16, 20, 100, 257, 1030];

test.each(['float32', 'float64'] as const)(
  'an ignored row whose softmax is undefined has loss 0 and gradient 0, and does not touch its neighbours: %s',
  (dtype: FloatDType) => {
    const outer = 11;
    for (const classes of lengths) {
      const finite = logits(dtype, outer * classes, 5, 0, classes);
      // Every second row is ignored. Its undefined value is at a different class each time, first at the last class.
      const ignored = (row: number) => row % 2 === 1;
      const undefinedBy = (values: readonly number[]) =>
        finite.map((value, i) => {
          const [row, c] = [Math.floor(i / classes), i % classes];
          const isPlace = row % 3 === 2 || c === classes - 1 - (row >> 1);
          return ignored(row) && isPlace ? values[row % values.length] : value;
        });
      // A block of rows with NaN is still computed as a block; an infinity splits it.
      const hosts = [
        finite,
        undefinedBy([Number.NaN]),
        undefinedBy([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]),
      ];
      const indices = Int32Array.from({ length: outer }, (_, row) => (ignored(row) ? -100 : classes - 1));
      const [target, loss] = [backend.alloc(outer, 'int32'), backend.alloc(outer, dtype)];
      const [input, gradient] = [backend.alloc(finite.length, dtype), backend.alloc(finite.length, dtype)];
      backend.write(target, indices);
      const results = hosts.flatMap((host) =>
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
