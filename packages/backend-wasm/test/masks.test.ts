import type { CrossEntropyParameters, FloatDType, Rows, SoftmaxParameters } from '@softgrad/core';
import { plainCrossEntropy } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { type WasmBuffer, wasm } from '../src/index.js';
import { compute, logits, sameBits } from './ulp.js';

const backend = await wasm.open({ relaxedSimd: false });

/** The results of every operation that takes a mask, with target indices that the mask keeps and with target probabilities. */
function results(dtype: FloatDType, rows: Rows, mask: Uint8Array, temperature: number): readonly ArrayLike<number>[] {
  const { outer, classes, inner } = rows;
  const x = logits(dtype, outer * classes * inner, 5, 0, classes + inner);
  const buffer = backend.alloc(mask.length, 'bool');
  backend.write(buffer, mask);
  const parameters: SoftmaxParameters<WasmBuffer> = {
    temperature,
    mask: { buffer, outer: mask.length / (classes * inner) },
  };
  const loss = backend.alloc(outer * inner, dtype);
  const indices = backend.alloc(outer * inner, 'int32');
  backend.write(indices, new Int32Array(outer * inner).fill(1));
  const probabilities = backend.alloc(x.length, dtype);
  backend.write(probabilities, logits(dtype, x.length, 0.5, 0.5, 3));
  const entropy = (target: CrossEntropyParameters<WasmBuffer>['target'], labelSmoothing: number) => {
    const more = { target, labelSmoothing, weight: null, ignoreIndex: -100, scale: 0.5 };
    const gradient = compute(backend, [x], (out, input) =>
      backend.kernels?.crossEntropy?.({ loss, gradient: out }, input, rows, { ...parameters, ...more }),
    );
    return [gradient, backend.readSync?.(loss) ?? []];
  };
  const all = [
    compute(backend, [x], (out, input) => backend.softmax(out, input, rows, parameters)),
    compute(backend, [x], (out, input) => backend.kernels?.logSoftmax?.(out, input, rows, parameters)),
    Array.from(compute(backend, [x], (out, input) => backend.kernels?.logSumExp?.(out, input, rows, parameters))).slice(
      0,
      outer * inner,
    ),
    ...entropy({ kind: 'indices', buffer: indices }, 0),
    ...entropy({ kind: 'indices', buffer: indices }, 0.2),
    ...entropy({ kind: 'probabilities', buffer: probabilities }, 0),
  ];
  for (const used of [buffer, loss, indices, probabilities]) backend.free(used);
  return all;
}

test('a mask that repeats over blocks of rows gives the same bits as the mask written out in full', () => {
  for (const dtype of ['float32', 'float64'] as const) {
    for (const [outer, classes, inner] of [
      [5, 3, 1],
      [6, 5, 1],
      [12, 2, 3],
      [4, 3, 5],
      [12, 300, 1],
    ]) {
      const rows = { outer, classes, inner };
      const block = classes * inner;
      for (const blocks of [1, 2, 3, outer].filter((count) => outer % count === 0)) {
        // The mask keeps class 1, the target; its blocks are all different.
        const kept = (i: number) => Math.floor(i / inner) % classes === 1 || (i * 7 + Math.floor(i / block)) % 3 !== 0;
        const mask = Uint8Array.from({ length: blocks * block }, (_, i) => Number(kept(i)));
        const full = Uint8Array.from({ length: outer * block }, (_, i) => mask[i % mask.length]);
        for (const temperature of [1, -2]) {
          const expected = results(dtype, rows, full, temperature);
          expect(expected.some((values) => Array.from(values).every((value) => value === 0))).toBe(false);
          const same = results(dtype, rows, mask, temperature).map((values, i) => sameBits(values, expected[i]));
          expect({ dtype, rows, blocks, same }).toEqual({ dtype, rows, blocks, same: same.map(() => true) });
        }
      }
    }
  }
});

test('the loss of a row in which the mask keeps one class is 0, or NaN if that logit is NaN', () => {
  for (const dtype of ['float32', 'float64'] as const) {
    for (const classes of [2, 3, 8, 21]) {
      // Row r keeps class r. In every second row the kept logit is NaN, in the other rows the masked ones are.
      const rows = { outer: classes, classes, inner: 1 };
      const x = logits(dtype, classes * classes, 5, 0, classes).map((value, i) => {
        const [row, c] = [Math.floor(i / classes), i % classes];
        return (c === row) === (row % 2 === 1) ? Number.NaN : value;
      });
      const mask = Uint8Array.from(x, (_, i) => Number(i % classes === Math.floor(i / classes)));
      const [input, kept] = [backend.alloc(x.length, dtype), backend.alloc(x.length, 'bool')];
      const [target, loss] = [backend.alloc(classes, 'int32'), backend.alloc(classes, dtype)];
      backend.write(input, x);
      backend.write(kept, mask);
      backend.write(
        target,
        Int32Array.from({ length: classes }, (_, row) => row),
      );
      backend.kernels?.crossEntropy?.({ loss, gradient: null }, input, rows, {
        ...plainCrossEntropy,
        mask: { buffer: kept, outer: classes },
        target: { kind: 'indices', buffer: target },
      });
      expect(Array.from(backend.readSync?.(loss) ?? [], (value) => value + 0)).toEqual(
        Array.from({ length: classes }, (_, row) => (row % 2 === 1 ? Number.NaN : 0)),
      );
      for (const buffer of [input, kept, target, loss]) backend.free(buffer);
    }
  }
});
