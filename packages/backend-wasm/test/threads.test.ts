import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { isSoftgradError, type Rows } from '@softgrad/core';
import { plain } from '@softgrad/core/conformance';
import { afterEach, expect, inject, test, vi } from 'vitest';
import { openBackend } from '../src/backend.js';
import { builds } from '../src/builds.js';
import { wasm } from '../src/index.js';
import { everyKernel } from './every-kernel.js';
import { compute, logits, sameBits } from './ulp.js';
import { openThreads, workerThread } from './worker-thread.js';

afterEach(() => vi.unstubAllGlobals());

const large: Rows = { outer: 700, classes: 600, inner: 1 };
/** Barely larger than the smallest shapes for which threads are used: `sharedFrom` of src/sharing.ts. Rows in blocks, in lanes and one by one. */
const shapes: readonly Rows[] = [
  { outer: 1901, classes: 37, inner: 1 },
  { outer: 5, classes: 67, inner: 211 },
  { outer: 117, classes: 600, inner: 1 },
];
const all: readonly Rows[] = [
  ...shapes,
  { outer: 24_001, classes: 3, inner: 1 },
  { outer: 11_501, classes: 6, inner: 1 },
  { outer: 7003, classes: 10, inner: 1 },
  { outer: 8, classes: 9001, inner: 1 },
  { outer: 7, classes: 101, inner: 99 },
];

/** `npm test` has few shapes, and one of float64: guards.test.ts divides the work of both dtypes in another way still, with every length. */
const selection = inject('everything')
  ? ([
      ['float32', [2, 5], all],
      ['float64', [2, 5], all],
    ] as const)
  : ([
      ['float32', [5], shapes],
      ['float64', [2], shapes.slice(0, 1)],
    ] as const);

test.for<readonly ['float32' | 'float64', readonly number[], readonly Rows[]]>(selection)(
  '%s results of every kernel are the same bits on one thread and on %j',
  async ([dtype, numbers, shapesOfDtype]) => {
    const [one, ...others] = await Promise.all([1, ...numbers].map((threads) => openThreads(threads)));
    expect(others.map(({ supports }) => supports.device)).toEqual(
      numbers.map((threads) => `WebAssembly SIMD, ${threads} threads`),
    );
    for (const rows of shapesOfDtype) {
      const expected = everyKernel(one, dtype, rows);
      for (const other of others) {
        for (const [i, actual] of everyKernel(other, dtype, rows).entries()) {
          const same = sameBits(actual, expected[i]);
          expect({ rows, kernel: i, same }).toEqual({ rows, kernel: i, same: true });
        }
      }
    }
    for (const backend of others) await backend.close();
  },
);

test('open threads do not keep a process running', () => {
  const script = `
    const { wasm } = await import('@softgrad/backend-wasm');
    const backend = await wasm.open({ threads: 3 });
    const x = backend.alloc(420000, 'float32');
    backend.softmax(x, x, { outer: 700, classes: 600, inner: 1 }, { temperature: 1, mask: null });
    console.log(backend.supports.device.replace(/relaxed /, ''));`;
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    cwd,
    timeout: 50_000,
  });
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'WebAssembly SIMD, 3 threads\n' });
});

test('close ends the threads', async () => {
  const workers: Worker[] = [];
  const backend = await openBackend({
    threads: 2,
    relaxedSimd: false,
    kernels: builds.simd,
    spawn: async () => workerThread('../dist/softgrad-worker.js', workers),
  });
  const ended = new Promise((resolve) => workers[0].once('exit', resolve));
  await backend.close();
  await backend.close();
  expect(await ended).toBe(1);
});

test('a thread that dies during a job gives ERR_DEVICE_LOST, and the backend keeps working', async () => {
  const spawn = async () => workerThread('crashing-worker.mjs', []);
  const backend = await openBackend({ threads: 2, relaxedSimd: false, kernels: builds.simd, spawn, patienceMs: 200 });
  const x = logits('float32', large.outer * large.classes, 5, 0, 1);
  const run = () => compute(backend, [x], (out, input) => backend.softmax(out, input, large, plain));
  // The worker takes a chunk only if it gets processor time while a job is running, so try often.
  const failures: unknown[] = [];
  for (let i = 0; i < 10_000 && failures.length === 0; i++) {
    try {
      run();
    } catch (error) {
      failures.push(isSoftgradError(error) && error.code);
    }
  }
  expect(failures).toEqual(['ERR_DEVICE_LOST']);
  const alone = await wasm.open({ relaxedSimd: false });
  expect(run()).toEqual(compute(alone, [x], (out, input) => alone.softmax(out, input, large, plain)));
});

test('without SharedArrayBuffer there is one thread, and the device says why', async () => {
  vi.stubGlobal('SharedArrayBuffer', undefined);
  const backend = await wasm.open({ threads: 4, relaxedSimd: false });
  expect(backend.supports.device).toBe(
    'WebAssembly SIMD, 1 thread (no SharedArrayBuffer: the page is not cross-origin isolated (COOP: same-origin and COEP: require-corp))',
  );
});

test('if a worker cannot start, there is one thread, and the device says why', async () => {
  const spawn = async () => workerThread('missing-worker.mjs', []);
  const backend = await openBackend({ threads: 2, relaxedSimd: false, kernels: builds.simd, spawn });
  expect(backend.supports.device).toMatch(/^WebAssembly SIMD, 1 thread \(Cannot find module/);
  expect(
    compute(backend, [new Float32Array(2)], (out, x) =>
      backend.softmax(out, x, { outer: 1, classes: 2, inner: 1 }, plain),
    ),
  ).toEqual(Float32Array.of(0.5, 0.5));
});

test.each([0, 65, 1.5, Number.NaN])('%d threads are refused', async (threads) => {
  const error: unknown = await wasm.open({ threads }).catch((reason: unknown) => reason);
  expect(isSoftgradError(error) && error.code).toBe('ERR_VALUE');
});
