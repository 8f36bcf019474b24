import { type FloatDType, hostArray, type Rows } from '@softgrad/core';
import { plain, reference, tolerance } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { wasm } from '../src/index.js';
import { rowLengths } from './defines.js';
import { compute, logits, sameBits, ulp } from './ulp.js';

const lengthsOf = (dtype: FloatDType) =>
  inject('everything') ? [...rowLengths(dtype), 47, 48, 5000] : rowLengths(dtype);

/** Numbers of rows: incomplete groups, and for short rows a block and some more. */
function counts(classes: number): readonly number[] {
  if (!inject('everything')) return classes > 100 ? [1, 3] : [1, 2, 3, 4, 4 * Math.floor(256 / classes) + 3];
  return classes > 100 ? [1, 3, 5] : [1, 2, 3, 4, 5, 9, 13, 4 * Math.floor(256 / classes) + 3];
}

describe.each(['float32', 'float64'] as const)('%s', (dtype: FloatDType) => {
  const allowed = dtype === 'float32' ? 3 : 2;

  test('rows of any length, alignment and number are right, and nothing around them is written', async () => {
    const backend = await wasm.open({ relaxedSimd: false });
    const bytes = dtype === 'float64' ? 8 : 4;
    for (const classes of lengthsOf(dtype)) {
      for (const outer of counts(classes)) {
        const rows: Rows = { outer, classes, inner: 1 };
        const size = outer * classes;
        const x = logits(dtype, size, 20, 0, classes * 31 + outer);
        const expected = reference.softmax(x, rows);
        for (const shift of [0, 1, 2, 3]) {
          const room = backend.alloc(size + 16, dtype);
          const input = backend.alloc(size + 16, dtype);
          const guarded = { ...room, address: room.address + (4 + shift) * bytes, length: size };
          const shifted = { ...input, address: input.address + shift * bytes, length: size };
          backend.write(room, hostArray(size + 16, dtype).fill(7));
          backend.write(shifted, x);
          backend.softmax(guarded, shifted, rows, plain);
          const all = backend.readSync?.(room) ?? [];
          for (let i = 0; i < size; i++) {
            const error = Math.abs(all[4 + shift + i] - expected[i]) / ulp(expected[i], dtype);
            if (!(error <= allowed)) expect.fail(`${outer}x${classes} at ${shift}: element ${i} is ${error} ULP off`);
          }
          for (let i = 0; i < size + 16; i++) {
            const inside = i >= 4 + shift && i < 4 + shift + size;
            if (!inside && all[i] !== 7)
              expect.fail(`${outer}x${classes} at ${shift}: wrote outside, at ${i - 4 - shift}`);
          }
          backend.free(room);
          backend.free(input);
        }
      }
    }
  });

  test('a row in place has the same bits whatever follows it, with every remainder of two vectors', async () => {
    const backend = await wasm.open({ relaxedSimd: false });
    const inPlace = (host: Float32Array | Float64Array, rows: Rows, isLog: boolean) => {
      const x = backend.alloc(host.length, dtype);
      backend.write(x, host);
      if (isLog) backend.kernels?.logSoftmax?.(x, x, rows, plain);
      else backend.softmax(x, x, rows, plain);
      const result = Array.from(backend.readSync?.(x) ?? []);
      backend.free(x);
      return result;
    };
    // Exponentials of the first row relative to the second one would underflow.
    const gap = dtype === 'float64' ? 1500 : 200;
    for (let classes = 513; classes <= 520; classes++) {
      const x = logits(dtype, 2 * classes, 5, 0, classes).map((value, i) => (i < classes ? value : value + gap));
      for (const isLog of [false, true]) {
        const alone = inPlace(x.slice(0, classes), { outer: 1, classes, inner: 1 }, isLog);
        const followed = inPlace(x, { outer: 2, classes, inner: 1 }, isLog).slice(0, classes);
        expect({ classes, isLog, same: sameBits(followed, alone) }).toEqual({ classes, isLog, same: true });
      }
    }
  });

  test.each(inject('everything') ? [1, 2, 3, 4, 5, 7, 8, 9, 17] : [1, 3, 4, 9])(
    'columns with an inner dimension of %i are as accurate as rows',
    async (inner) => {
      const backend = await wasm.open({ relaxedSimd: false });
      for (const classes of [1, 2, 3, 5, 10, 67, 1030]) {
        const rows: Rows = { outer: 3, classes, inner };
        const x = logits(dtype, 3 * classes * inner, 20, 0, classes + inner);
        const actual = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain));
        const expected = reference.softmax(x, rows);
        const worst = Math.max(...Array.from(expected, (value, i) => Math.abs(actual[i] - value) / ulp(value, dtype)));
        expect(worst).toBeLessThanOrEqual(allowed);
      }
    },
  );

  test.each(inject('everything') ? [3, 10, 47, 48, 200] : [48])(
    'vjp over rows of %i, flat and nearly one-hot, is right',
    async (classes) => {
      const backend = await wasm.open({ relaxedSimd: false });
      const rows: Rows = { outer: 9, classes, inner: 1 };
      for (const spread of [1, 40]) {
        const x = logits(dtype, 9 * classes, spread, 0, classes);
        const s = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain));
        const probabilities = dtype === 'float64' ? Float64Array.from(s) : Float32Array.from(s);
        const g = logits(dtype, 9 * classes, 3, 1, classes + 1);
        const actual = compute(backend, [probabilities, g], (out, a, b) => backend.vjp(out, a, b, rows, plain));
        const expected = reference.softmaxVjp(probabilities, g, rows);
        const precision = tolerance.precisionOf(backend.supports, dtype);
        const bounds = tolerance.softmaxVjpTolerance(precision, probabilities, g, expected, rows);
        const outside = Array.from(expected, (value, i) => Math.abs(actual[i] - value) - bounds[i]).filter(
          (d) => !(d <= 0),
        );
        expect(outside).toEqual([]);
      }
    },
  );
});
