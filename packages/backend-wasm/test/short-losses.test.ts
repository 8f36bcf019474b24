import { crossEntropy, tensor } from '@softgrad/core';
import { plainCrossEntropy } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { crossEntropyOf } from './cross-entropy.js';
import { withRelaxedSimd } from './relaxed.js';
import { random, ulp } from './ulp.js';

// Losses of short rows in float32, whose logarithm is that of the share of the target, of four rows at a time.

test.each([false, true])(
  'the losses of many rows whose targets are far below the others are right, relaxed SIMD %s',
  async (relaxedSimd) => {
    const backend = await withRelaxedSimd(() => wasm.open({ relaxedSimd }));
    const next = random(31);
    // More rows than fit into a block. In every third row the share of the target is below 2^-100.
    const [rows, classes] = [3001, 3];
    const indices = Int32Array.from({ length: rows }, () => Math.floor(next() * classes));
    const x = new Float32Array(rows * classes).map((_, k) => {
      const row = Math.floor(k / classes);
      const isTarget = k % classes === indices[row];
      return 4 * next() + (isTarget && row % 3 === 0 ? -75 - 20 * next() : 0);
    });
    const losses = crossEntropy
      .loss(tensor(x, { shape: [rows, classes], backend }), tensor(indices, { dtype: 'int32', backend }), {
        reduction: 'none',
      })
      .dataSync();
    for (let row = 0; row < rows; row++) {
      const of = [...x.subarray(row * classes, (row + 1) * classes)];
      const largest = Math.max(...of);
      const expected =
        Math.log(of.reduce((sum, value) => sum + Math.exp(value - largest), 0)) + largest - of[indices[row]];
      expect(Math.abs(losses[row] - expected) / ulp(expected, 'float32'), `row ${row}`).toBeLessThanOrEqual(3);
    }
  },
);

test.each([false, true])(
  'the logarithm of a share near √½ is not off to one side by a part of an ULP, relaxed SIMD %s',
  async (relaxedSimd) => {
    const backend = await withRelaxedSimd(() => wasm.open({ relaxedSimd }));
    // Shares from 0.5 to 0.75, where −log is of the share itself, and a term more or less of its series is most of an ULP.
    const rows = 4000;
    const x = Float32Array.from({ length: 2 * rows }, (_, k) => (k % 2 ? 0 : 1.0986 * ((k >> 1) / rows)));
    const target = tensor(new Int32Array(rows), { dtype: 'int32', backend });
    const losses = crossEntropy
      .loss(tensor(x, { shape: [rows, 2], backend }), target, { reduction: 'none' })
      .dataSync();
    const errors = [...losses].map((loss, row) => {
      const expected = Math.log1p(Math.exp(-x[2 * row]));
      return { share: Math.exp(-expected), error: (loss - expected) / ulp(expected, 'float32') };
    });
    for (const [from, to] of [
      [0.5, 0.6],
      [0.6, 0.7],
      [0.7, 0.75],
    ] as const) {
      const within = errors.filter(({ share }) => share >= from && share < to);
      const mean = within.reduce((sum, { error }) => sum + error, 0) / within.length;
      expect(Math.abs(mean), `shares from ${from} to ${to}`).toBeLessThan(0.2);
    }
  },
);

test('a row behind the last one is not looked at, even if it would be ignored', async () => {
  const backend = await wasm.open({ relaxedSimd: false });
  const [rows, classes] = [{ outer: 4, classes: 3, inner: 1 }, 3];
  const put = <D extends 'float32' | 'int32'>(dtype: D, values: readonly number[]) => {
    const buffer = backend.alloc(values.length, dtype);
    backend.write(buffer, dtype === 'int32' ? Int32Array.from(values) : Float32Array.from(values));
    return buffer;
  };
  const x = put(
    'float32',
    Array.from({ length: 8 * classes }, (_, k) => Math.sin(k)),
  );
  const target = put('int32', [0, -100, 2, 1, -100, -100, -100, -100]);
  const gradient = put('float32', new Array(8 * classes).fill(7));
  backend.kernels?.crossEntropy?.({ loss: null, gradient }, x, rows, {
    ...plainCrossEntropy,
    target: { kind: 'indices', buffer: target },
  });
  const result = [...(backend.readSync?.(gradient) ?? [])];
  expect(result.slice(classes, 2 * classes)).toEqual([0, 0, 0]);
  expect(result.slice(4 * classes)).toEqual(new Array(4 * classes).fill(7));
});

/** How far a target's logit is above the others: its share is nearly 1, ordinary, or below 2^-100 and sometimes clamped. */
const gaps = {
  near: (next: () => number) => 20 + 30 * next(),
  ordinary: (next: () => number) => 8 * next() - 4,
  far: (next: () => number) => -75 - 65 * next(),
};

// The losses and gradients of rare rows are computed again, in groups of four that are listed for a block of 1024 numbers.
test.each([
  [2, ['near']],
  [2, ['far']],
  [2, ['near', 'far', 'ordinary', 'near', 'ordinary']],
  [3, ['near', 'far', 'far']],
  [7, ['near', 'ordinary', 'ordinary', 'ordinary', 'ordinary', 'far', 'ordinary']],
] as const)('rows of %i classes whose targets are %j have the right losses and gradients', async (classes, kinds) => {
  const backend = await wasm.open({ relaxedSimd: false });
  const next = random(classes);
  const rows = { outer: 1500, classes, inner: 1 };
  const weight = Float32Array.from({ length: classes }, (_, c) => (c === 1 ? 0 : 0.5 + c / 3));
  const indices = Int32Array.from({ length: rows.outer }, (_, row) =>
    row % 11 === 5 ? -100 : Math.floor(next() * classes),
  );
  for (const temperature of [1, -0.5]) {
    const x = Float32Array.from({ length: rows.outer * classes }, (_, k) => {
      const row = Math.floor(k / classes);
      return (
        temperature * (next() + (k % classes === Math.max(indices[row], 0) ? gaps[kinds[row % kinds.length]](next) : 0))
      );
    });
    for (const used of [null, weight])
      for (const inPlace of [false, true]) {
        const { loss, gradient } = crossEntropyOf(backend, x, rows, indices, {
          temperature,
          weight: used,
          scale: 3,
          inPlace,
        });
        for (let row = 0; row < rows.outer; row++) {
          const target = indices[row];
          const z = Array.from(x.subarray(row * classes, (row + 1) * classes), (value) => value / temperature);
          // Relative to the target.
          const e = z.map((value) => Math.exp(value - z[target]));
          const others = e.reduce((sum, value, c) => (c === target ? sum : sum + value), 0);
          const w = target < 0 ? 0 : 3 * (used?.[target] ?? 1);
          const expected = [w === 0 ? 0 : w * Math.log1p(others)];
          for (let c = 0; c < classes; c++)
            expected.push(w === 0 ? 0 : ((c === target ? -others : e[c]) / (1 + others)) * (w / temperature));
          const actual = [loss[row], ...Array.from({ length: classes }, (_, c) => gradient[row * classes + c])];
          for (const [k, value] of actual.entries())
            if (!(Math.abs(value - expected[k]) <= 3.5 * ulp(expected[k], 'float32')))
              expect.fail(
                `T = ${temperature}, row ${row}, ${k === 0 ? 'loss' : `class ${k - 1}`}: ${value} ≠ ${expected[k]}`,
              );
        }
      }
  }
});
