import { bufferOf, fromBuffer, type Rows, softmax } from '@softgrad/core';
import { plain } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type WebgpuBackend, webgpu } from '../src/index.js';
import { entry, newDevice } from './device.js';

const inNode = !('document' in globalThis);

async function softmaxOf(backend: WebgpuBackend, values: Float32Array, rows: Rows) {
  const [x, out] = [backend.alloc(values.length, 'float32'), backend.alloc(values.length, 'float32')];
  backend.write(x, values);
  backend.softmax(out, x, rows, plain);
  const result = await backend.read(out);
  for (const buffer of [x, out]) backend.free(buffer);
  return result;
}

test('two open backends do not affect each other', async () => {
  const [first, second] = [await webgpu.open(), await webgpu.open()];
  const rows = { outer: 1, classes: 3, inner: 1 };
  const results = await Promise.all([first, second].map((b) => softmaxOf(b, Float32Array.of(1, 2, 3), rows)));
  expect(results[0]).toEqual(results[1]);
  first.close();
  expect(await softmaxOf(second, Float32Array.of(1, 2, 3), rows)).toEqual(results[0]);
  second.close();
});

describe('a buffer created by other code', () => {
  test('is used without a copy and not destroyed', async () => {
    const device = await newDevice();
    const backend = await webgpu.open({ device });
    const usage = 0x80 | 0x04 | 0x08; // STORAGE | COPY_SRC | COPY_DST
    const mine = device.createBuffer({ size: 16, usage });
    device.queue.writeBuffer(mine, 0, Float32Array.of(1, 2, 3));
    const x = fromBuffer(backend, backend.adopt(mine, 3, 'float32'), [3], 'float32');
    const s = softmax(x);
    expect(bufferOf(backend, x).slot?.gpu).toBe(mine);
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
});

test('a shared buffer may be destroyed by its owner once the backend has freed it', async () => {
  const device = await newDevice();
  const backend = await webgpu.open({ device });
  const mine = device.createBuffer({ size: 16, usage: 0x80 | 0x04 | 0x08 });
  device.queue.writeBuffer(mine, 0, Float32Array.of(1, 2, 3));
  const x = backend.adopt(mine, 3, 'float32');
  const s = backend.alloc(3, 'float32');
  backend.softmax(s, x, { outer: 1, classes: 3, inner: 1 }, plain);
  backend.free(x);
  mine.destroy();
  expect((await backend.read(s))[0]).toBeCloseTo(0.09003, 5);
  backend.close();
  device.destroy();
});

test('a shared buffer destroyed too early is an error that names the kernel, and the backend keeps working', async () => {
  const device = await newDevice();
  const backend = await webgpu.open({ device });
  const mine = device.createBuffer({ size: 16, usage: 0x80 | 0x04 | 0x08 });
  const x = backend.adopt(mine, 3, 'float32');
  const out = backend.alloc(3, 'float32');
  mine.destroy();
  backend.softmax(out, x, { outer: 1, classes: 3, inner: 1 }, plain);
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

describe('open accepts', () => {
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

  test('nothing if there is no adapter: ERR_BACKEND_UNAVAILABLE with the reason and what to do', async () => {
    const gpu = { requestAdapter: async () => null } as unknown as GPU;
    await expect(webgpu.open({ gpu })).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: expect.stringMatching(
        inNode ? /no adapter.*VK_DRIVER_FILES/ : /no adapter.*switched off in the settings/,
      ),
    });
  });

  test('no adapter that provides no device: ERR_BACKEND_UNAVAILABLE with its reason', async () => {
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
