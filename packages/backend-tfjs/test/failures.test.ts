import { type CrossEntropyParameters, SoftgradError } from '@softgrad/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test, vi } from 'vitest';
import type { TfjsBackend } from '../src/backend.js';
import { connect, limitSeconds } from '../src/connection.js';
import { arraysOf, type Device } from '../src/device.js';
import { type TfBuffer, tfjs } from '../src/index.js';
import type { Core } from '../src/peers.js';
import { type RunKernel, runEagerly } from '../src/verbs/eager.js';
import { type GpuPrograms, runLazily } from '../src/verbs/lazy.js';
import { backendWith } from './executed.js';
import { interpretedPrograms } from './interpreted.js';

const full = new SoftgradError('ERR_OUT_OF_MEMORY', 'no memory left');

/** Decremented by every program, kernel and reservation; the one that finds 0 fails. */
let left = Number.POSITIVE_INFINITY;
const countDown = () => {
  if (left-- === 0) throw full;
};
const kernel =
  (instance: tf.KernelBackend): RunKernel =>
  (name, inputs, attrs = {}) => {
    countDown();
    const { kernelFunc } = tf.getKernel(name, 'cpu');
    return kernelFunc({ inputs: { ...inputs }, attrs, backend: instance }) as tf.TensorInfo;
  };
const ways: Readonly<Record<string, (instance: tf.KernelBackend) => Device['execute']>> = {
  'verb by verb': (instance) => (targets, program) =>
    runEagerly(
      instance,
      kernel(instance),
      {
        ...{ losesSecondNaN: true, slowBroadcast: false },
        reserve: countDown,
        ...arraysOf(instance),
      },
      targets,
      program,
    ),
  'as fused programs': (instance) => {
    const { map, reduce } = interpretedPrograms(instance);
    const programs: GpuPrograms = {
      map(...parts) {
        countDown();
        return map(...parts);
      },
      reduce(...parts) {
        countDown();
        return reduce(...parts);
      },
    };
    return (targets, program) => runLazily(instance, programs, targets, program);
  },
};

const rows = { outer: 2, classes: 67, inner: 2 };
const length = rows.outer * rows.classes * rows.inner;

test.each(Object.keys(ways))(
  'if any part of an operation fails, its intermediate results are disposed: run %s',
  async (way) => {
    const backend = await backendWith('cpu', (_, instance) => ({ execute: ways[way](instance) }));
    const instance = tf.engine().registry.cpu;
    for (const [name, operation] of Object.entries(operationsOn(backend))) {
      // The first call uploads the operands and allocates the results.
      operation();
      const held = instance.numDataIds();
      let parts = 0;
      for (let done = false; !done; parts++) {
        left = parts;
        try {
          operation();
          done = true;
        } catch (error) {
          expect(error, name).toBe(full);
        }
        expect(instance.numDataIds(), `${name}, part ${parts} fails`).toBe(held);
      }
      left = Number.POSITIVE_INFINITY;
      expect(parts, name).toBeGreaterThan(1);
    }
    await backend.close();
  },
);

/** Every kernel that has intermediate results, on rows longer than one window. */
function operationsOn(backend: TfjsBackend): Readonly<Record<string, () => void>> {
  const filled = (size: number): TfBuffer => {
    const buffer = backend.alloc(size, 'float32');
    backend.write(
      buffer,
      Float32Array.from({ length: size }, (_, i) => Math.sin(i)),
    );
    return buffer;
  };
  const [x, g, q, out] = [length, length, length, length].map(filled);
  const mask = backend.alloc(length / 2, 'bool');
  backend.write(
    mask,
    Uint8Array.from({ length: length / 2 }, (_, i) => i % 3),
  );
  const loss = filled(length / rows.classes);
  const matrices = filled(length * rows.classes);
  const parameters = { temperature: 2, mask: { buffer: mask, outer: 1 } };
  const soft: CrossEntropyParameters<TfBuffer> = {
    ...parameters,
    target: { kind: 'probabilities', buffer: q },
    weight: filled(rows.classes),
    labelSmoothing: 0.1,
    ignoreIndex: -100,
    scale: 0.5,
  };
  const { kernels } = backend;
  return {
    softmax: () => backend.softmax(out, x, rows, parameters),
    vjp: () => backend.vjp(out, x, g, rows, { temperature: 2 }),
    jacobian: () => backend.jacobian(matrices, x, rows, { temperature: 2 }),
    logSoftmax: () => kernels?.logSoftmax?.(out, x, rows, parameters),
    logSoftmaxVjp: () => kernels?.logSoftmaxVjp?.(out, x, g, rows, { temperature: 2 }),
    logSoftmaxJvp: () => kernels?.logSoftmaxJvp?.(out, x, g, rows, { temperature: 2 }),
    logSoftmaxJacobian: () => kernels?.logSoftmaxJacobian?.(matrices, x, rows, { temperature: 2 }),
    logSumExp: () => kernels?.logSumExp?.(loss, x, rows, parameters),
    crossEntropy: () => kernels?.crossEntropy?.({ loss, gradient: out }, x, rows, soft),
    sigmoid: () => kernels?.sigmoid?.(out, x, length),
    sigmoidVjp: () => kernels?.sigmoidVjp?.(out, x, g, length),
  };
}

test('an engine that throws an unexpected error is skipped; the error is the cause if no other engine can run', async () => {
  const blocked = new Error('blocked');
  const { get } = tf.env();
  const factory = tf.findBackendFactory('cpu');
  const spy = vi.spyOn(tf.env(), 'get').mockImplementation((flag) => {
    if (flag === 'WASM_HAS_SIMD_SUPPORT') throw blocked;
    return get.call(tf.env(), flag);
  });
  try {
    await expect(tfjs.open({ engine: 'wasm' })).rejects.toBe(blocked);
    const backend = await tfjs.open();
    expect(backend.engine).toBe('cpu');
    await backend.close();
    tf.removeBackend('cpu');
    await expect(tfjs.open()).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: expect.stringMatching(
        // The engine that tf has chosen comes first, whichever that is by then.
        /^tfjs: (?=.*engine webgpu )(?=.*engine webgl )(?=.*engine cpu ).*engine wasm could not be opened: Error: blocked/,
      ),
      cause: blocked,
    });
  } finally {
    spy.mockRestore();
    if (!tf.findBackendFactory('cpu')) tf.registerBackend('cpu', factory);
  }
});

describe('an engine that tfjs does not initialize', () => {
  const name = 'wasm';
  const fakeCore = (factory: () => tf.KernelBackend | Promise<tf.KernelBackend>) => {
    const registry: Record<string, tf.KernelBackend> = {};
    const core = {
      engine: () => ({ registry, registryFactory: {} }),
      findBackendFactory: () => factory,
      getKernelsForBackend: () => [],
    };
    return { registry, core: core as unknown as Core };
  };

  test('is an error after a minute, and is disposed if it is ready later', async () => {
    vi.useFakeTimers();
    try {
      let arrive: (instance: tf.KernelBackend) => void = () => {};
      const { core, registry } = fakeCore(() => new Promise((resolve) => (arrive = resolve)));
      const opening = connect(core, name, () => false);
      const outcome = opening.catch((error: unknown) => error);
      await vi.advanceTimersByTimeAsync(limitSeconds * 1000 - 1);
      expect(vi.getTimerCount()).toBe(1);
      await vi.advanceTimersByTimeAsync(1);
      expect(await outcome).toMatchObject({
        code: 'ERR_BACKEND_UNAVAILABLE',
        message: expect.stringMatching(/^tfjs: engine wasm needs .* \(it was not ready after 60 s\)$/),
      });
      let disposals = 0;
      arrive({ dispose: () => disposals++ } as unknown as tf.KernelBackend);
      await vi.advanceTimersByTimeAsync(0);
      expect([disposals, Object.keys(registry)]).toEqual([1, []]);
    } finally {
      vi.useRealTimers();
    }
  });

  test.each<readonly [string, () => Promise<tf.KernelBackend>]>([
    [
      'throws',
      () => {
        throw new Error('no context');
      },
    ],
    ['rejects', async () => Promise.reject(new Error('no context'))],
  ])('leaves no timer behind if its factory %s', async (_, factory) => {
    vi.useFakeTimers();
    try {
      await expect(connect(fakeCore(factory).core, name, () => false)).rejects.toMatchObject({
        code: 'ERR_BACKEND_UNAVAILABLE',
        message: expect.stringMatching(/\(no context\)$/),
      });
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  test('leaves no timer behind if it is ready in time', async () => {
    vi.useFakeTimers();
    try {
      const instance = { dispose: vi.fn() } as unknown as tf.KernelBackend;
      expect(await connect(fakeCore(() => instance).core, name, () => false)).toBe(instance);
      expect(vi.getTimerCount()).toBe(0);
      expect(instance.dispose).not.toHaveBeenCalled();
    } finally {
      vi.useRealTimers();
    }
  });
});
