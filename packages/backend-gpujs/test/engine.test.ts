import { logSumExp, softmax, type Tensor, tensor } from '@softgrad/core';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { expectOwnBuffers } from '../../backend-cpu/test/owned-buffers.js';
import { createCandidate, type GpujsBackend } from '../src/backend.js';
import { deviceLost, type Engine, failure, kernelFailed, outOfMemory, type Resident } from '../src/engine.js';
import { createKeeper, openHost } from '../src/engines/host.js';
import { runModule } from '../src/engines/wasm-module.js';
import { type GpuKernel, type GpuLibrary, loadGpu } from '../src/gpu.js';
import { gpujs } from '../src/index.js';

const cause = new Error('reset');

test("an engine's errors begin with the mode, and keep the cause", () => {
  const told = [
    failure('cpu', 'ERR_VALUE', 'no'),
    deviceLost('webgpu', cause),
    outOfMemory('webgl', 3, 'the limit is 2', cause),
    kernelFailed('webgl2', cause),
  ];
  expect(told.map(({ code, message }) => [code, message])).toEqual([
    ['ERR_VALUE', 'gpujs (cpu): no'],
    [
      'ERR_DEVICE_LOST',
      'gpujs (webgpu): the device was lost: its data is lost; await setBackend(…), openShared(…) or gpujs.open(…) again',
    ],
    ['ERR_OUT_OF_MEMORY', 'gpujs (webgl): cannot allocate 3 elements (12 bytes); the limit is 2'],
    ['ERR_UNSUPPORTED', 'gpujs (webgl2): gpu.js could not run a kernel: reset'],
  ]);
  expect(told.map((error) => error.cause)).toEqual([undefined, cause, cause, cause]);
});

test('an error of softgrad stays as it is if a kernel throws it', () => {
  const lost = deviceLost('webgl');
  expect(kernelFailed('webgl', lost)).toBe(lost);
});

describe('where code generation is forbidden', () => {
  afterEach(() => vi.unstubAllGlobals());

  const forbidden = class {
    constructor() {
      throw new Error('by policy');
    }
  };

  test.each([
    ['webasm', { WebAssembly: undefined }, /^gpujs \(webasm\): WebAssembly is missing in this engine$/],
    [
      'webasm',
      { WebAssembly: { Module: forbidden } },
      /^gpujs \(webasm\): the page's Content-Security-Policy forbids WebAssembly: allow 'wasm-unsafe-eval' .* \(by policy\)$/,
    ],
    ['cpu', { Function: forbidden }, /^gpujs \(cpu\): .* forbids eval, .*: allow 'unsafe-eval' .* \(by policy\)$/],
  ] as const)('mode %s says what is missing: %o', async (mode, globals, message) => {
    const library = await loadGpu();
    for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
    const opened = openHost(library, mode);
    await expect(opened).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: expect.stringMatching(message),
    });
  });

  test('entirely, the reason of each mode is given', async () => {
    await loadGpu();
    vi.stubGlobal('Function', forbidden);
    expect(await gpujs.unavailable()).toBeNull();
    vi.stubGlobal('WebAssembly', undefined);
    const reasons =
      /^gpujs: no mode can run here: gpujs \(webgpu\): .*; .*gpujs \(webgl2\): .*; gpujs \(cpu\): .*; gpujs \(webasm\): /;
    await expect(gpujs.open()).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: expect.stringMatching(reasons),
    });
    expect(await gpujs.unavailable()).toMatch(reasons);
  });
});

/** Loads this in place of gpu.js while an action runs. */
async function inPlaceOfGpu<T>(module: () => object, action: () => Promise<T>): Promise<T> {
  vi.doMock('gpu.js', module);
  try {
    return await action();
  } finally {
    vi.doUnmock('gpu.js');
  }
}

test('the global GPU is as before after gpu.js is loaded', async () => {
  const before = { configurable: true, enumerable: false, writable: false, value: 'of the browser' };
  const overwriting = () => {
    Object.defineProperty(globalThis, 'GPU', { ...before, value: 'of gpu.js' });
    return { default: { input: 'default' } };
  };
  for (const present of [true, false]) {
    if (present) Object.defineProperty(globalThis, 'GPU', before);
    expect(await inPlaceOfGpu(overwriting, loadGpu)).toEqual({ input: 'default' });
    expect(Object.getOwnPropertyDescriptor(globalThis, 'GPU')).toEqual(present ? before : undefined);
    Reflect.deleteProperty(globalThis, 'GPU');
  }
});

test('a mode whose first kernel fails is unavailable, with the reason, and is closed', async () => {
  let destroyed = 0;
  const failing = {
    GPU: class {
      createKernel() {
        throw cause;
      }
      async destroy() {
        destroyed++;
      }
    },
    input: () => null,
  };
  const opened = await inPlaceOfGpu(
    () => ({ default: failing }),
    () => gpujs.open({ mode: 'cpu' }).catch((error: unknown) => error),
  );
  expect(opened).toMatchObject({
    code: 'ERR_BACKEND_UNAVAILABLE',
    message: 'gpujs (cpu): the first kernel failed: reset',
    cause,
  });
  expect(destroyed).toBe(1);
});

test('that gpu.js does not load is an error with the cause', async () => {
  const throwing = () => {
    throw cause;
  };
  const failed = await inPlaceOfGpu(throwing, () => loadGpu().catch((error: unknown) => error));
  expect(failed).toMatchObject({
    code: 'ERR_BACKEND_UNAVAILABLE',
    message: expect.stringMatching(/^gpu\.js failed to load: ./),
    cause: expect.any(Error),
  });
});

test('on the host, only mode webasm limits its kernels, and closing destroys all', async () => {
  const library = await loadGpu();
  const limits: number[] = [];
  for (const mode of ['webasm', 'cpu'] as const) {
    const engine = await openHost(library, mode);
    limits.push(engine.mostKernels);
    const destroy = vi.spyOn(engine.gpu, 'destroy');
    await engine.close();
    expect(destroy).toHaveBeenCalledOnce();
  }
  expect(limits).toEqual([48, Number.POSITIVE_INFINITY]);
});

test.each([
  ['webasm', 'gpujs (webasm): gpu.js could not run a kernel: reset'],
  ['cpu', 'gpujs (webasm): gpu.js fell back to its cpu mode for a kernel'],
])('a kernel of mode webasm that gpu.js makes in its mode %s and that fails', async (mode, message) => {
  const engine = await openHost(await loadGpu(), 'webasm');
  const kernel = {
    built: false,
    kernel: { _active: null, constructor: { mode } },
    setOutput: () => {},
    build: () => {
      throw cause;
    },
  } as unknown as GpuKernel;
  expect(() => engine.run(kernel, [1], 1)).toThrow(
    expect.objectContaining({ code: 'ERR_UNSUPPORTED', message, cause }),
  );
  await engine.close();
});

test('kernels are destroyed if their memories exceed the budget, the least recently used first', () => {
  const destroyed: string[] = [];
  const kernelOf = (name: string, byteLength: number) => {
    const kernel = { kernel: { _active: { f32: { byteLength } } as object | null }, destroy: () => {} };
    kernel.destroy = () => {
      destroyed.push(name);
      kernel.kernel._active = null;
    };
    return kernel as unknown as GpuKernel & { kernel: { _active: object | null } };
  };
  const keep = createKeeper(10);
  const [a, b, c, d] = [kernelOf('a', 5), kernelOf('b', 4), kernelOf('c', 2), kernelOf('d', 11)];
  for (const kernel of [a, b, a]) keep(kernel);
  expect(destroyed).toEqual([]);
  keep(c);
  expect(destroyed).toEqual(['b']);
  // What was destroyed elsewhere takes nothing.
  a.kernel._active = null;
  keep(kernelOf('e', 8));
  expect(destroyed).toEqual(['b']);
  keep(d);
  expect(destroyed).toEqual(['b', 'a', 'c', 'e', 'd']);
});

test('a kernel for which gpu.js assembles no module is an error', () => {
  const kernel = { built: false, kernel: { _active: null }, setOutput: () => {}, build: () => {} };
  expect(() => runModule({} as GpuLibrary, kernel as unknown as GpuKernel, [1], 1)).toThrow(
    'gpu.js assembled no module',
  );
});

test('a module has little more memory than its operands need, and one for long rows is replaced by a smaller one for short rows', async () => {
  const backend = await gpujs.open({ mode: 'webasm' });
  const sizes: number[] = [];
  const { Memory } = WebAssembly;
  vi.stubGlobal(
    'WebAssembly',
    Object.create(WebAssembly, {
      Memory: {
        value: class extends Memory {
          constructor(descriptor: WebAssembly.MemoryDescriptor) {
            super(descriptor);
            sizes.push(descriptor.initial);
          }
        },
      },
    }),
  );
  const sums = async (classes: number) => {
    const x = tensor(new Float32Array(classes).fill(1), { backend });
    const [y] = await logSumExp(x).data();
    x.dispose();
    return [y, Math.max(0, ...sizes.splice(0))] as const;
  };
  for (const classes of [2 ** 20, 2 ** 20 + 1]) {
    const [long, longPages] = await sums(classes);
    expect(long).toBeCloseTo(1 + Math.log(classes), 4);
    expect(longPages).toBeGreaterThan(64);
    const [short, shortPages] = await sums(1000);
    expect(short).toBeCloseTo(1 + Math.log(1000), 5);
    expect(shortPages).toBeGreaterThan(0);
    expect(shortPages).toBeLessThan(64);
  }
  // A page has 2¹⁴ elements, and gpu.js adds 17 pages.
  const [, pages] = await sums(2 ** 16);
  expect(pages).toBeGreaterThan(20);
  expect(pages).toBeLessThan(26);
  vi.unstubAllGlobals();
  await backend.close();
});

/** A backend on mode cpu as if it were a device: results arrive later, stay there until they are read, and are counted until they are deleted. */
async function onDevice(fails: (run: number) => boolean = () => false) {
  const library = await loadGpu();
  const { host: _, ...engine } = await openHost(library, 'cpu');
  const count = { live: 0, runs: 0, closed: 0 };
  const resident = (values: Float32Array): Resident & { readonly values: Float32Array } => {
    count.live++;
    let isLive = true;
    return {
      values,
      toArray: async () => {
        if (!isLive) throw new Error('read after it was deleted');
        // Textures are read with the rest of their last texel.
        return Float32Array.of(...values, 7, 7, 7);
      },
      delete: () => {
        if (isLive) count.live--;
        isLive = false;
      },
    };
  };
  const device: Engine = {
    ...engine,
    asynchronous: true,
    run: async (kernel, values, length) => {
      const { values: result } = (await engine.run(kernel, values, length)) as ReturnType<typeof resident>;
      if (fails(count.runs++)) throw cause;
      return resident(result);
    },
    async close() {
      count.closed++;
      await engine.close();
    },
  };
  const candidate = await createCandidate(library, device, 64);
  const backend: GpujsBackend = await candidate.backend();
  return { backend, count };
}

describe('on a device whose kernels return promises', () => {
  test('opening leaves no data on the device, and closing frees what is there, once', async () => {
    const { backend, count } = await onDevice();
    await backend.sync();
    expect(count.live).toBe(0);
    expect(backend.readSync).toBeUndefined();
    const s = softmax(tensor([[1, 2, 3]], { backend }));
    const [p] = await s.data();
    expect(p).toBeCloseTo(0.09003057, 6);
    expect(count.live).toBe(2);
    await backend.close();
    await backend.close();
    expect([count.live, count.closed]).toEqual([0, 1]);
  });

  test('a long upload keeps no kernel, whose staging memory is large', async () => {
    const { backend } = await onDevice();
    const kernelsFor = async (length: number) => {
      const [x, out] = [backend.alloc(length, 'float32'), backend.alloc(1, 'float32')];
      backend.write(x, new Float32Array(length));
      const before = backend.compiled;
      backend.kernels?.sigmoid?.(out, x, 1);
      await backend.sync();
      const { compiled } = backend;
      for (const buffer of [x, out]) backend.free(buffer);
      return compiled - before;
    };
    // Of the upload and of sigmoid, which has one kernel for short operands and another for long ones.
    expect(await kernelsFor(1)).toBe(1);
    expect(await kernelsFor(2 ** 20 - 1)).toBe(0);
    expect(await kernelsFor(2 ** 20)).toBe(-1);
    await backend.close();
  });

  test('written data replaces a result, and a freed buffer leaves the device', async () => {
    const { backend, count } = await onDevice();
    const rows = { outer: 1, classes: 2, inner: 1 };
    const plain = { temperature: 1, mask: null };
    const [x, s] = [backend.alloc(2, 'float32'), backend.alloc(2, 'float32')];
    backend.write(x, Float32Array.of(0, 0));
    backend.softmax(s, x, rows, plain);
    backend.softmax(s, s, rows, plain);
    expect([...(await backend.read(s))]).toEqual([0.5, 0.5]);
    await backend.sync();
    expect(count.live).toBe(2);
    backend.write(s, Float32Array.of(3, 4));
    expect([...(await backend.read(s))]).toEqual([3, 4]);
    await backend.sync();
    expect(count.live).toBe(1);
    backend.free(x);
    await backend.sync();
    expect(count.live).toBe(0);
    await backend.close();
  });

  test.each([0, 1])(
    'if kernel %i of an operation fails, reading its result throws the error, and other buffers stay',
    async (at) => {
      let from = Number.POSITIVE_INFINITY;
      const { backend, count } = await onDevice((run) => run === from + at);
      const x = tensor([[1, 2, 3]], { backend });
      const kept = softmax(x);
      await kept.data();
      from = count.runs;
      // The first kernel uploads.
      const y = tensor([[3, 2, 1]], { backend });
      await expect(softmax(y).data()).rejects.toBe(cause);
      expect((await kept.data())[2]).toBeCloseTo(0.66524096, 6);
      expect((await softmax(x).data())[0]).toBeCloseTo(0.09003057, 6);
      await backend.close();
      expect(count.live).toBe(0);
    },
  );
});

/** A backend on mode cpu with another plan for softmax, as a GPU has it, and how many kernels it has run. */
async function withPlan(softmaxPlan: Engine['softmaxPlan']) {
  const library = await loadGpu();
  const engine = await openHost(library, 'cpu');
  const run = vi.fn(engine.run);
  const candidate = await createCandidate(library, { ...engine, softmaxPlan, run }, 64);
  const backend = await candidate.backend();
  const values = Array.from({ length: 2 * 300 * 3 }, (_, k) => Math.sin(k * k));
  const x = tensor(values, { shape: [2, 300, 3], backend });
  const mask = tensor(
    values.map((value) => value < 0.9),
    { shape: [2, 300, 3], backend },
  );
  const countOf = (compute: () => Tensor) => {
    const before = run.mock.calls.length;
    const result = compute();
    return { kernels: run.mock.calls.length - before, values: Array.from(result.dataSync()) };
  };
  const results = [1, 2].map((axis) => {
    const options = { axis, temperature: 0.7 };
    const s = softmax(x, { ...options, mask });
    return [countOf(() => softmax(x, { ...options, mask })), countOf(() => softmax.vjp(s, x, options))];
  });
  await backend.close();
  return results.flat();
}

test('each plan for softmax computes the same, and fewest runs the fewest kernels', async () => {
  const [fewest, maxima, stored] = [await withPlan('fewest'), await withPlan('row-maxima'), await withPlan('stored')];
  for (const [k, { values, kernels }] of fewest.entries()) {
    for (const other of [maxima[k], stored[k]])
      values.forEach((value, i) => {
        expect(other?.values[i]).toBeCloseTo(value, 6);
      });
    expect([maxima[k]?.kernels, stored[k]?.kernels]).toEqual([kernels + 1, kernels + (k % 2 === 0 ? 2 : 1)]);
    expect(Math.max(...values)).toBeGreaterThan(1e-3);
  }
});

test('integers and masks are transposed on the host, where they are exact', async () => {
  const backend = await gpujs.open({ mode: 'cpu' });
  const rows = { outer: 2, classes: 3, inner: 2 };
  const values = Int32Array.from({ length: 12 }, (_, k) => 2 ** 30 + k);
  const [x, out] = [backend.alloc(12, 'int32'), backend.alloc(12, 'int32')];
  backend.write(x, values);
  backend.basis?.transpose(out, x, rows);
  const order = [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11];
  expect([...(await backend.read(out))]).toEqual(order.map((k) => 2 ** 30 + k));
  await backend.close();
});

test('as many elements as the limit are allowed', async () => {
  const backend = await gpujs.open({ mode: 'cpu' });
  const { elements } = backend.supports.limits;
  expect(backend.alloc(elements, 'float32').length).toBe(elements);
  await backend.close();
});

test('fromBuffer takes only a buffer of the backend, which was not freed', async () => {
  const [first, second] = [await gpujs.open({ mode: 'cpu' }), await gpujs.open({ mode: 'cpu' })];
  expect(first.name).toBe('gpujs-cpu');
  expectOwnBuffers(first, second);
  for (const backend of [first, second]) await backend.close();
});
