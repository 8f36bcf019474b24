import type { CrossEntropyParameters, FloatDType, Rows, SoftmaxParameters } from '@softgrad/core';
import { plainCrossEntropy } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { type WasmBuffer, wasm } from '../src/index.js';
import { compute, logits, sameBits, softmaxRow, ulp } from './ulp.js';

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

/** softmax with a mask, to another buffer and in place. */
function masked(x: Float32Array | Float64Array, mask: Uint8Array, rows: Rows, temperature = 1): ArrayLike<number> {
  const buffer = backend.alloc(mask.length, 'bool');
  backend.write(buffer, mask);
  const parameters = { temperature, mask: { buffer, outer: mask.length / (rows.classes * rows.inner) } };
  const beside = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, parameters));
  const within = compute(backend, [x, x], (out, _, input) => {
    backend.softmax(input, input, rows, parameters);
    backend.write(out, backend.readSync?.(input) ?? x);
  });
  backend.free(buffer);
  expect(sameBits(beside, within)).toBe(true);
  return beside;
}

test.each(['float32', 'float64'] as const)(
  'softmax in %s is that of the entries that the mask keeps, whatever the others are, in rows of every length',
  (dtype) => {
    const lengths = [1, 2, 5, 8, 15, 16, 17, 31, 48, 64, 100, 255, 256, 257, 300, 1100];
    for (const [k, classes] of lengths.entries()) {
      for (const [outer, inner] of [
        [21, 1],
        [6, 3],
        [3, 70],
      ]) {
        const block = classes * inner;
        for (const [spread, offset, temperature] of [
          [3, 0, 1],
          [30, 0, 1],
          [120, 0, 1],
          [2, 3000, 1],
          [3, 0, -2],
        ]) {
          const mask = Uint8Array.from({ length: (k % 2 ? outer : outer / 3) * block }, (_, i) => +((i * 7) % 11 < 6));
          const keeps = (i: number) => mask[i % mask.length] !== 0;
          const others = [Number.NaN, Number.POSITIVE_INFINITY, 1e38, Number.NEGATIVE_INFINITY, -1e38];
          const x = logits(dtype, outer * block, spread, offset, classes).map((v, i) => (keeps(i) ? v : others[i % 5]));
          const actual = masked(x, mask, { outer, classes, inner }, temperature);
          for (let row = 0; row < outer * inner; row++) {
            const start = Math.floor(row / inner) * block + (row % inner);
            const entries = Array.from({ length: classes }, (_, c) => start + c * inner);
            const kept = entries.filter(keeps);
            const quotients = kept.map((i) => x[i] / temperature);
            const expected = softmaxRow(quotients, (c) => c, kept.length);
            const wrong = kept.filter(
              (i, c) =>
                !(Math.abs(actual[i] - expected[c]) <= (dtype === 'float32' ? 3 : 40) * ulp(expected[c], dtype)),
            );
            const rest = entries.filter((i) => !keeps(i) && !Object.is(actual[i], 0));
            expect({ classes, inner, spread, offset, temperature, row, wrong, rest }).toEqual(
              expect.objectContaining({ wrong: [], rest: [] }),
            );
          }
        }
      }
    }
  },
);

test('a masked row has the bits that it has alone, however far the largest logits of its neighbours are', () => {
  for (const dtype of ['float32', 'float64'] as const) {
    const deep = dtype === 'float32' ? [0, 50, 87, 97, 103] : [0, 500, 708, 730, 744];
    for (const classes of [16, 17, 40, 64, 128]) {
      for (const apart of [1, 4.9, 5.1, 7.9, 8.1, 12, 40, 90]) {
        const rows = { outer: 12, classes, inner: 1 };
        const mask = Uint8Array.from({ length: 12 * classes }, (_, i) => +(i % 3 !== 0));
        const x = logits(dtype, 12 * classes, 1, -60, classes).map((v, i) => {
          const c = i % classes;
          return c < 14 ? (Math.floor(i / classes) === 4 ? apart : 0) - deep[c % 5] : v;
        });
        const together = masked(x, mask, rows);
        for (let row = 0; row < 12; row++) {
          const [begin, end] = [row * classes, (row + 1) * classes];
          const four = x.slice(0, 4 * classes).map((_, i) => x[begin + (i % classes)]);
          const alone = masked(four, mask.slice(begin, end), { ...rows, outer: 4 });
          const same = sameBits(Array.from(together).slice(begin, end), Array.from(alone).slice(0, classes));
          expect({ dtype, classes, apart, row, same }).toEqual({ dtype, classes, apart, row, same: true });
        }
      }
    }
  }
});

test('a masked row that is undefined is NaN where the mask keeps an entry, and a wholly masked one is 0, beside rows that are neither', () => {
  for (const dtype of ['float32', 'float64'] as const) {
    for (const classes of [3, 16, 33, 64, 257]) {
      for (const temperature of [1, -2]) {
        const rows = { outer: 10, classes, inner: 1 };
        const undefinedLogits = [Number.NaN, temperature * Number.POSITIVE_INFINITY];
        const mask = Uint8Array.from({ length: 10 * classes }, (_, i) => +(i % 3 !== 0 && i >= classes));
        const x = logits(dtype, 10 * classes, 3, 0, classes).map((v, i) =>
          i % classes === classes - 2 && i > 5 * classes ? undefinedLogits[i % 2] : v,
        );
        const actual = Array.from(masked(x, mask, rows, temperature));
        const isUndefined = (row: number) => row > 4 && mask[row * classes + classes - 2] === 1;
        const wrong = actual.filter((p, i) => {
          if (mask[i] === 0) return !Object.is(p, 0);
          return isUndefined(Math.floor(i / classes)) ? !Number.isNaN(p) : !(p > 0 && p <= 1);
        });
        expect({ dtype, classes, temperature, wrong }).toEqual({ dtype, classes, temperature, wrong: [] });
      }
    }
  }
});

test('the largest logit of a masked row is found in every position', () => {
  for (const dtype of ['float32', 'float64'] as const) {
    for (const classes of [16, 37, 300]) {
      const rows = { outer: classes, classes, inner: 1 };
      // One logit of each row is far above the others, every third of which is masked.
      const x = logits(dtype, classes * classes, 1, 0, classes).map((v, i) => (i % (classes + 1) === 0 ? 250 : v));
      const mask = Uint8Array.from(x, (v, i) => Number(v === 250 || i % 3 !== 0));
      const expected = Array.from(x, (v) => Number(v === 250));
      const actual = masked(x, mask, rows);
      const wrong = expected.filter((p, i) => !(Math.abs(actual[i] - p) < 1e-100));
      expect({ dtype, classes, wrong }).toEqual({ dtype, classes, wrong: [] });
    }
  }
});
