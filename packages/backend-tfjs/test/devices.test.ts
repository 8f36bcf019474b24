import { crossEntropy, logSoftmax, softmax, tensor } from '@softgrad/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { connect } from '../src/connection.js';
import { arraysOf, type Device, deviceOf, instanceIsLost } from '../src/device.js';
import { type Engine, engineOf } from '../src/engine.js';
import { type EngineName, tfjs } from '../src/index.js';
import { adopted } from '../src/interop.js';
import type { Core } from '../src/peers.js';
import { runEagerly } from '../src/verbs/eager.js';
import { constant, emit, type Language, operation } from '../src/verbs/expression.js';
import { runLazily } from '../src/verbs/lazy.js';
import { assertWasmAllowed, avoidBlockedThreads, locateWasm } from '../src/wasm-files.js';
import { backendWith } from './executed.js';
import { interpretedPrograms } from './interpreted.js';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** tfjs with these flags, and what was set among them. */
function coreWith(flags: Readonly<Record<string, number | boolean>>) {
  const set: Record<string, unknown> = {};
  const known = (flag: string) => {
    if (!(flag in flags)) throw new Error(`flag ${flag} was asked for`);
    return flags[flag];
  };
  const env = {
    getNumber: known,
    getBool: known,
    get: known,
    getAsync: async (flag: string) => known(flag),
    set: (flag: string, value: unknown) => Reflect.set(set, flag, value),
  };
  return { core: { env: () => env } as unknown as Core, set };
}

const gpu = { WEBGL_VERSION: 2, WEBGL_RENDER_FLOAT32_ENABLED: true };

/** A WebGL instance of tfjs whose context can be lost. */
function webglInstance(renderer: boolean) {
  const canvas = new EventTarget();
  const state = { isLost: false };
  const gl = {
    canvas,
    MAX_TEXTURE_SIZE: 'size',
    RENDERER: 'renderer',
    getParameter: (name: string) => ({ size: 4096, renderer: 'any GPU', unmasked: 'GPU 7' })[name],
    getExtension: (name: string) =>
      renderer && name === 'WEBGL_debug_renderer_info' ? { UNMASKED_RENDERER_WEBGL: 'unmasked' } : null,
    isContextLost: () => state.isLost,
  };
  const context = { gl, createAndWaitForFence: async () => 'fenced' };
  return { instance: { getGPGPUContext: () => context } as unknown as tf.KernelBackend, canvas, state };
}

describe('engine webgl', () => {
  test('is described by its renderer, and has as many elements as its largest texture', async () => {
    const { instance } = webglInstance(true);
    const device = deviceOf(coreWith(gpu).core, 'webgl', instance, null);
    expect(device).toMatchObject({ description: 'GPU 7 (tfjs webgl)', elements: 2 ** 24, readSync: true });
    expect(await device.finished()).toBe('fenced');
    device.reserve(2 ** 40);
    expect(device.execute([], () => [])).toEqual([]);
    const plain = deviceOf(coreWith(gpu).core, 'webgl', webglInstance(false).instance, null);
    expect(plain.description).toBe('any GPU (tfjs webgl)');
  });

  test('is lost with its context', async () => {
    const { instance, canvas, state } = webglInstance(true);
    const device = deviceOf(coreWith(gpu).core, 'webgl', instance, null);
    expect([device.isLost(), instanceIsLost('webgl', instance)]).toEqual([false, false]);
    state.isLost = true;
    canvas.dispatchEvent(new Event('webglcontextlost'));
    expect([device.isLost(), instanceIsLost('webgl', instance)]).toEqual([true, true]);
    expect(await device.lost).toBe('the WebGL context was lost');
  });

  test('copies data by programs for any size, and leaves the flag of tfjs as it was', () => {
    const { core, set } = coreWith({ ...gpu, WEBGL_USE_SHAPES_UNIFORMS: false });
    const { transfer } = deviceOf(core, 'webgl', webglInstance(true).instance, null);
    expect(transfer(() => ({ ...set }))).toEqual({ WEBGL_USE_SHAPES_UNIFORMS: true });
    expect(set).toEqual({ WEBGL_USE_SHAPES_UNIFORMS: false });
    const failing = () => {
      throw new Error('it failed');
    };
    expect(() => transfer(failing)).toThrow('it failed');
    expect(set).toEqual({ WEBGL_USE_SHAPES_UNIFORMS: false });
  });

  test.each([
    [{ ...gpu, WEBGL_VERSION: 1 }, 'tfjs: engine webgl needs WebGL 2; this is WebGL 1'],
    [
      { ...gpu, WEBGL_RENDER_FLOAT32_ENABLED: false },
      'tfjs: engine webgl needs float32 textures to render to (EXT_color_buffer_float); half floats would give wrong results: use engine wasm or cpu',
    ],
  ])('with flags %o it is unavailable', (flags, message) => {
    expect(() => deviceOf(coreWith(flags).core, 'webgl', webglInstance(true).instance, null)).toThrow(
      expect.objectContaining({ code: 'ERR_BACKEND_UNAVAILABLE', message }),
    );
  });
});

/** A WebGPU instance of tfjs, and the calls of what submits its work. */
function webgpuInstance(adapterInfo: object | undefined) {
  const calls: string[] = [];
  let lose: (info: { message: string }) => void = () => {};
  const device = {
    limits: { maxStorageBufferBindingSize: 1000, maxBufferSize: 803 },
    adapterInfo,
    lost: new Promise((resolve) => {
      lose = resolve;
    }),
    queue: { onSubmittedWorkDone: async () => void calls.push('done') },
  };
  const instance = {
    device,
    ensureCommandEncoderReady: () => calls.push('encoder'),
    endComputePassEncoder: () => calls.push('end'),
    submitQueue: () => calls.push('submit'),
  };
  return { instance: instance as unknown as tf.KernelBackend, calls, lose: (message: string) => lose({ message }) };
}

describe('engine webgpu', () => {
  test('is described by its adapter, and has as many elements as its smallest limit', async () => {
    const { instance, calls } = webgpuInstance({ vendor: 'acme', architecture: 'one' });
    const device = deviceOf(coreWith({}).core, 'webgpu', instance, null);
    expect(device).toMatchObject({ description: 'acme one (tfjs webgpu)', elements: 200, readSync: false });
    device.reserve(2 ** 40);
    expect(device.execute([], () => [])).toEqual([]);
    await device.finished();
    expect(calls).toEqual(['encoder', 'end', 'submit', 'done']);
    const unnamed = [undefined, {}, { vendor: '', architecture: '' }].map(
      (info) => deviceOf(coreWith({}).core, 'webgpu', webgpuInstance(info).instance, null).description,
    );
    expect(unnamed).toEqual(Array(3).fill('WebGPU adapter (tfjs webgpu)'));
  });

  test('is lost with its device, for every backend on it, and no other', async () => {
    const { instance, lose } = webgpuInstance({});
    const other = webgpuInstance({}).instance;
    const devices = [0, 1].map(() => deviceOf(coreWith({}).core, 'webgpu', instance, null));
    expect(devices[1]?.lost).toBe(devices[0]?.lost);
    expect(instanceIsLost('webgpu', instance)).toBe(false);
    lose('it was unplugged');
    expect(await devices[1]?.lost).toBe('the WebGPU device was lost: it was unplugged');
    expect(devices.map((device) => device.isLost())).toEqual([true, true]);
    expect([instanceIsLost('webgpu', instance), instanceIsLost('webgpu', other)]).toEqual([true, false]);
    expect(instanceIsLost('wasm', instance)).toBe(false);
  });
});

describe('engines on the CPU', () => {
  test.each([
    [true, 1, 'WebAssembly SIMD, 1 thread (tfjs wasm)'],
    [false, 4, 'WebAssembly, 4 threads (tfjs wasm)'],
  ])('wasm with SIMD %s and %i threads', async (simd, threads, description) => {
    const { core } = coreWith({ WASM_HAS_SIMD_SUPPORT: simd });
    const device = deviceOf(core, 'wasm', {} as tf.KernelBackend, { getThreadsCount: () => threads });
    expect(device).toMatchObject({ description, elements: 2 ** 28, readSync: true });
    expect(device.isLost()).toBe(false);
    await device.finished();
  });

  test('wasm has no room if tfjs gives address 0, or one from which the data would reach beyond its memory', () => {
    const disposed: unknown[] = [];
    const instance = (address: number) =>
      ({
        write: () => 'data',
        getMemoryOffset: () => address,
        disposeData: (id: unknown) => disposed.push(id),
        wasm: { HEAPU8: new Uint8Array(76) },
      }) as unknown as tf.KernelBackend;
    const on = (address: number) =>
      deviceOf(coreWith({ WASM_HAS_SIMD_SUPPORT: true }).core, 'wasm', instance(address), { getThreadsCount: () => 1 });
    on(64).reserve(3);
    for (const address of [0, 65]) {
      expect(() => on(address).reserve(3), `${address}`).toThrow(
        expect.objectContaining({
          code: 'ERR_OUT_OF_MEMORY',
          message:
            'tfjs: 12 more bytes do not fit into the 4 GiB of engine wasm: free results that are no longer needed, by scope(), using, dispose() or out, or work in parts',
        }),
      );
    }
    expect(disposed).toEqual(['data', 'data', 'data']);
  });

  test('are never lost, and lack kernels of other versions of tfjs', () => {
    for (const name of ['wasm', 'cpu'] as const) expect(instanceIsLost(name, {} as tf.KernelBackend)).toBe(false);
    const core = { ...coreWith({}).core, getKernel: () => undefined } as unknown as Core;
    const cpu = deviceOf(
      core,
      'cpu',
      { write: () => ({}), disposeData: () => true } as unknown as tf.KernelBackend,
      null,
    );
    expect(cpu).toMatchObject({ description: 'plain JavaScript (tfjs cpu)', elements: 2 ** 28, readSync: true });
    const target = { buffer: {} as never, shape: [1, 1, 1, 1] as const };
    expect(() => cpu.execute([target], (verbs) => [verbs.unary('exp', verbs.coordinate(2, 1))])).toThrow(
      expect.objectContaining({
        code: 'ERR_UNSUPPORTED',
        message: expect.stringMatching(/^tfjs: engine cpu has no kernel \w+; use tfjs 4\.22$/),
      }),
    );
  });
});

test('code has as many constants and inputs as its expression', () => {
  const language: Language = {
    declare: (name, value) => `${name} = ${value};`,
    load: (k, index) => `in${k}[${index}]`,
    toFloat: (integer) => `f(${integer})`,
    operation: {
      add: (a: string, b: string) => `${a} + ${b}`,
      mul: (a: string, b: string) => `${a} * ${b}`,
    } as Language['operation'],
  };
  const input = { kind: 'input', shape: [1, 1, 2, 3], info: {} as tf.TensorInfo, strides: [0, 0, 3, 1] } as const;
  const twice = operation('mul', [input, constant(2)]);
  const coordinate = { kind: 'coordinate', shape: [1, 1, 1, 3], dimension: 3 } as const;
  const root = operation('add', [operation('add', [twice, twice]), operation('mul', [coordinate, constant(3)])]);
  expect(root.shape).toEqual([1, 1, 2, 3]);
  expect(emit(root, language)).toEqual({
    statements: [
      'v0 = in0[at.x * stride0.x + at.y * stride0.y + at.z * stride0.z + at.w * stride0.w];',
      'v1 = constant0;',
      'v2 = v0 * v1;',
      'v3 = v2 + v2;',
      'v4 = f(at.w);',
      'v5 = constant1;',
      'v6 = v4 * v5;',
      'v7 = v3 + v6;',
    ].join('\n  '),
    result: 'v7',
    inputs: [input],
    constants: [2, 3],
  });
});

describe('connecting', () => {
  const name = 'webgl';
  /** A core of tfjs with an instance whose context is lost. */
  function lostCore(backendName: string, isRegistered = true) {
    const calls: unknown[] = [];
    const old = { dispose: () => calls.push('old disposed') };
    const renewed = { dispose: () => calls.push('new disposed') };
    const factory = () => renewed;
    const registry: Record<string, unknown> = { [name]: old };
    const registryFactory = isRegistered ? { [name]: { factory, priority: 2 } } : {};
    const core = {
      engine: () => ({ registry, registryFactory, backendName }),
      findBackendFactory: () => factory,
      getKernelsForBackend: () => [{ setupFunc: (instance: unknown) => calls.push(['set up', instance]) }, {}],
      removeBackend: (removed: string) => {
        calls.push(['removed', removed]);
        delete registry[removed];
      },
      registerBackend: (...parts: unknown[]) => calls.push(['registered', ...parts]),
      setBackend: async (set: string) => calls.push(['set', set]),
    } as unknown as Core;
    return { core, calls, old, renewed, registry, factory };
  }

  test.each([
    ['webgl', [['set', 'webgl']]],
    ['cpu', []],
  ])('an engine whose device was lost is renewed, and set again if it was: %s', async (set, after) => {
    const { core, calls, renewed, registry, factory } = lostCore(set);
    expect(await connect(core, name, () => true)).toBe(renewed);
    expect(registry[name]).toBe(renewed);
    expect(calls).toEqual([['removed', name], ['registered', name, factory, 2], ['set up', renewed], ...after]);
  });

  test('an engine that is not lost is used as it is; one that tfjs does not know any more is unavailable', async () => {
    const present = lostCore('cpu');
    expect(await connect(present.core, name, () => false)).toBe(present.old);
    expect(present.calls).toEqual([]);
    await expect(connect(lostCore('cpu', false).core, name, () => true)).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: 'tfjs: engine webgl needs a browser with WebGL 2',
    });
  });

  test('an engine whose package is not loaded is unavailable', async () => {
    const core = { engine: () => ({ registry: {} }), findBackendFactory: () => null } as unknown as Core;
    await expect(connect(core, name, () => false)).rejects.toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE' });
  });

  test('an instance that tf.setBackend has created meanwhile is used, and the other is disposed', async () => {
    const { core, calls, registry } = lostCore('cpu');
    delete registry[name];
    const other = {};
    const connecting = connect(core, name, () => false);
    const second = connect(core, name, () => false);
    registry[name] = other;
    expect(await Promise.all([connecting, second])).toEqual([other, other]);
    expect(calls).toEqual(['new disposed']);
  });
});

test.each([true, false])('a tensor of engine webgl is shared unless its texture is packed: %s', (isPacked) => {
  const log: unknown[] = [];
  const unpacked = { dataId: { unpacked: true }, shape: [2], dtype: 'float32' };
  const instance = {
    uploadToGPU: (dataId: unknown) => log.push(['uploaded', dataId]),
    getDataInfo: () => ({ isPacked }),
    unpackTensor: (info: unknown) => {
      log.push(['unpacked', info]);
      return unpacked;
    },
    incRef: (dataId: unknown) => log.push(['shared', dataId]),
  };
  const dataId = {};
  const given = { dataId, shape: [2], dtype: 'float32', size: 2, isDisposed: false };
  const core = {
    engine: () => ({
      state: { tensorInfo: new Map([[dataId, { backend: instance }]]) },
      makeTensorFromTensorInfo: (info: object) => info,
    }),
    keep: (kept: unknown) => kept,
  };
  const engine = { name: 'webgl', core, instance, assertAlive: () => {} } as unknown as Engine;
  const buffer = adopted(engine, given as unknown as tf.Tensor);
  expect(buffer.length).toBe(2);
  const info = { dataId, shape: [2], dtype: 'float32' };
  expect(log).toEqual([['uploaded', dataId], isPacked ? ['unpacked', info] : ['shared', dataId]]);
  expect(buffer.tensor === null || buffer.tensor === undefined).toBe(isPacked);
});

describe('an engine', () => {
  const instance = {} as tf.KernelBackend;
  const quiet: Device = {
    description: 'a device',
    elements: 100,
    readSync: true,
    copies: false,
    execute: () => [],
    reserve: () => {},
    transfer: (work) => work(),
    finished: async () => {},
    isLost: () => false,
    lost: new Promise<never>(() => {}),
  };
  const open = (device: Partial<Device>, name: EngineName = 'webgpu') => {
    const registry: Record<string, unknown> = { [name]: instance };
    const core = { engine: () => ({ registry }) } as unknown as Core;
    return { engine: engineOf(core, name, instance, { ...quiet, ...device }), registry };
  };
  const lostError = (reason: string) =>
    expect.objectContaining({
      code: 'ERR_DEVICE_LOST',
      message: `tfjs (webgpu): ${reason}; host data is intact: await setBackend(…), openShared(…) or tfjs.open(…) again`,
    });

  test('is lost if its device is, before or after that is reported, or if tfjs removed it', async () => {
    const { engine, registry } = open({});
    engine.assertAlive();
    expect(await engine.awaiting(Promise.resolve(7))).toBe(7);
    delete registry.webgpu;
    expect(() => engine.assertAlive()).toThrow(lostError('tf.removeBackend removed the engine'));
    await expect(engine.awaiting(Promise.resolve(7))).rejects.toEqual(lostError('tf.removeBackend removed the engine'));
    expect(() => open({ isLost: () => true }).engine.assertAlive()).toThrow(lostError('the device was lost'));
    const reported = open({ lost: Promise.resolve('it was unplugged') }).engine;
    await expect(reported.awaiting(new Promise(() => {}))).rejects.toEqual(lostError('it was unplugged'));
    expect(() => reported.assertAlive()).toThrow(lostError('it was unplugged'));
  });

  test('work that fails before a loss is reported fails with the loss; other errors stay', async () => {
    let isLost = false;
    const failing = () => {
      isLost = true;
      return Promise.reject(new Error('mapAsync failed'));
    };
    const { engine } = open({ isLost: () => isLost });
    await expect(engine.awaiting(Promise.reject(new Error('as it is')))).rejects.toThrow('as it is');
    await expect(engine.awaiting(failing())).rejects.toEqual(lostError('the device was lost'));
  });

  test('work that fails waits for the loss that is reported later', async () => {
    let lose: (reason: string) => void = () => {};
    const lost = new Promise<string>((resolve) => {
      lose = resolve;
    });
    const { engine } = open({ lost, finished: () => new Promise(() => {}) });
    const outcome = engine.awaiting(Promise.reject(new Error('mapAsync failed'))).catch((error: unknown) => error);
    await Promise.resolve();
    await Promise.resolve();
    lose('it was unplugged');
    expect(await outcome).toEqual(lostError('it was unplugged'));
  });

  test.each([
    ['Unable to create texture', true],
    ['Requested texture size too large', true],
    ['out of memory', true],
    ['allocation failed', true],
    ['Kernel not found', false],
  ])('"%s" of tfjs is ERR_OUT_OF_MEMORY: %s', (message, isMemory) => {
    const cause = new Error(message);
    const { engine } = open({
      execute: () => {
        throw cause;
      },
    });
    const target = (length: number) => ({ buffer: { length } as never, shape: [1, 1, length, 2] as const });
    const expected = `tfjs: cannot allocate 10 elements on a device, which supports at most 100 in one buffer: ${message}`;
    expect(() => engine.run([target(2), target(3)], () => [])).toThrow(
      isMemory ? expect.objectContaining({ code: 'ERR_OUT_OF_MEMORY', message: expected, cause }) : cause,
    );
  });

  test('a program with too few results is an error', () => {
    const target = { buffer: {} as never, shape: [1, 1, 1, 1] as const };
    expect(() => open({}).engine.run([target], () => [])).toThrow('tfjs (webgpu): 0 results of 1');
  });
});

describe('the .wasm files', () => {
  test('in Node are where tfjs finds them, elsewhere where the bundler has put them if they are served', async () => {
    const asked: unknown[] = [];
    const served = (response: unknown) =>
      vi.stubGlobal('fetch', async (url: string, options: unknown) => {
        asked.push([url.slice(url.lastIndexOf('/') + 1), options]);
        if (response === null) throw new TypeError('offline');
        return response;
      });
    const answer = (ok: boolean, type: string | null) => ({
      ok,
      headers: { get: (name: string) => (name === 'content-type' ? type : null) },
    });
    served(answer(true, 'application/wasm'));
    expect(await locateWasm(coreWith({ IS_NODE: true }).core)).toBeNull();
    expect(asked).toEqual([]);
    const { core } = coreWith({ IS_NODE: false });
    const files = await locateWasm(core);
    expect(asked).toEqual([['tfjs-backend-wasm-simd.wasm', { method: 'HEAD' }]]);
    expect(Object.keys(files ?? {})).toEqual([
      'tfjs-backend-wasm.wasm',
      'tfjs-backend-wasm-simd.wasm',
      'tfjs-backend-wasm-threaded-simd.wasm',
    ]);
    for (const [name, url] of Object.entries(files ?? {}))
      expect(url.endsWith(`@tensorflow/tfjs-backend-wasm/dist/${name}`)).toBe(true);
    for (const response of [answer(false, 'application/wasm'), answer(true, 'text/html; charset=utf-8'), null]) {
      served(response);
      expect(await locateWasm(core)).toBeNull();
    }
    served(answer(true, null));
    expect(await locateWasm(core)).toEqual(files);
  });

  test('are not loaded where WebAssembly is forbidden', () => {
    assertWasmAllowed();
    vi.stubGlobal('WebAssembly', {
      Module: class {
        constructor() {
          throw new Error('by policy');
        }
      },
    });
    expect(() => assertWasmAllowed()).toThrow(
      expect.objectContaining({
        code: 'ERR_BACKEND_UNAVAILABLE',
        message:
          "tfjs: engine wasm cannot compile WebAssembly here: a Content-Security-Policy needs 'wasm-unsafe-eval' in its script-src",
      }),
    );
  });
});

describe('threads of engine wasm', () => {
  const flag = 'WASM_HAS_MULTITHREAD_SUPPORT';
  /** A page in which a worker from a blob does this. */
  function page(worker: 'starts' | 'fails' | 'is forbidden') {
    const log: string[] = [];
    const scripts: string[] = [];
    vi.stubGlobal(
      'Blob',
      class {
        constructor(parts: readonly string[], { type }: { readonly type: string }) {
          scripts.push(`${type}: ${parts.join('')}`);
        }
      },
    );
    vi.spyOn(URL, 'createObjectURL').mockImplementation(() => `blob:${scripts.length}`);
    vi.spyOn(URL, 'revokeObjectURL').mockImplementation((url) => void log.push(`revoked ${url}`));
    vi.stubGlobal(
      'Worker',
      class {
        onmessage: () => void = () => {};
        onerror: () => void = () => {};
        constructor(url: string) {
          if (worker === 'is forbidden') throw new Error('by policy');
          log.push(`started ${url}`);
          queueMicrotask(() => (worker === 'starts' ? this.onmessage() : this.onerror()));
        }
        terminate() {
          log.push('terminated');
        }
      },
    );
    return { log, scripts };
  }

  test.each([
    ['starts', {}, ['started blob:2', 'terminated', 'revoked blob:1', 'revoked blob:2']],
    ['fails', { [flag]: false }, ['started blob:2', 'terminated', 'revoked blob:1', 'revoked blob:2']],
    ['is forbidden', { [flag]: false }, ['revoked blob:1', 'revoked blob:2']],
  ] as const)('if a worker from a blob %s, the flags become %o', async (worker, expected, events) => {
    const { log, scripts } = page(worker);
    const { core, set } = coreWith({ [flag]: true });
    await avoidBlockedThreads(core);
    expect(set).toEqual(expected);
    expect(log).toEqual(events);
    expect(scripts).toEqual([
      'application/javascript: ',
      "application/javascript: importScripts('blob:1'); postMessage(0);",
    ]);
  });

  test('are not tried if tfjs has none', async () => {
    const { log, scripts } = page('fails');
    const { core, set } = coreWith({ [flag]: false });
    await avoidBlockedThreads(core);
    expect([log, scripts, set]).toEqual([[], [], {}]);
  });
});

test('a backend that is closed frees its data and its engine stays open', async () => {
  const backend = await tfjs.open({ engine: 'cpu' });
  const instance = tf.engine().registry.cpu;
  const before = instance.numDataIds();
  const x = tensor([[1, 2]], { backend });
  await softmax(x).data();
  expect(instance.numDataIds()).toBeGreaterThan(before);
  expect(backend.closed).toBe(false);
  await backend.close();
  expect(backend.closed).toBe(true);
  expect(instance.numDataIds()).toBe(before);
  expect(() => softmax(x)).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
  expect(tf.engine().registry.cpu).toBe(instance);
});

test('a program for each pass over the rows, two more where a row is reduced in windows', async () => {
  const count = { map: 0, reduce: 0 };
  const backend = await backendWith('cpu', (_, instance) => {
    const { map, reduce } = interpretedPrograms(instance);
    const programs: ReturnType<typeof interpretedPrograms> = {
      map(...parts) {
        count.map++;
        return map(...parts);
      },
      reduce(...parts) {
        count.reduce++;
        return reduce(...parts);
      },
    };
    return { execute: (targets, program) => runLazily(instance, programs, targets, program) };
  });
  const counts = (operation: () => unknown) => {
    Object.assign(count, { map: 0, reduce: 0 });
    operation();
    return [count.map, count.reduce];
  };
  const [x, long, longer] = [5, 64, 65].map((classes) =>
    tensor(new Float32Array(4 * classes), { shape: [4, classes], backend }),
  );
  expect(counts(() => softmax(x))).toEqual([1, 2]);
  expect(counts(() => softmax(x, { axis: 0, temperature: 2 }))).toEqual([1, 2]);
  expect(counts(() => softmax(long))).toEqual([1, 2]);
  expect(counts(() => softmax(longer))).toEqual([1, 4]);
  expect(counts(() => logSoftmax(x))).toEqual([1, 3]);
  expect(counts(() => softmax.vjp(x, x))).toEqual([1, 3]);
  expect(counts(() => softmax.jacobian(x))).toEqual([1, 1]);
  // Of cross-entropy the target and the probabilities are kept, which its loss and its gradient use; a mask is reduced, too, for rows of which it keeps nothing.
  const mask = [[true, true, true, true, false]];
  expect(counts(() => crossEntropy(x, [0, 1, 2, 3], { mask, labelSmoothing: 0.1, reduction: 'none' }))).toEqual([
    4, 10,
  ]);
  await backend.close();
});

test('the basis reduces rows of no classes, and selects by a number', async () => {
  const backend = await tfjs.open({ engine: 'cpu' });
  const { basis } = backend;
  const filled = (...values: readonly number[]) => {
    const buffer = backend.alloc(values.length, 'float32');
    backend.write(buffer, Float32Array.from(values));
    return buffer;
  };
  const [none, out, a, b] = [filled(), filled(7, 7), filled(1, 2), filled(3, 4)];
  const read = async () => [...(await backend.read(out))];
  basis?.reduce(out, 'max', none, { outer: 2, classes: 0, inner: 1 });
  expect(await read()).toEqual([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
  basis?.reduce(out, 'sum', none, { outer: 2, classes: 0, inner: 1 });
  expect(await read()).toEqual([0, 0]);
  const extent = [1, 1, 2] as const;
  for (const [condition, expected] of [
    [1, [1, 2]],
    [0, [3, 4]],
  ] as const) {
    basis?.select(out, condition, { buffer: a, extent }, { buffer: b, extent }, extent);
    expect(await read()).toEqual(expected);
  }
  const classes = tensor(Int32Array.of(1, 2), { backend });
  expect(() => backend.toTf(classes)).toThrow(
    expect.objectContaining({ code: 'ERR_DTYPE', message: 'toTf: the tensor is int32, expected float32' }),
  );
  await backend.close();
});

test('an engine of tfjs checks before each kernel and each pass that its result fits', async () => {
  const reserved: number[] = [];
  const backend = await backendWith('cpu', (device, instance) => {
    const run: Parameters<typeof runEagerly>[1] = (kernel, inputs, attrs = {}) =>
      tf.getKernel(kernel, 'cpu').kernelFunc({ inputs: { ...inputs }, attrs, backend: instance }) as tf.TensorInfo;
    const traits = {
      losesSecondNaN: false,
      slowBroadcast: false,
      reserve: (n: number) => void reserved.push(n),
      ...arraysOf(instance),
    };
    return { ...device, execute: (targets, program) => runEagerly(instance, run, traits, targets, program) };
  });
  const x = tensor(
    [
      [1, 4],
      [2, 5],
      [3, 6],
    ],
    { backend },
  );
  reserved.length = 0;
  const y = logSoftmax(x, { axis: 0 });
  // Transposed, and the two maxima; transposed, the six exponentials, and back; transposed, the sums of the others and their logarithms; two differences.
  expect(reserved).toMatchInlineSnapshot(`
    [
      6,
      2,
      6,
      6,
      6,
      6,
      2,
      2,
      6,
      6,
    ]
  `);
  expect((await y.data())[0]).toBeCloseTo(-2.4076059, 6);
  await backend.close();
});

test('without a name the engine that is set comes first, then the fastest that works here', async () => {
  const before = tf.getBackend();
  tf.registerBackend('own', () => ({ floatPrecision: () => 32, epsilon: () => 1e-7, dispose() {} }) as never);
  try {
    for (const [set, opened] of [
      ['cpu', 'cpu'],
      ['own', 'wasm'],
      ['wasm', 'wasm'],
    ] as const) {
      await tf.setBackend(set);
      const backend = await tfjs.open();
      expect(backend.name).toBe(`tfjs ${opened}`);
      await backend.close();
    }
  } finally {
    if (before) await tf.setBackend(before);
    tf.removeBackend('own');
  }
});
