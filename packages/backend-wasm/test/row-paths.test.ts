import type { FloatDType, Kernels, Rows } from '@softgrad/core';
import { plain, plainCrossEntropy, reference } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type WasmBuffer, wasm } from '../src/index.js';
import { defined } from './defines.js';
import { compute, logits, random, sameBits, ulp } from './ulp.js';

const backend = await wasm.open({ relaxedSimd: false });
const kernels = backend.kernels as Kernels<WasmBuffer>;

type Host = Float32Array | Float64Array;

const hostOf = (dtype: FloatDType, values: readonly number[]): Host =>
  dtype === 'float64' ? Float64Array.from(values) : Float32Array.from(values);

/** The gradient and the losses of cross-entropy with class indices. */
function crossEntropy(x: Host, rows: Rows, index: number, weight = 1): readonly ArrayLike<number>[] {
  const dtype: FloatDType = x instanceof Float64Array ? 'float64' : 'float32';
  const target = backend.alloc(rows.outer, 'int32');
  const weights = backend.alloc(rows.classes, dtype);
  const loss = backend.alloc(rows.outer, dtype);
  backend.write(target, new Int32Array(rows.outer).fill(index));
  backend.write(weights, hostOf(dtype, new Array(rows.classes).fill(weight)));
  const gradient = compute(backend, [x], (out, input) =>
    kernels.crossEntropy?.({ loss, gradient: out }, input, rows, {
      ...plainCrossEntropy,
      target: { kind: 'indices', buffer: target },
      weight: weights,
    }),
  );
  const losses = backend.readSync?.(loss) ?? [];
  for (const buffer of [target, weights, loss]) backend.free(buffer);
  return [gradient, losses];
}

/** The sum minus 1, with the rounding errors of its additions. */
function beyondOne(values: ArrayLike<number>): number {
  let [sum, errors] = [-1, 0];
  for (const value of Array.from(values)) {
    const next = sum + value;
    const added = next - sum;
    errors += sum - (next - added) + (value - added);
    sum = next;
  }
  return sum + errors;
}

describe.each(['float32', 'float64'] as const)('%s', (dtype) => {
  test('probabilities of long rows sum to 1 more exactly than if the reciprocal of the sum were rounded', () => {
    // Rounded, it would be off by up to 1 of these units in all probabilities of a row alike.
    const unit = ulp(0.75, dtype);
    const bound = dtype === 'float32' ? 0.625 : 0.1;
    // A number of classes for which the reciprocals are little above a power of two, where rounding takes most off.
    const rows = { outer: 36, classes: 1100, inner: 1 };
    // In most rows, the sum of the even or of the odd entries is much larger than the other.
    const x = logits(dtype, rows.outer * rows.classes, 2, 0, 1).map((value, i) => {
      const kind = Math.floor(i / rows.classes) % 3;
      return kind < 2 && i % 2 === kind ? value + 4 : value;
    });
    const s = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain));
    for (let row = 0; row < rows.outer; row++) {
      const first = row * rows.classes;
      const error = Math.abs(beyondOne(Array.from(s).slice(first, first + rows.classes))) / unit;
      expect({ row, error, isSmall: error <= bound }).toEqual({ row, error, isSmall: true });
    }
  });

  test('rows of a block are right with every number of whole vectors and of classes beside them', () => {
    const allowed = dtype === 'float32' ? 3 : 2;
    for (let classes = 64; classes <= 97; classes++) {
      const rows = { outer: 5, classes, inner: 1 };
      const x = logits(dtype, 5 * classes, 5, 0, classes);
      const s = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain));
      const wrong = Array.from(reference.softmax(x, rows)).findIndex(
        (value, i) => !(Math.abs(s[i] - value) <= allowed * ulp(value, dtype)),
      );
      expect({ classes, wrong }).toEqual({ classes, wrong: -1 });
    }
  });

  test('rows whose first vectors are far below all others are as accurate as others, with a small class weight too', () => {
    const classes = 300;
    const rows = { outer: 1, classes, inner: 1 };
    const first = 4 * defined('W', dtype);
    const window = defined('WINDOW', dtype);
    const weight = dtype === 'float32' ? 2 ** -20 : 2 ** -200;
    const gaps = [0.9, 1, 1.02, 1.1, 1.2, 1.3, 1.38, 1.5].map((by) => Math.round(by * window * 8) / 8);
    for (const gap of [...gaps, 0.8 * defined('REDUCIBLE', dtype)]) {
      const x = hostOf(
        dtype,
        Array.from({ length: classes }, (_, c) => (c < first ? -gap : 0)),
      );
      const rest = 1 / (classes - first + first * Math.exp(-gap));
      const s = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain));
      const [gradient] = crossEntropy(x, rows, 0, weight);
      const errors = [s[first], s[classes - 1], gradient[first] / weight, gradient[classes - 1] / weight].map(
        (value) => Math.abs(value - rest) / ulp(rest, dtype),
      );
      expect({ gap, within: errors.map((error) => error <= 3) }).toEqual({ gap, within: [true, true, true, true] });
    }
  });

  test('several equal largest logits are as many terms of the sum, if there is nothing else', () => {
    for (const classes of [8, 9, 16, 257, 260]) {
      for (const count of [2, 3]) {
        for (const other of [-900, Number.NEGATIVE_INFINITY]) {
          const rows = { outer: 1, classes, inner: 1 };
          const x = hostOf(
            dtype,
            Array.from({ length: classes }, (_, c) => (c >= 1 && c <= count ? 5 : other)),
          );
          const y = compute(backend, [x], (out, input) => kernels.logSoftmax?.(out, input, rows, plain));
          const [, losses] = crossEntropy(x, rows, 1);
          const within = [y[1], y[count], -losses[0]].map(
            (value) => Math.abs(value + Math.log(count)) <= 2 * ulp(Math.log(count), dtype),
          );
          expect({ classes, count, other, within }).toEqual({ classes, count, other, within: [true, true, true] });
        }
      }
    }
  });

  test('a block has the same bits whatever follows its logits in memory', () => {
    const near = defined('NEAR', dtype);
    const reducible = defined('REDUCIBLE', dtype);
    const bytes = dtype === 'float64' ? 8 : 4;
    // The maximum of every other row is lower, in the first block beyond −REDUCIBLE and in the second by more than NEAR. If what follows
    // a block belonged to its range, these rows would be computed in another way.
    const blocks = [
      { top: -0.98 * reducible, gap: 0.5 * near },
      { top: 0, gap: 1.5 * near },
    ];
    for (const [outer, classes] of [
      [3, 2],
      [4, 2],
      [7, 2],
      [4, 3],
      [3, 5],
      [5, 5],
      [3, 21],
    ]) {
      const rows = { outer, classes, inner: 1 };
      const next = random(classes);
      for (const { top, gap } of blocks) {
        const x = Array.from(
          { length: outer * classes },
          (_, i) => top - 3 * next() - (Math.floor(i / classes) % 2 ? gap : 0),
        );
        const results = [0, Number.NaN, 1e30, -1e30].map((behind) => {
          const host = hostOf(dtype, [...x, ...new Array(32).fill(behind)]);
          const result = compute(backend, [host], (out, input) => {
            const operand = { ...input, length: x.length };
            backend.softmax({ ...out, length: x.length }, operand, rows, plain);
            const logs = { ...out, address: out.address + 16 * bytes, length: x.length };
            if (x.length <= 16) kernels.logSoftmax?.(logs, operand, rows, plain);
          });
          const values = Array.from(result);
          return [...values.slice(0, x.length), ...(x.length <= 16 ? values.slice(16, 16 + x.length) : [])];
        });
        const same = results.map((result) => sameBits(result, results[0]));
        expect({ outer, classes, top, same }).toEqual({ outer, classes, top, same: [true, true, true, true] });
      }
    }
  });
});
