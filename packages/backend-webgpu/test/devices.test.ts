import { bufferOf, fromBuffer, type Rows, softmax } from '@softgrad/core';
import { reference, tolerance } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type WebgpuBackend, type WebgpuBuffer, webgpu } from '../src/index.js';
import { altered, entry, newDevice } from './device.js';

/** Each is told what can be done there. */
const inNode = !('document' in globalThis);

const shapes: readonly Rows[] = [
  { outer: 3000, classes: 3, inner: 1 },
  { outer: 9, classes: 64, inner: 1 },
  { outer: 40, classes: 1000, inner: 1 },
  { outer: 5, classes: 33, inner: 300 },
  { outer: 3, classes: 40_000, inner: 1 },
];

async function softmaxOf(backend: WebgpuBackend, values: Float32Array, rows: Rows) {
  const [x, out] = [backend.alloc(values.length, 'float32'), backend.alloc(values.length, 'float32')];
  backend.write(x, values);
  backend.softmax(out, x, rows);
  const result = await backend.read(out);
  for (const buffer of [x, out]) backend.free(buffer);
  return result;
}

function logits({ outer, classes, inner }: Rows): Float32Array {
  return Float32Array.from({ length: outer * classes * inner }, (_, i) => ((i * 7919) % 4001) / 100 - 20);
}

describe('where results come from', () => {
  test('a device without subgroup operations reduces through workgroup memory alone', async () => {
    const device = await newDevice();
    const backend = await webgpu.open({ device });
    const rows = { outer: 3, classes: 67, inner: 1 };
    const x = logits(rows);
    const expected = reference.softmax(x, rows);
    const bounds = tolerance.softmaxTolerance(tolerance.precisionOf(backend.supports, 'float32'), x, expected, rows);
    const s = await softmaxOf(backend, x, rows);
    s.forEach((p, i) => {
      expect(Math.abs(p - expected[i])).toBeLessThanOrEqual(bounds[i]);
    });
    backend.close();
    device.destroy();
  });

  test('more workgroups than one dimension takes are spread over two, with the same results', async () => {
    const device = await newDevice();
    const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    const limits = { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension: 7 };
    const grids: (readonly [number, number])[] = [];
    const narrow = altered(device, {
      limits,
      createCommandEncoder: () => {
        const encoder = device.createCommandEncoder();
        const begin = encoder.beginComputePass.bind(encoder);
        encoder.beginComputePass = (descriptor) => {
          const pass = begin(descriptor);
          const dispatch = pass.dispatchWorkgroups.bind(pass);
          pass.dispatchWorkgroups = (x, y = 1) => {
            grids.push([x, y]);
            dispatch(x, y);
          };
          return pass;
        };
        return encoder;
      },
    });
    const [wide, spread] = [await webgpu.open({ device }), await webgpu.open({ device: narrow })];
    for (const rows of shapes) {
      const x = logits(rows);
      expect(await softmaxOf(spread, x, rows)).toEqual(await softmaxOf(wide, x, rows));
    }
    expect(Math.max(...grids.map(([x]) => x))).toBeLessThanOrEqual(7);
    expect(Math.max(...grids.map(([, y]) => y))).toBeGreaterThan(1);
    wide.close();
    spread.close();
    device.destroy();
  });

  test('two backends open side by side do not disturb each other', async () => {
    const [first, second] = [await webgpu.open(), await webgpu.open()];
    const rows = { outer: 1, classes: 3, inner: 1 };
    const results = await Promise.all([first, second].map((b) => softmaxOf(b, Float32Array.of(1, 2, 3), rows)));
    expect(results[0]).toEqual(results[1]);
    first.close();
    expect(await softmaxOf(second, Float32Array.of(1, 2, 3), rows)).toEqual(results[0]);
    second.close();
  });
});

describe('a buffer that other code made', () => {
  test('is computed on where it is, and is not destroyed', async () => {
    const device = await newDevice();
    const backend = await webgpu.open({ device });
    const usage = 0x80 | 0x04 | 0x08; // STORAGE | COPY_SRC | COPY_DST
    const mine = device.createBuffer({ size: 16, usage });
    device.queue.writeBuffer(mine, 0, Float32Array.of(1, 2, 3));
    const x = fromBuffer(backend, backend.adopt(mine, 3, 'float32'), [3], 'float32');
    const s = softmax(x);
    expect((bufferOf(x) as WebgpuBuffer).slot?.gpu).toBe(mine);
    x.dispose();
    const [first] = await s.data();
    expect(first).toBeCloseTo(0.09003, 5);
    s.dispose();
    backend.close();
    const again = await webgpu.open({ device });
    const y = again.adopt(mine, 3, 'float32');
    expect([...(await again.read(y))]).toEqual([1, 2, 3]);
    again.close();
    device.destroy();
  });

  test('of a size that kernels cannot load four at a time is ERR_VALUE', async () => {
    const device = await newDevice();
    const backend = await webgpu.open({ device });
    const odd = device.createBuffer({ size: 12, usage: 0x80 | 0x04 | 0x08 });
    expect(() => backend.adopt(odd, 3, 'float32')).toThrow(expect.objectContaining({ code: 'ERR_VALUE' }));
    backend.close();
    device.destroy();
  });
});

test('a buffer that cannot be bound, read or written is ERR_VALUE, naming what its usage lacks', async () => {
  const device = await newDevice();
  const backend = await webgpu.open({ device });
  const storageOnly = device.createBuffer({ size: 16, usage: 0x80 });
  expect(() => backend.adopt(storageOnly, 3, 'float32')).toThrow(
    expect.objectContaining({ code: 'ERR_VALUE', message: expect.stringMatching(/without COPY_SRC and COPY_DST$/) }),
  );
  backend.close();
  device.destroy();
});

test('a buffer that its owner destroyed is an error that names the kernel, and the backend goes on', async () => {
  const device = await newDevice();
  const backend = await webgpu.open({ device });
  const mine = device.createBuffer({ size: 16, usage: 0x80 | 0x04 | 0x08 });
  const x = backend.adopt(mine, 3, 'float32');
  const out = backend.alloc(3, 'float32');
  mine.destroy();
  backend.softmax(out, x, { outer: 1, classes: 3, inner: 1 });
  await expect(backend.read(out)).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED',
    message: expect.stringMatching(/destroyed.*softmax/s),
  });
  backend.free(x);
  const rows = { outer: 1, classes: 3, inner: 1 };
  expect((await softmaxOf(backend, Float32Array.of(0, 0, 0), rows))[0]).toBeCloseTo(1 / 3, 6);
  backend.close();
  device.destroy();
});

describe('what open takes', () => {
  test('an entry point, an adapter or a device', async () => {
    const gpu = await entry();
    const adapter = await gpu.requestAdapter();
    if (!adapter) throw new Error('the tests need a WebGPU adapter');
    for (const options of [
      { gpu },
      { adapter },
      { device: await newDevice() },
      { powerPreference: 'low-power' as const },
    ]) {
      const backend = await webgpu.open(options);
      expect(backend.supports.device).toMatch(/\(webgpu\)$/);
      backend.close();
    }
  });

  test('without an adapter it is ERR_BACKEND_UNAVAILABLE with the reason and the way out', async () => {
    const gpu = { requestAdapter: async () => null } as unknown as GPU;
    await expect(webgpu.open({ gpu })).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: expect.stringMatching(
        inNode ? /no adapter.*VK_DRIVER_FILES/ : /no adapter.*switched off in the settings/,
      ),
    });
  });

  test('an adapter that gives no device is ERR_BACKEND_UNAVAILABLE with its reason', async () => {
    const real = await (await entry()).requestAdapter();
    const adapter = {
      limits: real?.limits,
      features: real?.features,
      info: real?.info,
      requestDevice: async () => {
        throw new Error('used before');
      },
    } as unknown as GPUAdapter;
    await expect(webgpu.open({ adapter })).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: expect.stringContaining('used before'),
    });
  });
});
