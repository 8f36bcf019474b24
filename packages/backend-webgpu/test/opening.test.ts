import { plainCrossEntropy } from '@softgrad/core/conformance';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { webgpu } from '../src/index.js';
import { altered, newNullDevice, nullEntry } from './device.js';
import { announcedBySwiftShader } from './swiftshader.js';

/** The module that finds devices, in a state of its own: it keeps the entry point of Node. */
async function opening() {
  vi.resetModules();
  return import('../src/gpu.js');
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.doUnmock('webgpu');
});

const install =
  'use a browser with WebGPU (Chrome, Edge, Safari 26, Firefox 141), or in Node run `npm install webgpu` (0.6 or later)';
const noAdapter = { requestAdapter: async () => null } as unknown as GPU;

// First, with the package webgpu as the tests' setup configures it: later tests replace it.
test('the software device is announced as what it is known for, and computes in each dtype', async () => {
  const backend = await webgpu.open();
  if (backend.supports.device === announcedBySwiftShader.device)
    expect(backend.supports).toEqual(announcedBySwiftShader);
  const x = backend.alloc(3, 'bool');
  backend.write(x, Uint8Array.of(1, 0, 255));
  expect(await backend.read(x)).toEqual(Uint8Array.of(1, 0, 255));
  const y = backend.alloc(2, 'int32');
  backend.write(y, Int32Array.of(-1, 2 ** 30));
  expect(await backend.read(y)).toEqual(Int32Array.of(-1, 2 ** 30));
  const [g, out] = [backend.alloc(4, 'float32'), backend.alloc(4, 'float32')];
  backend.write(g, Float32Array.of(-1, 0, 2, Number.NaN));
  const { sigmoid, sigmoidVjp, relu, reluVjp } = backend.kernels;
  const digits = async () => Array.from(await backend.read(out), (value) => value.toFixed(4));
  sigmoid(out, g, 4);
  expect(await digits()).toEqual(['0.2689', '0.5000', '0.8808', 'NaN']);
  sigmoidVjp(out, g, g, 4);
  expect(await digits()).toEqual(['2.0000', '0.0000', '-4.0000', 'NaN']);
  relu(out, g, 4);
  expect(await digits()).toEqual(['0.0000', '0.0000', '2.0000', 'NaN']);
  reluVjp(out, g, g, 4);
  expect(await digits()).toEqual(['0.0000', '0.0000', '2.0000', '0.0000']);
  backend.basis.select(out, 1, { buffer: g, extent: [1, 1, 4] }, 5, [1, 1, 4]);
  expect(await digits()).toEqual(['-1.0000', '0.0000', '2.0000', 'NaN']);
  backend.basis.select(out, 0, { buffer: g, extent: [1, 1, 4] }, 5, [1, 1, 4]);
  expect(await digits()).toEqual(['5.0000', '5.0000', '5.0000', '5.0000']);
  backend.close();
});

test('a device is described by its vendor and architecture, by its description, or as unnamed', async () => {
  const { describe: described } = await opening();
  const of = (info: Partial<GPUAdapterInfo> | undefined) => described(info as GPUAdapterInfo | undefined);
  expect(of({ vendor: 'acme', architecture: 'one', device: 'two', description: 'three' })).toBe('acme one');
  expect(of({ vendor: 'acme', architecture: '', device: 'two', description: 'three' })).toBe('acme two');
  expect(of({ vendor: '', architecture: 'one', device: '', description: 'three' })).toBe('one');
  expect(of({ vendor: '', architecture: '', device: '', description: 'three' })).toBe('three');
  expect(of({ vendor: '', architecture: '', device: '', description: '' })).toBe('unnamed adapter');
  expect(of(undefined)).toBe('unnamed adapter');
});

describe('where there is no adapter', () => {
  test('in Node the reason names software drivers', async () => {
    const { unavailableReason } = await opening();
    expect(await unavailableReason({ gpu: noAdapter })).toBe(
      'WebGPU has no adapter: the machine needs a GPU driver for Vulkan, Metal or Direct3D 12; ' +
        "without a GPU, VK_DRIVER_FILES can name a software driver such as Chromium's vk_swiftshader_icd.json, and LD_LIBRARY_PATH " +
        'the folder of a Vulkan loader',
    );
  });

  test('in a browser it names the settings', async () => {
    const { unavailableReason } = await opening();
    vi.stubGlobal('process', { versions: {} });
    const reason = await unavailableReason({ gpu: noAdapter });
    const missing = await unavailableReason();
    vi.unstubAllGlobals();
    expect(reason).toBe(
      'WebGPU has no adapter: the machine needs a GPU driver for Vulkan, Metal or Direct3D 12, or WebGPU is switched off in the settings of the browser',
    );
    expect(missing).toBe(`there is no navigator.gpu: ${install}`);
  });
});

describe('where WebGPU is blocked, as by an extension of the browser, the reason says so', () => {
  const blocked = 'WebGPU is blocked, as by a setting or an extension of the browser: ';
  const rejecting = { requestAdapter: () => Promise.reject(new Error('no')) };
  const throwing = {
    requestAdapter: () => {
      throw new DOMException('no', 'SecurityError');
    },
  };

  test.each([
    ['rejects', rejecting],
    ['throws', throwing],
  ])('the request for an adapter %s', async (_, gpu) => {
    vi.stubGlobal('navigator', { gpu });
    const reason = `${blocked}no`;
    expect(await webgpu.unavailable()).toBe(reason);
    await expect(webgpu.open()).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: `webgpu: ${reason}`,
    });
  });

  test('navigator.gpu is an empty object, or throws when it is read', async () => {
    vi.stubGlobal('navigator', { gpu: {} });
    expect(await webgpu.unavailable()).toContain(`${blocked}gpu.requestAdapter is not a function`);
    vi.stubGlobal('navigator', {
      get gpu() {
        throw new Error('no');
      },
    });
    expect(await webgpu.unavailable()).toBe(`${blocked}no`);
  });
});

test('the entry point is the one given, that of the browser, or in Node that of the package webgpu, which is opened once', async () => {
  const asked: unknown[] = [];
  const entry = (name: string) =>
    ({
      requestAdapter: async (options: unknown) => {
        asked.push([name, options]);
        return {};
      },
    }) as unknown as GPU;
  const created: unknown[] = [];
  vi.doMock('webgpu', () => ({
    create: (flags: unknown) => {
      created.push(flags);
      return entry('node');
    },
  }));
  const { unavailableReason } = await opening();
  for (let k = 0; k < 2; k++) expect(await unavailableReason()).toBeNull();
  expect(await unavailableReason({ gpu: entry('given'), powerPreference: 'low-power' })).toBeNull();
  vi.stubGlobal('navigator', { gpu: entry('browser') });
  expect(await unavailableReason({})).toBeNull();
  expect(await unavailableReason({ adapter: {} as GPUAdapter })).toBeNull();
  expect(asked).toEqual([
    ['node', {}],
    ['node', {}],
    ['given', { powerPreference: 'low-power' }],
    ['browser', {}],
  ]);
  expect(created).toEqual([[]]);
});

test.each([
  ['ERR_MODULE_NOT_FOUND', `Node has no built-in WebGPU: ${install}`],
  ['ERR_DLOPEN_FAILED', `the package webgpu failed to load (no such file): ${install}`],
])('a package webgpu that fails with %s', async (code, reason) => {
  const { unavailableReason, openDevice } = await opening();
  vi.doMock('webgpu', () => ({
    create: () => {
      throw Object.assign(new Error('no such file'), { code });
    },
  }));
  expect(await unavailableReason()).toBe(reason);
  const error = await openDevice({}).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE', message: `webgpu: ${reason}` });
  // Node prints a cause that is undefined.
  expect(error).not.toHaveProperty('cause');
});

describe('a device', () => {
  const info = { vendor: 'acme', architecture: 'one' };
  let descriptors: unknown[];
  beforeEach(() => {
    descriptors = [];
  });
  const adapterWith = (features: readonly string[], requestDevice: () => unknown) =>
    ({
      info,
      features: new Set(features),
      limits: { maxBufferSize: 5, maxStorageBufferBindingSize: 6, maxBindGroups: 7 },
      requestDevice: async (descriptor: unknown) => {
        descriptors.push(descriptor);
        return requestDevice();
      },
    }) as unknown as GPUAdapter;

  test('is requested with the features and limits that kernels use', async () => {
    const { openDevice } = await opening();
    const device = {};
    const opened = await openDevice({ adapter: adapterWith(['subgroups', 'timestamp-query', 'other'], () => device) });
    expect(opened).toEqual({ device, info, owned: true });
    expect(descriptors).toEqual([
      {
        label: 'softgrad',
        requiredFeatures: ['subgroups', 'timestamp-query'],
        requiredLimits: { maxBufferSize: 5, maxStorageBufferBindingSize: 6 },
      },
    ]);
    const given = { adapterInfo: info } as unknown as GPUDevice;
    expect(await openDevice({ device: given })).toEqual({ device: given, info, owned: false });
  });

  test('that is refused is an error with the adapter and the cause', async () => {
    const { openDevice } = await opening();
    const cause = new Error('used before');
    const adapter = adapterWith(['shader-f16'], () => {
      throw cause;
    });
    await expect(openDevice({ adapter })).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: 'webgpu: the adapter acme one gave no device: used before',
      cause,
    });
    expect(descriptors).toMatchObject([{ requiredFeatures: ['shader-f16'] }]);
  });

  test('whose adapter may not be described is an error too', async () => {
    const { openDevice } = await opening();
    const adapter = Object.defineProperty({}, 'info', {
      get() {
        throw new Error('protected');
      },
    }) as GPUAdapter;
    await expect(openDevice({ adapter })).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: 'webgpu: the adapter unnamed adapter gave no device: protected',
    });
  });
});

test('errors that no scope catches are those of the backend if it requested the device', async () => {
  const invalid = (device: GPUDevice) => device.createBuffer({ size: 4, usage: 0x01 | 0x80 }); // MAP_READ | STORAGE
  const own = await webgpu.open({ gpu: await nullEntry() });
  expect(own.name).toBe('webgpu');
  invalid(own.device);
  // The device tells of it before it is done with later work.
  await own.device.queue.onSubmittedWorkDone();
  await expect(own.sync()).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED',
    message: expect.stringMatching(/^webgpu: the device rejected submitted work: ./),
  });
  await own.sync();
  own.close();
  const device = await newNullDevice();
  const guest = await webgpu.open({ device });
  let uncaptured = 0;
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault();
    uncaptured++;
  });
  invalid(device);
  await device.queue.onSubmittedWorkDone();
  await guest.sync();
  expect(uncaptured).toBe(1);
  guest.close();
  device.destroy();
});

test('a backend that cannot be opened destroys the buffers that it has made', async () => {
  const device = await newNullDevice();
  const made: GPUBuffer[] = [];
  const destroyed = new Set<GPUBuffer>();
  const broken = altered(device, {
    createBuffer(descriptor: GPUBufferDescriptor) {
      const buffer = device.createBuffer(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      buffer.destroy = () => {
        destroyed.add(buffer);
        destroy();
      };
      made.push(buffer);
      return buffer;
    },
    createShaderModule: ({ label }: GPUShaderModuleDescriptor) =>
      device.createShaderModule({ label: label ?? '', code: 'no WGSL' }),
  });
  await expect(webgpu.open({ device: broken })).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED',
    message: expect.stringMatching(/^webgpu: the kernel \w+(\.\w+)? does not compile on this device: 1:1 /),
  });
  expect(made.length).toBeGreaterThan(0);
  expect(destroyed).toEqual(new Set(made));
  device.destroy();
});

test('host memory is written to the device as it is, unless it is shared or its length is no multiple of 4', async () => {
  const device = await newNullDevice();
  const written: (readonly [buffer: ArrayBufferLike, offset: number, length: number])[] = [];
  const queue = new Proxy(device.queue, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (key !== 'writeBuffer') return typeof value === 'function' ? value.bind(target) : value;
      return (buffer: GPUBuffer, offset: number, data: Uint8Array<ArrayBuffer>) => {
        written.push([data.buffer, data.byteOffset, data.byteLength]);
        target.writeBuffer(buffer, offset, data);
      };
    },
  });
  const backend = await webgpu.open({ device: altered(device, { queue }) });
  const host = Float32Array.of(0, 1, 2, 3);
  const shared = new Float32Array(new SharedArrayBuffer(12));
  const bytes = Uint8Array.of(1, 0, 1, 1, 0);
  written.length = 0;
  backend.write(backend.alloc(3, 'float32'), host.subarray(1));
  backend.write(backend.alloc(3, 'float32'), shared);
  backend.write(backend.alloc(5, 'bool'), bytes);
  expect(written).toEqual([
    [host.buffer, 4, 12],
    [expect.any(ArrayBuffer), 0, 12],
    [Uint8Array.of(1, 0, 1, 1, 0, 0, 0, 0).buffer, 0, 8],
  ]);
  expect(written[0]?.[0]).toBe(host.buffer);
  backend.close();
  device.destroy();
});

test('a buffer may be as large as the limit, and is freed once', async () => {
  const device = await newNullDevice();
  const backend = await webgpu.open({ device });
  const { elements } = backend.supports.limits;
  const x = backend.alloc(elements, 'float32');
  expect(backend.statistics().liveBytes).toBe(4 * elements);
  backend.free(x);
  backend.free(x);
  expect(backend.statistics()).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
  expect(() => backend.alloc(elements + 1, 'float32')).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_MEMORY' }));
  backend.close();
  expect(() => backend.alloc(1, 'float32')).toThrow(
    expect.objectContaining({ code: 'ERR_DISPOSED', message: 'webgpu: the backend was closed' }),
  );
  device.destroy();
});

test('bytes of each operation are counted, and outputs that are left out have a program of their own', async () => {
  const device = await newNullDevice();
  const backend = await webgpu.open({ device });
  const [x, y, out] = [6, 6, 6].map((length) => backend.alloc(length, 'float32'));
  const extent = [1, 2, 3] as const;
  backend.basis.binary(out, 'add', { buffer: x, extent }, { buffer: y, extent }, extent);
  backend.basis.binary(out, 'add', { buffer: x, extent }, 2, extent);
  backend.basis.unary(out, 'exp', x, 6);
  const { operations } = backend.statistics();
  expect(operations['basis.binary']).toEqual({ calls: 2, dispatches: 2, bytesRead: 3 * 24, bytesWritten: 2 * 24 });
  expect(operations['basis.unary']).toEqual({ calls: 1, dispatches: 1, bytesRead: 24, bytesWritten: 24 });
  const rows = { outer: 2, classes: 3, inner: 1 };
  const target = { kind: 'indices', buffer: backend.alloc(2, 'int32') } as const;
  const parameters = { ...plainCrossEntropy, target, ignoreIndex: -1 };
  const loss = backend.alloc(2, 'float32');
  const before = backend.statistics().pipelines;
  for (const outputs of [
    { loss, gradient: null },
    { loss: null, gradient: out },
    { loss, gradient: out },
    { loss, gradient: null },
  ])
    backend.kernels.crossEntropy(outputs, x, rows, parameters);
  expect(backend.statistics().pipelines - before).toBe(3);
  await backend.sync();
  backend.close();
  device.destroy();
});

test.each([
  ['device', {}, 'is an object (Object)', 'a GPUDevice: await adapter.requestDevice()'],
  ['device', null, 'is null', 'a GPUDevice: await adapter.requestDevice()'],
  ['adapter', 'nvidia', 'is the text "nvidia"', 'a GPUAdapter: await navigator.gpu.requestAdapter()'],
  ['gpu', true, 'is true', 'the entry point of WebGPU: navigator.gpu'],
  ['powerPreference', 'high', 'is the text "high"', 'low-power or high-performance'],
  ['powerPreference', 1, '1', 'low-power or high-performance'],
  ['pooledBytes', null, 'is null', 'a number of at least 0'],
])(
  'an option with a value that only JavaScript without types can pass is ERR_VALUE: %s %o',
  async (name, value, shown, expected) => {
    await expect(webgpu.open({ gpu: noAdapter, [name]: value })).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: `webgpu: ${name} ${shown}; expected ${expected}`,
    });
  },
);

test('an option that is undefined is as if it were left out', async () => {
  const device = await newNullDevice();
  const left = { adapter: undefined, gpu: undefined, powerPreference: undefined, pooledBytes: undefined };
  const backend = await webgpu.open({ device, ...left });
  expect(backend.device).toBe(device);
  backend.close();
});
