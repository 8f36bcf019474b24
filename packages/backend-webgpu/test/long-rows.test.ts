import type { Rows } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { webgpu } from '../src/index.js';
import { layOut, singleDispatchClasses } from '../src/kernels/run-rows.js';
import { newDeviceWithSubgroups } from './device.js';
import { traced } from './traced.js';

/** Reproducible random numbers in [0, 1). */
function randomNumbers(length: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  });
}

/** The indices of a row's elements. */
function elementsOf({ classes, inner }: Rows, row: number): readonly number[] {
  const first = Math.floor(row / inner) * classes * inner + (row % inner);
  return Array.from({ length: classes }, (_, c) => first + c * inner);
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

test('loss and gradient of cross-entropy with several workgroups per row and every option load and store as counted', async () => {
  const device = await newDeviceWithSubgroups();
  const trace = traced(device);
  const backend = await webgpu.open({ device: trace.device });
  const rows = { outer: 3, classes: 40_000, inner: 1 };
  const { outer, classes } = rows;
  const size = outer * classes;
  // The maximum and the target are in different parts of each row, the third row is ignored, all rows share one mask.
  const logits = randomNumbers(size).map((value) => 8 * value - 4);
  [5, classes + 20_000, 3 * classes - 1].forEach((i) => {
    logits[i] = 14;
  });
  const indices = Int32Array.of(classes - 1, 3, -100);
  const weight = randomNumbers(classes).map((value) => 0.5 + value);
  const mask = Uint8Array.from({ length: classes }, (_, c) => (c % 3 === 1 && c !== 20_000 ? 0 : 1));
  const options = { temperature: 2, labelSmoothing: 0.1, ignoreIndex: -100, scale: 0.5 };

  const upload = (values: Float32Array | Int32Array | Uint8Array, dtype: 'float32' | 'int32' | 'bool') => {
    const buffer = backend.alloc(values.length, dtype);
    backend.write(buffer, values);
    return buffer;
  };
  const [loss, gradient] = [backend.alloc(outer, 'float32'), backend.alloc(size, 'float32')];
  await trace.told();
  backend.kernels.crossEntropy({ loss, gradient }, upload(logits, 'float32'), rows, {
    ...options,
    mask: { buffer: upload(mask, 'bool'), outer: 1 },
    target: { kind: 'indices', buffer: upload(indices, 'int32') },
    weight: upload(weight, 'float32'),
  });
  const [losses, gradients] = [await backend.read(loss), await backend.read(gradient)];
  const { loads, stores } = await trace.told();
  const { dispatches, bytesRead, bytesWritten } = backend.statistics().operations.crossEntropy;
  backend.close();
  device.destroy();

  const errors = { loss: 0, gradient: 0 };
  for (let row = 0; row < outer; row++) {
    const at = elementsOf(rows, row);
    const kept = at.filter((_, c) => mask[c] !== 0);
    const top = kept.reduce((most, i) => Math.max(most, logits[i]), Number.NEGATIVE_INFINITY);
    const z = at.map((i) => (logits[i] - top) / options.temperature);
    const normaliser = Math.log(sum(z.filter((_, c) => mask[c] !== 0).map(Math.exp)));
    const q = at.map((_, c) => {
      if (mask[c] === 0 || indices[row] === options.ignoreIndex) return 0;
      return (
        weight[c] * ((1 - options.labelSmoothing) * Number(c === indices[row]) + options.labelSmoothing / kept.length)
      );
    });
    const total = sum(q);
    const expected = options.scale * sum(q.map((share, c) => share * (normaliser - z[c])));
    errors.loss = Math.max(errors.loss, Math.abs(losses[row] - expected) / Math.max(expected, 1e-30));
    const factor = options.scale / options.temperature;
    at.forEach((i, c) => {
      const p = mask[c] === 0 ? 0 : Math.exp(z[c] - normaliser);
      const bound = factor * (p * total + q[c]);
      errors.gradient = Math.max(
        errors.gradient,
        Math.abs(gradients[i] - factor * (p * total - q[c])) / Math.max(bound, 1e-30),
      );
    });
  }
  expect(errors.loss).toBeLessThanOrEqual(8 * 2 ** -24);
  expect(errors.gradient).toBeLessThanOrEqual(8 * 2 ** -24);
  // Weights are counted for every element, but not loaded for masked elements or for the gradient of an ignored row.
  const removed = classes - sum([...mask]);
  const notLoaded = outer * removed + (outer - 1) * removed + classes;
  // A mask's element is one byte and loaded twice.
  const loaded = 4 * (loads + notLoaded) - 3 * 2 * size;
  expect([dispatches, loaded, 4 * stores]).toEqual([2, bytesRead, bytesWritten]);
});

describe('lengths around which a row needs a second or another workgroup', () => {
  const last = singleDispatchClasses;
  /** Classes that one workgroup processes. */
  const chunkOf = (rows: Rows) => {
    const { chunk, width } = layOut(rows);
    return chunk * width;
  };
  const long = { outer: 1, classes: last + 4, inner: 1 };
  const column = { outer: 1, classes: last + 1, inner: 3 };
  const shapes: readonly (readonly [Rows, dispatches: number, parts: number])[] = [
    [{ ...long, classes: last }, 1, 1],
    [{ ...long, classes: last + 1 }, 2, Math.ceil((last + 1) / chunkOf(long))],
    [long, 2, Math.ceil((last + 4) / chunkOf(long))],
    [{ ...long, classes: 3 * chunkOf(long) }, 2, 3],
    [{ ...long, classes: 3 * chunkOf(long) + 1 }, 2, 4],
    [{ ...long, classes: 3 * chunkOf(long) + 4 }, 2, 4],
    [{ ...column, classes: last }, 1, 1],
    [column, 2, Math.ceil((last + 1) / chunkOf(column))],
    [{ ...column, classes: 6 * chunkOf(column) }, 2, 6],
    [{ ...column, classes: 6 * chunkOf(column) + 1 }, 2, 7],
  ];

  test('log-sum-exp includes every element, also the first and the last of each part', async () => {
    const backend = await webgpu.open();
    for (const [rows, dispatches, parts] of shapes) {
      const { classes, inner } = rows;
      expect(layOut(rows).parts, `${classes}`).toBe(parts);
      // 0 except for 8, 9, 10 … at the ends of parts: each of them is a noticeable share of the sum.
      const x = new Float32Array(classes * inner);
      for (let part = 0; part < parts; part++) {
        const ends = [part * chunkOf(rows), Math.min(classes, (part + 1) * chunkOf(rows)) - 1];
        for (const c of ends) for (let i = 0; i < inner; i++) x[c * inner + i] = 11 + part / 4 + i / 8;
      }
      const [logits, out] = [backend.alloc(x.length, 'float32'), backend.alloc(inner, 'float32')];
      backend.write(logits, x);
      const before = backend.statistics().dispatches;
      backend.kernels.logSumExp(out, logits, rows, { temperature: 1, mask: null });
      expect(backend.statistics().dispatches - before, `${classes}`).toBe(dispatches);
      const y = await backend.read(out);
      const expected = Array.from({ length: inner }, (_, i) =>
        Math.log(sum(elementsOf(rows, i).map((k) => Math.exp(x[k])))),
      );
      expected.forEach((value, i) => {
        expect(Math.abs(y[i] - value), `${classes}`).toBeLessThanOrEqual(4 * 2 ** -24 * value);
      });
      for (const buffer of [logits, out]) backend.free(buffer);
    }
    backend.close();
  });
});
