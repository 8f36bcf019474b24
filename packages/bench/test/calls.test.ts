import { type Backend, register } from '@softgrad/core';
import { exact } from '@softgrad/core/conformance';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test, vi } from 'vitest';
import './register-backends.mjs';
import { backendContender, backendSource } from '../src/backend-contender.js';
import type { Contender, Job } from '../src/contender.js';
import { simdFillLoop } from '../src/exp-loop/loops.js';
import { benchOps } from '../src/ops.js';
import { peers } from '../src/peers/all.js';
import { memoryLoops } from '../src/roofline.js';
import { selectContenders } from '../src/selection.js';
import { workloadInput } from '../src/workload-input.js';
import type { Workload } from '../src/workloads.js';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** The members of an object, and what the functions among them are called how often. */
function counting<T extends object>(target: T, calls: Map<string, number>): T {
  return new Proxy(target, {
    get(from, key) {
      const member: unknown = Reflect.get(from, key, from);
      if (key === 'kernels' || key === 'basis') return counting(member as object, calls);
      if (typeof member !== 'function') return member;
      return (...operands: unknown[]) => {
        calls.set(String(key), (calls.get(String(key)) ?? 0) + 1);
        return Reflect.apply(member, from, operands);
      };
    },
  });
}

async function counted(more: Partial<Backend> & { readonly time?: unknown } = {}) {
  const calls = new Map<string, number>();
  const backend = Object.assign(Object.create(await exact.open()), more) as Backend;
  const contender = backendContender('counted', counting(backend, calls));
  const during = async (action: () => unknown) => {
    calls.clear();
    await action();
    return [...calls]
      .map(([name, count]) => `${name} ${count}`)
      .sort()
      .join(', ');
  };
  return { contender, during };
}

async function jobOf(contender: Contender, workload: Workload): Promise<Job> {
  const job = await contender.prepare(workload, workloadInput(workload));
  if (typeof job === 'string') throw new Error(job);
  return job;
}

describe('a backend', () => {
  test('is called as often as a batch says, with nothing else that takes time', async () => {
    const { contender, during } = await counted();
    const rows: string[] = [];
    for (const op of benchOps) {
      const job = await jobOf(contender, { op, shape: [2, 3], dtype: 'float64' });
      for (const mode of ['reused', 'allocating', 'endToEnd'] as const)
        rows.push(`${op}, ${mode}: ${await during(() => job[mode]?.(3))}`);
      rows.push(`${op}, result: ${await during(job.result)}`, `${op}, dispose: ${await during(() => job.dispose())}`);
      expect(job.device).toBeUndefined();
    }
    const exp = await contender.exp(Float64Array.of(1, 2));
    rows.push(`exp: ${await during(() => exp?.batch(3))}`, `exp, dispose: ${await during(() => exp?.dispose())}`);
    expect(rows).toMatchInlineSnapshot(`
      [
        "softmax, reused: softmax 3, sync 1",
        "softmax, allocating: alloc 3, free 3, softmax 3, sync 1",
        "softmax, endToEnd: read 3, softmax 3, write 3",
        "softmax, result: read 1, softmax 1",
        "softmax, dispose: free 2",
        "jacobian, reused: jacobian 3, sync 1",
        "jacobian, allocating: alloc 3, free 3, jacobian 3, sync 1",
        "jacobian, endToEnd: jacobian 3, read 3, write 3",
        "jacobian, result: jacobian 1, read 1",
        "jacobian, dispose: free 2",
        "vjp, reused: sync 1, vjp 3",
        "vjp, allocating: alloc 3, free 3, sync 1, vjp 3",
        "vjp, endToEnd: read 3, vjp 3, write 3",
        "vjp, result: read 1, vjp 1",
        "vjp, dispose: free 3",
        "logSoftmax, reused: logSoftmax 3, sync 1",
        "logSoftmax, allocating: alloc 3, free 3, logSoftmax 3, sync 1",
        "logSoftmax, endToEnd: logSoftmax 3, read 3, write 3",
        "logSoftmax, result: logSoftmax 1, read 1",
        "logSoftmax, dispose: free 2",
        "crossEntropy, reused: alloc 6, crossEntropy 3, free 6, reduce 3, sync 1",
        "crossEntropy, allocating: alloc 9, crossEntropy 3, free 9, reduce 3, sync 1",
        "crossEntropy, endToEnd: alloc 6, crossEntropy 3, free 6, read 3, reduce 3, write 3",
        "crossEntropy, result: alloc 2, crossEntropy 1, free 2, read 1, reduce 1",
        "crossEntropy, dispose: free 3",
        "sigmoid, reused: sigmoid 3, sync 1",
        "sigmoid, allocating: alloc 3, free 3, sigmoid 3, sync 1",
        "sigmoid, endToEnd: read 3, sigmoid 3, write 3",
        "sigmoid, result: read 1, sigmoid 1",
        "sigmoid, dispose: free 2",
        "relu, reused: relu 3, sync 1",
        "relu, allocating: alloc 3, free 3, relu 3, sync 1",
        "relu, endToEnd: read 3, relu 3, write 3",
        "relu, result: read 1, relu 1",
        "relu, dispose: free 2",
        "softmax:paddingMask, reused: softmax 3, sync 1",
        "softmax:paddingMask, allocating: alloc 3, free 3, softmax 3, sync 1",
        "softmax:paddingMask, endToEnd: read 3, softmax 3, write 3",
        "softmax:paddingMask, result: read 1, softmax 1",
        "softmax:paddingMask, dispose: free 3",
        "softmax:causalMask, reused: softmax 3, sync 1",
        "softmax:causalMask, allocating: alloc 3, free 3, softmax 3, sync 1",
        "softmax:causalMask, endToEnd: read 3, softmax 3, write 3",
        "softmax:causalMask, result: read 1, softmax 1",
        "softmax:causalMask, dispose: free 3",
        "softmax:temperature, reused: softmax 3, sync 1",
        "softmax:temperature, allocating: alloc 3, free 3, softmax 3, sync 1",
        "softmax:temperature, endToEnd: read 3, softmax 3, write 3",
        "softmax:temperature, result: read 1, softmax 1",
        "softmax:temperature, dispose: free 2",
        "vjp:causalMask, reused: maskedVjp 3, sync 1",
        "vjp:causalMask, allocating: alloc 3, free 3, maskedVjp 3, sync 1",
        "vjp:causalMask, endToEnd: maskedVjp 3, read 3, write 3",
        "vjp:causalMask, result: maskedVjp 1, read 1",
        "vjp:causalMask, dispose: free 4",
        "crossEntropy:labelSmoothing, reused: alloc 6, crossEntropy 3, free 6, reduce 3, sync 1",
        "crossEntropy:labelSmoothing, allocating: alloc 9, crossEntropy 3, free 9, reduce 3, sync 1",
        "crossEntropy:labelSmoothing, endToEnd: alloc 6, crossEntropy 3, free 6, read 3, reduce 3, write 3",
        "crossEntropy:labelSmoothing, result: alloc 2, crossEntropy 1, free 2, read 1, reduce 1",
        "crossEntropy:labelSmoothing, dispose: free 3",
        "crossEntropy:probabilities, reused: alloc 6, crossEntropy 3, free 6, reduce 3, sync 1",
        "crossEntropy:probabilities, allocating: alloc 9, crossEntropy 3, free 9, reduce 3, sync 1",
        "crossEntropy:probabilities, endToEnd: alloc 6, crossEntropy 3, free 6, read 3, reduce 3, write 3",
        "crossEntropy:probabilities, result: alloc 2, crossEntropy 1, free 2, read 1, reduce 1",
        "crossEntropy:probabilities, dispose: free 3",
        "crossEntropy:ignoreIndex, reused: alloc 6, crossEntropy 3, free 6, reduce 3, sync 1",
        "crossEntropy:ignoreIndex, allocating: alloc 9, crossEntropy 3, free 9, reduce 3, sync 1",
        "crossEntropy:ignoreIndex, endToEnd: alloc 6, crossEntropy 3, free 6, read 3, reduce 3, write 3",
        "crossEntropy:ignoreIndex, result: alloc 2, crossEntropy 1, free 2, read 1, reduce 1",
        "crossEntropy:ignoreIndex, dispose: free 3",
        "crossEntropy:weight, reused: alloc 9, crossEntropy 3, free 9, reduce 3, sync 1, write 3",
        "crossEntropy:weight, allocating: alloc 12, crossEntropy 3, free 12, reduce 3, sync 1, write 3",
        "crossEntropy:weight, endToEnd: alloc 9, crossEntropy 3, free 9, read 3, reduce 3, write 6",
        "crossEntropy:weight, result: alloc 3, crossEntropy 1, free 3, read 1, reduce 1, write 1",
        "crossEntropy:weight, dispose: free 3",
        "crossEntropy:classMask, reused: alloc 6, crossEntropy 3, free 6, reduce 3, sync 1",
        "crossEntropy:classMask, allocating: alloc 9, crossEntropy 3, free 9, reduce 3, sync 1",
        "crossEntropy:classMask, endToEnd: alloc 6, crossEntropy 3, free 6, read 3, reduce 3, write 3",
        "crossEntropy:classMask, result: alloc 2, crossEntropy 1, free 2, read 1, reduce 1",
        "crossEntropy:classMask, dispose: free 4",
        "exp: sync 1, unary 3",
        "exp, dispose: free 2",
      ]
    `);
  });

  test('that has a clock times as many calls by it', async () => {
    const time = async (enqueue: () => void) => {
      enqueue();
      return 5;
    };
    const { contender, during } = await counted({ time });
    const job = await jobOf(contender, { op: 'softmax', shape: [2, 3], dtype: 'float64' });
    expect(await during(async () => expect(await job.device?.(4)).toBe(5))).toBe('softmax 4, time 1');
  });

  test('frees what it has made if preparing fails', async () => {
    const { contender, during } = await counted({
      write: () => {
        throw new Error('no memory');
      },
    });
    const workload: Workload = { op: 'vjp', shape: [2, 3], dtype: 'float64' };
    const made = await during(() => expect(jobOf(contender, workload)).rejects.toThrow('no memory'));
    expect(made).toBe('alloc 1, free 1, write 1');
  });

  test('is not asked for a dtype that it does not announce, and has no exp without a basis', async () => {
    const { supports } = await exact.open();
    const { contender, during } = await counted({ supports: { ...supports, dtypes: ['float32'] }, basis: undefined });
    const workload: Workload = { op: 'softmax', shape: [2, 3], dtype: 'float64' };
    expect(
      await during(async () => expect(await contender.prepare(workload, workloadInput(workload))).toBe('no float64')),
    ).toBe('');
    const bare = Object.assign(Object.create(await exact.open()), { basis: undefined }) as Backend;
    expect(await backendContender('bare', bare).exp(Float32Array.of(1))).toBeNull();
  });
});

describe('a registered backend', () => {
  const opened: string[] = [];
  const provide = (name: string, open: (options?: unknown) => Promise<Backend>, reason: string | null = null) => {
    register(name, async () => ({ default: { name, unavailable: async () => reason, open } }) as never);
  };
  const closing = async (more: Partial<Backend> = {}) => {
    const backend = await exact.open();
    return Object.assign(Object.create(backend), { ...more, close: async () => void opened.push('closed') }) as Backend;
  };
  let options: unknown;
  provide('of-bench', async (given) => {
    options = given;
    return closing();
  });
  provide('unfused', () => closing({ kernels: undefined }));
  provide('unable', () => closing(), 'no such device');
  provide('throwing', async () => {
    throw new Error('out of order');
  });

  test('is opened under its label; the reason is given if it cannot be opened', async () => {
    const source = backendSource('of-bench', { label: 'mine' });
    expect([source.name, source.kind]).toEqual(['mine', 'backend']);
    const contender = (await source.open()) as Contender;
    const { supports } = await exact.open();
    expect(contender).toMatchObject({
      name: 'mine',
      kind: 'backend',
      description: supports.device,
      expUlp: supports.expUlp,
      subnormals: supports.subnormals,
    });
    opened.length = 0;
    await contender.close();
    expect(opened).toEqual(['closed']);
    expect(await backendSource('unable').open()).toBe('no such device');
    expect(await backendSource('throwing').open()).toBe('out of order');
    expect(await backendSource('nobody').open()).toMatch(/nobody/);
  });

  test('is opened with the options behind its name: numbers, booleans and text', async () => {
    for (const text of ['of-bench', 'of-bench:threads=2:simd=false:fast=true:mode=a b:zero=0']) {
      const [source] = selectContenders([text]);
      expect(source.name).toBe(text);
      await ((await source.open()) as Contender).close();
      expect(options).toEqual(
        text === 'of-bench' ? undefined : { threads: 2, simd: false, fast: true, mode: 'a b', zero: 0 },
      );
    }
    for (const wrong of ['of-bench:threads', 'of-bench:2=3', 'of-bench:a=', 'of-bench: a=1'])
      expect(() => selectContenders([wrong])).toThrow(`backend '${wrong}': expected options like wasm:threads=2`);
    expect(() => selectContenders(['of-bench:a=2:b=1:a=3'])).toThrow(
      "backend 'of-bench:a=2:b=1:a=3': the option a is given twice; expected one value for it",
    );
  });

  test('numbers behind its name are decimal; anything else is a text, which the backend refuses where it takes a number', async () => {
    const [source] = selectContenders(['of-bench:a=-12.5e-10:b=.25:c=0x10:d= :e=1_0:f=Infinity:g=1e3']);
    await ((await source.open()) as Contender).close();
    expect(options).toEqual({ a: -12.5e-10, b: 0.25, c: '0x10', d: ' ', e: '1_0', f: 'Infinity', g: 1000 });
  });

  test('without its fused kernels composes the ops that have one', async () => {
    const source = backendSource('of-bench', { composed: true });
    expect(source.name).toBe('of-bench (composed)');
    const contender = (await source.open()) as Contender;
    expect(contender.name).toBe('of-bench (composed)');
    const reasons: Record<string, unknown> = {};
    for (const op of benchOps) {
      const workload: Workload = { op, shape: [2, 3], dtype: 'float64' };
      const job = await contender.prepare(workload, workloadInput(workload));
      reasons[op] = typeof job === 'string' ? job : (await job.result()).length;
    }
    expect(reasons).toEqual({
      softmax: 'softmax is always a kernel',
      jacobian: 'jacobian is always a kernel',
      vjp: 'vjp is always a kernel',
      logSoftmax: 6,
      crossEntropy: 6,
      sigmoid: 6,
      relu: 6,
      'softmax:paddingMask': 'softmax:paddingMask is always a kernel',
      'softmax:causalMask': 'softmax:causalMask is always a kernel',
      'softmax:temperature': 'softmax:temperature is always a kernel',
      'vjp:causalMask': 'vjp:causalMask is always a kernel',
      'crossEntropy:labelSmoothing': 6,
      'crossEntropy:probabilities': 6,
      'crossEntropy:ignoreIndex': 6,
      'crossEntropy:weight': 6,
      'crossEntropy:classMask': 6,
    });
    expect(contender.backend?.kernels).toBeUndefined();
    expect(await contender.exp(Float64Array.of(1))).toBeNull();
    opened.length = 0;
    expect(await backendSource('unfused', { composed: true }).open()).toBe(
      'unfused has no fused kernels, or no basis to compose from',
    );
    expect(opened).toEqual(['closed']);
  });

  test('is composed as well if it is frozen, and if its methods use private members', async () => {
    const { alloc, ...others } = (await exact.open()) as Backend;
    class Private {
      readonly #alloc = alloc;
      alloc(...args: Parameters<Backend['alloc']>) {
        return this.#alloc(...args);
      }
    }
    provide('private', async () => Object.freeze(Object.assign(new Private(), others)));
    const contender = (await backendSource('private', { composed: true }).open()) as Contender;
    expect(contender.backend?.kernels).toBeUndefined();
    const workload: Workload = { op: 'sigmoid', shape: [2, 3], dtype: 'float64' };
    const job = (await contender.prepare(workload, workloadInput(workload))) as Job;
    expect(await job.result()).toHaveLength(6);
  });
});

const softmax: Workload = { op: 'softmax', shape: [2, 3], dtype: 'float32' };

async function peer(name: string): Promise<Contender> {
  const contender = await peers[name]?.open();
  if (typeof contender !== 'object') throw new Error(`${name}: ${contender}`);
  return contender;
}

test('competitors say what they are, and which errors are allowed', async () => {
  const names = Object.keys(peers).filter((name) => !/webgl|webgpu/.test(name));
  const described: string[] = [];
  for (const name of names) {
    const { description, expUlp, subnormals, kind, close } = await peer(name);
    described.push(
      `${name}: ${kind}, ${description.replace(/ \d+\.\d+\.\d+/, '')}; ${expUlp.base} + ${expUlp.slope} |x| ULP, ${subnormals}`,
    );
    await close();
  }
  expect(described).toMatchInlineSnapshot(`
    [
      "naive: peer, plain loops over typed arrays with Math.exp; 2 + 1 |x| ULP, preserve",
      "tfjs-cpu: peer, TensorFlow.js, cpu, production mode; 4 + 2 |x| ULP, flush",
      "tfjs-wasm: peer, TensorFlow.js, wasm, production mode; 4 + 2 |x| ULP, flush",
      "onnxruntime-node: peer, ONNX Runtime, CPU, 1 thread; 2 + 1 |x| ULP, flush",
      "onnxruntime-node-2t: peer, ONNX Runtime, CPU, 2 threads; 2 + 1 |x| ULP, flush",
      "onnxruntime-web: peer, ONNX Runtime, CPU, 1 thread; 2 + 1 |x| ULP, flush",
      "jax: peer, jax-js, wasm, jitted; 32 + 2 |x| ULP, flush",
      "gpu.js: peer, gpu.js, in the mode it chooses, three kernels; 4 + 2 |x| ULP, flush",
    ]
  `);
});

test.each(benchOps)('naive loops compute %s as often as a batch says', async (op) => {
  const workload: Workload = { op, shape: [2, 3], dtype: 'float64' };
  let reads = 0;
  const input = Object.fromEntries(
    Object.entries(workloadInput(workload)).map(([name, values]) => [
      name,
      values &&
        new Proxy(values, {
          get(target, key) {
            reads++;
            return Reflect.get(target, key);
          },
        }),
    ]),
  ) as unknown as ReturnType<typeof workloadInput>;
  const job = await (await peer('naive')).prepare(workload, input);
  if (typeof job === 'string') throw new Error(job);
  const readsOf = async (action: () => unknown) => {
    reads = 0;
    await action();
    return reads;
  };
  const once = await readsOf(job.result);
  expect(once).toBeGreaterThan(5);
  for (const batch of [job.reused, job.allocating, job.endToEnd]) {
    expect(await readsOf(() => batch?.(1))).toBe(once);
    expect(await readsOf(() => batch?.(3))).toBe(3 * once);
  }
});

test('naive loops compute exp as often as a batch says', async () => {
  let reads = 0;
  const x = new Proxy(Float64Array.of(-1, 0), {
    get(target, key) {
      reads++;
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const job = await (await peer('naive')).exp(x);
  const readsOf = (calls: number) => {
    reads = 0;
    job?.batch(calls);
    return reads;
  };
  const once = readsOf(1);
  expect(once).toBeGreaterThan(1);
  expect(readsOf(3)).toBe(3 * once);
});

test.each(['tfjs-cpu', 'tfjs-wasm'])(
  '%s computes as often as a batch says, and leaves no tensors behind',
  async (name) => {
    const contender = await peer(name);
    for (const op of benchOps) {
      const before = tf.memory().numTensors;
      const job = await jobOf(contender, { ...softmax, op });
      const kernels = async (batch: Job['endToEnd'] | null, calls: number) => {
        const resident = tf.memory().numTensors;
        const profile = await tf.profile(async () => void (await batch?.(calls)));
        expect(tf.memory().numTensors).toBe(resident);
        return profile.kernels.length;
      };
      for (const batch of [job.allocating, job.endToEnd]) {
        const once = await kernels(batch, 1);
        expect(once).toBeGreaterThan(0);
        expect(await kernels(batch, 3)).toBe(3 * once);
      }
      await job.dispose();
      expect(tf.memory().numTensors).toBe(before);
    }
  },
);

test('each contender of TensorFlow.js computes on its own engine, although all share one setting', async () => {
  const jobs: Job[] = [];
  for (const name of ['tfjs-cpu', 'tfjs-wasm']) jobs.push(await jobOf(await peer(name), softmax));
  for (const mode of ['allocating', 'endToEnd'] as const)
    for (const [k, engine] of [...['cpu', 'wasm'].entries()].flatMap((one) => [one, one])) {
      await jobs[k]?.[mode]?.(1);
      expect(tf.getBackend()).toBe(engine);
    }
  for (const job of jobs) await job.dispose();
});

test.each(['onnxruntime-node', 'onnxruntime-web'])('%s runs its model as often as a batch says', async (name) => {
  const { InferenceSession } = (await import(name)) as typeof import('onnxruntime-common');
  const prototype = Reflect.get(InferenceSession, 'prototype') as InstanceType<typeof Object> & {
    run(): unknown;
    release(): unknown;
  };
  const contender = await peer(name);
  const job = await jobOf(contender, softmax);
  const run = vi.spyOn(prototype, 'run');
  const release = vi.spyOn(prototype, 'release');
  for (const batch of [job.reused, job.allocating, job.endToEnd]) {
    run.mockClear();
    await batch?.(3);
    expect(run).toHaveBeenCalledTimes(3);
  }
  const exp = await contender.exp(Float32Array.of(1, 2));
  run.mockClear();
  await exp?.batch(2);
  // The loop does not allocate its results.
  const [x, y] = [expect.objectContaining({ dims: [2] }), expect.objectContaining({ dims: [2] })];
  expect(run.mock.calls).toEqual([
    [{ x }, { y }],
    [{ x }, { y }],
  ]);
  await exp?.dispose();
  await job.dispose();
  expect(release).toHaveBeenCalledTimes(2);
});

test('jax runs as often as a batch says, and leaves no navigator behind that Node does not have', async () => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  const contender = await peer('jax');
  expect('navigator' in globalThis).toBe(true);
  const { numpy } = await import('@jax-js/jax');
  const job = await jobOf(contender, softmax);
  const ready = vi.spyOn(numpy.Array.prototype, 'blockUntilReady');
  const read = vi.spyOn(numpy.Array.prototype, 'data');
  await job.allocating?.(3);
  expect([ready.mock.calls.length, read.mock.calls.length]).toEqual([3, 0]);
  ready.mockClear();
  await job.endToEnd(2);
  expect(read).toHaveBeenCalledTimes(2);
  await job.dispose();
  await contender.close();
  expect(Object.getOwnPropertyDescriptor(globalThis, 'navigator')).toEqual(before);
  const present = { hardwareConcurrency: 3, userAgent: 'present' };
  vi.stubGlobal('navigator', present);
  await (await peer('jax')).close();
  expect(globalThis.navigator).toBe(present);
});

test('one thread is what onnxruntime-web is told, and jax without WebAssembly gives the reason', async () => {
  const { env } = (await import('onnxruntime-web')) as unknown as {
    readonly env: { readonly wasm: { numThreads?: number } };
  };
  env.wasm.numThreads = 7;
  await (await peer('onnxruntime-node')).close();
  expect(env.wasm.numThreads).toBe(7);
  await (await peer('onnxruntime-web')).close();
  expect(env.wasm.numThreads).toBe(1);
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  vi.doMock('@jax-js/jax', () => ({ init: async () => ['webgpu'] }));
  expect(await peers.jax?.open()).toBe('jax-js has no wasm device here');
  vi.doUnmock('@jax-js/jax');
  expect(Object.getOwnPropertyDescriptor(globalThis, 'navigator')).toEqual(before);
});

test("gpu.js leaves the browser's GPU as it was, and the reason is given if it does not load", async () => {
  vi.stubGlobal('GPU', 'of the browser');
  vi.doMock('gpu.js', () => {
    Reflect.set(globalThis, 'GPU', 'of gpu.js');
    return { default: { GPU: class {} } };
  });
  expect(await peers['gpu.js']?.open()).toMatchObject({ name: 'gpu.js' });
  expect(Reflect.get(globalThis, 'GPU')).toBe('of the browser');
  vi.doMock('gpu.js', () => ({ default: {} }));
  expect(await peers['gpu.js']?.open()).toMatch(/^does not load: .*constructor/);
  vi.doUnmock('gpu.js');
});

test('gpu.js runs three kernels as often as a batch says, and closing destroys it', async () => {
  const module = (await import('gpu.js')) as unknown as { readonly GPU: { readonly prototype: Gpu } };
  interface Gpu {
    createKernel(...operands: unknown[]): (...operands: unknown[]) => unknown;
    destroy(): unknown;
  }
  const { prototype } = module.GPU;
  const { createKernel } = prototype;
  let runs = 0;
  let destroyed = 0;
  vi.spyOn(prototype, 'createKernel').mockImplementation(function (this: Gpu, ...operands) {
    return new Proxy(createKernel.apply(this, operands), {
      apply: (kernel, self, values) => {
        runs++;
        return Reflect.apply(kernel, self, values);
      },
      get: (kernel, key) => {
        if (key === 'destroy') destroyed++;
        return Reflect.get(kernel, key);
      },
    });
  });
  const destroy = vi.spyOn(prototype, 'destroy');
  const contender = await peer('gpu.js');
  const job = await jobOf(contender, softmax);
  await job.endToEnd(2);
  expect(runs).toBe(6);
  await job.dispose();
  expect(destroyed).toBe(3);
  await contender.close();
  expect(destroy).toHaveBeenCalledOnce();
});

test('a fill stores into as many bytes as it is given, rounded up to 64', () => {
  const memories: WebAssembly.Memory[] = [];
  const { Memory } = WebAssembly;
  WebAssembly.Memory = class extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor);
      memories.push(this);
    }
  };
  const fill = simdFillLoop(70_000);
  WebAssembly.Memory = Memory;
  const bytes = new Uint8Array(memories[0]?.buffer ?? new ArrayBuffer(0));
  bytes.fill(0xee);
  fill?.(0);
  expect(bytes.every((byte) => byte === 0xee)).toBe(true);
  fill?.(1);
  const stored = [...bytes.keys()].filter((k) => bytes[k] !== 0xee);
  expect([stored.at(0), stored.at(-1), stored.length]).toEqual([65_536, 65_536 + 70_015, 70_016]);
});

test('loops over memory copy or fill as often as a batch says', () => {
  const loops = memoryLoops(softmax);
  const [set, fill] = [vi.spyOn(Uint8Array.prototype, 'set'), vi.spyOn(Uint8Array.prototype, 'fill')];
  for (const { batch } of loops) batch(3);
  expect([set.mock.calls.length, fill.mock.calls.length]).toEqual([3, 3]);
  expect(set.mock.calls[0]?.[0]).toHaveLength(24);
});
