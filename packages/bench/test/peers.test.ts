import { describe, expect, test } from 'vitest';
import { outputChecker } from '../src/check.js';
import { benchOps } from '../src/ops.js';
import { peers } from '../src/peers/all.js';
import { keepingGlobals } from '../src/peers/globals.js';
import { workloadInput } from '../src/workload-input.js';
import type { Workload } from '../src/workloads.js';

const softmaxes = ['softmax', 'logSoftmax', 'softmax:paddingMask', 'softmax:causalMask', 'softmax:temperature'];

/** The ops that each peer is measured on in Node, and whether also in float64. */
const measured: Record<string, { readonly ops: readonly string[]; readonly float64: boolean }> = {
  naive: { ops: benchOps, float64: true },
  'tfjs-cpu': { ops: benchOps, float64: false },
  'tfjs-wasm': { ops: benchOps, float64: false },
  'onnxruntime-web': { ops: softmaxes, float64: true },
  'onnxruntime-node': { ops: softmaxes, float64: true },
  'onnxruntime-node-2t': { ops: softmaxes, float64: true },
  'gpu.js': { ops: ['softmax'], float64: false },
  jax: { ops: softmaxes, float64: false },
};

// Sequential, and jax after onnxruntime-web: globals that one leaves behind must not break the other.
describe.each(Object.entries(measured))('%s', (name, { ops, float64 }) => {
  test('computes its ops correctly in every mode, and gives a reason for the others', async () => {
    const contender = await peers[name].open();
    if (typeof contender === 'string') throw new Error(contender);
    expect(contender.name).toBe(name);
    try {
      for (const op of benchOps) {
        for (const dtype of ['float32', 'float64'] as const) {
          // Two shapes: an engine that specializes kernels by shape must not reuse the first.
          for (const shape of [
            [64, 10],
            [300, 20],
            // The shape that measures the call overhead.
            [1, 1],
          ] as const) {
            const workload: Workload = { op, shape, dtype };
            const input = workloadInput(workload);
            const job = await contender.prepare(workload, input);
            if (!ops.includes(op) || (dtype === 'float64' && !float64)) {
              expect(job).toMatch(
                new RegExp(`^(no operator for ${op}|not measured on ${op}|no float64|measured in float32 only)$`),
              );
              continue;
            }
            if (typeof job === 'string') throw new Error(job);
            for (const batch of [job.reused, job.allocating, job.endToEnd]) await batch?.(2);
            expect(outputChecker(workload, input)(contender, await job.result())).toMatchObject({ problem: null });
            await job.dispose();
          }
        }
      }
      const x = Float32Array.of(-3, -2, -1, 0);
      const exp = await contender.exp(x);
      await exp?.batch(2);
      await exp?.dispose();
    } finally {
      await contender.close();
    }
  });
});

test('no engine leaves globals behind that break others', () => {
  expect('Worker' in globalThis).toBe(false);
});

test('peers that need a browser return the reason in Node instead of throwing', async () => {
  for (const name of ['tfjs-webgl', 'tfjs-webgpu']) {
    expect(await peers[name].open()).toMatch(/^does not (load|start: TensorFlow\.js finds no \w+ here$)/);
  }
  expect(await peers['tfjs-webgl'].open()).toBe('does not start: TensorFlow.js finds no webgl here');
});

test('every peer is tested in this file', () => {
  expect(Object.keys(peers).sort()).toEqual([...Object.keys(measured), 'tfjs-webgl', 'tfjs-webgpu'].sort());
});

test('globals are restored, also if the action fails', async () => {
  Reflect.set(globalThis, 'kept', 1);
  const failing = keepingGlobals(['kept', 'added'], async () => {
    Reflect.set(globalThis, 'kept', 2);
    Reflect.set(globalThis, 'added', 3);
    throw new Error('failed');
  });
  await expect(failing).rejects.toThrow('failed');
  expect(Reflect.get(globalThis, 'kept')).toBe(1);
  expect('added' in globalThis).toBe(false);
  Reflect.deleteProperty(globalThis, 'kept');
});
