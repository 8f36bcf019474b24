import { type Backend, openShared, softmax, tensor } from '@softgrad/core';
import { plain } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type WebgpuBackend, type WebgpuBuffer, webgpu } from '../src/index.js';
import { altered, newDevice } from './device.js';

const rows = { outer: 1, classes: 3, inner: 1 };
const logits = Float32Array.of(1, 2, 3);

/** @param length elements of each buffer, of which 3 are used */
function enqueueSoftmax(backend: Backend<WebgpuBuffer>, length = 3): WebgpuBuffer {
  const x = backend.alloc(length, 'float32');
  const out = backend.alloc(length, 'float32');
  backend.write(x, logits);
  backend.softmax(out, x, rows, plain);
  backend.free(x);
  return out;
}

async function expectWorking(backend: WebgpuBackend): Promise<void> {
  const [first] = await backend.read(enqueueSoftmax(backend));
  expect(first).toBeCloseTo(0.09003, 5);
}

describe('a device that is lost during work', () => {
  test('rejects pending and later calls with ERR_DEVICE_LOST', async () => {
    const backend = await webgpu.open();
    const out = enqueueSoftmax(backend);
    const reading = backend.read(out);
    expect(backend.lost).toBe(false);
    backend.device.destroy();
    await expect(reading).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST', message: expect.stringContaining('open') });
    await expect(backend.read(out)).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST' });
    await expect(backend.sync()).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST' });
    expect(() => backend.alloc(3, 'float32')).toThrow(expect.objectContaining({ code: 'ERR_DEVICE_LOST' }));
    expect(() => backend.softmax(out, out, rows, plain)).toThrow(expect.objectContaining({ code: 'ERR_DEVICE_LOST' }));
    backend.free(out);
    backend.close();
  });

  test('rejects a read of work enqueued after the loss', async () => {
    const backend = await webgpu.open();
    backend.device.destroy();
    const outcome = (async () => backend.read(enqueueSoftmax(backend)))();
    await expect(outcome).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST' });
    backend.close();
  });

  test('by a driver reset rejects all calls in the same way, with the reason', async () => {
    const device = await newDevice();
    let lose: (info: Pick<GPUDeviceLostInfo, 'reason' | 'message'>) => void = () => {};
    const lost = new Promise<Pick<GPUDeviceLostInfo, 'reason' | 'message'>>((resolve) => {
      lose = resolve;
    });
    const backend = await webgpu.open({ device: altered(device, { lost }) });
    const out = enqueueSoftmax(backend);
    lose({ reason: 'unknown', message: 'the driver was reset' });
    await expect(backend.read(out)).rejects.toMatchObject({
      code: 'ERR_DEVICE_LOST',
      message: expect.stringContaining('the driver was reset'),
    });
    expect(() => backend.softmax(out, out, rows, plain)).toThrow(expect.objectContaining({ code: 'ERR_DEVICE_LOST' }));
    backend.close();
    device.destroy();
  });

  test('leaves host data intact, and a new backend can compute from it', async () => {
    const host = Float32Array.of(1, 2, 3);
    const lost = await webgpu.open();
    const x = tensor(host, { backend: lost });
    const s = softmax(x);
    lost.device.destroy();
    await expect(s.data()).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST' });
    expect([...host]).toEqual([1, 2, 3]);
    lost.close();
    const anew = await webgpu.open();
    const [first] = await softmax(tensor(host, { backend: anew })).data();
    expect(first).toBeCloseTo(0.09003, 5);
    anew.close();
  });

  test('has a successor: openShared opens a new device, and tensors of the lost one stay lost', async () => {
    const lost = await openShared(webgpu);
    const x = tensor(logits, { backend: lost });
    (lost as WebgpuBackend).device.destroy();
    await expect(softmax(x).data()).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST' });
    const anew = (await openShared(webgpu)) as Backend<WebgpuBuffer> as WebgpuBackend;
    expect([anew === lost, lost.lost, anew.lost]).toEqual([false, true, false]);
    await expectWorking(anew);
    await expect(x.data()).rejects.toMatchObject({ code: 'ERR_DEVICE_LOST' });
    expect(() => softmax(x)).toThrow(expect.objectContaining({ code: 'ERR_DEVICE_LOST' }));
    x.dispose();
    await lost.close();
    await expectWorking(anew);
    anew.close();
  });
});

describe('memory', () => {
  test('a buffer above the limit of the device is ERR_OUT_OF_MEMORY with the requested size and the limit', async () => {
    const device = await newDevice();
    const backend = await webgpu.open({ device });
    const limit = device.limits.maxStorageBufferBindingSize;
    expect(backend.supports.limits.elements).toBe(limit / 4);
    expect(() => backend.alloc(limit / 4 + 1, 'float32')).toThrow(
      expect.objectContaining({
        code: 'ERR_OUT_OF_MEMORY',
        message: expect.stringMatching(`${limit + 4} bytes.*${limit}`),
      }),
    );
    const wide = tensor(new Float32Array(6000), { backend });
    expect(() => softmax.jacobian(wide)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_MEMORY' }));
    expect(backend.statistics().liveBuffers).toBe(1);
    await expectWorking(backend);
    backend.close();
    device.destroy();
  });

  /** A device on which every allocation fails while `full` is set. */
  async function exhaustible() {
    const device = await newDevice();
    const scopes: { readonly filter: GPUErrorFilter; readonly failing: boolean }[] = [];
    const state = { full: false };
    const exhausted = altered(device, {
      pushErrorScope(filter: GPUErrorFilter) {
        scopes.push({ filter, failing: state.full && filter === 'out-of-memory' });
        device.pushErrorScope(filter);
      },
      async popErrorScope() {
        const failed = scopes.pop()?.failing;
        const error = await device.popErrorScope();
        return failed ? { message: 'injected' } : error;
      },
    });
    return { device, exhausted, state };
  }

  test('a device that runs out of memory is ERR_OUT_OF_MEMORY at the next read, once', async () => {
    const { device, exhausted, state } = await exhaustible();
    const backend = await webgpu.open({ device: exhausted });
    const kept = enqueueSoftmax(backend);
    state.full = true;
    backend.alloc(1000, 'float32');
    state.full = false;
    await expect(backend.read(kept)).rejects.toMatchObject({
      code: 'ERR_OUT_OF_MEMORY',
      message: expect.stringContaining('4096 bytes'),
    });
    await expectWorking(backend);
    backend.close();
    device.destroy();
  });

  test.each(['before', 'after'])(
    'a buffer whose allocation failed, freed %s the failure is known, is not reused',
    async (when) => {
      const { device, exhausted, state } = await exhaustible();
      const backend = await webgpu.open({ device: exhausted });
      state.full = true;
      const none = backend.alloc(1000, 'float32');
      const gpu = none.slot?.gpu;
      state.full = false;
      if (when === 'before') backend.free(none);
      await expect(backend.sync()).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
      if (when === 'after') backend.free(none);
      const again = backend.alloc(1000, 'float32');
      expect(again.slot?.gpu).not.toBe(gpu);
      expect(backend.statistics()).toMatchObject({ liveBuffers: 1 });
      backend.close();
      device.destroy();
    },
  );
});

test('a large write that fails for lack of memory is ERR_OUT_OF_MEMORY at the next read', async () => {
  const device = await newDevice();
  let filter: GPUErrorFilter | undefined;
  let full = false;
  const exhausted = altered(device, {
    queue: new Proxy(device.queue, {
      get(target, key) {
        if (key === 'writeBuffer' && filter === 'out-of-memory') full = true;
        const member: unknown = Reflect.get(target, key, target);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    }),
    pushErrorScope(wanted: GPUErrorFilter) {
      filter = wanted;
      device.pushErrorScope(wanted);
    },
    async popErrorScope() {
      filter = undefined;
      const failed = full;
      full = false;
      const error = await device.popErrorScope();
      return failed ? { message: 'injected' } : error;
    },
  });
  const backend = await webgpu.open({ device: exhausted });
  const x = backend.alloc(2 ** 18, 'float32');
  backend.write(x, new Float32Array(2 ** 18));
  await expect(backend.read(x)).rejects.toMatchObject({
    code: 'ERR_OUT_OF_MEMORY',
    message: expect.stringContaining('1048576 bytes'),
  });
  await expectWorking(backend);
  backend.close();
  device.destroy();
});

test('a buffer that is to be destroyed while enqueued work needs it is kept until that work is submitted', async () => {
  const backend = await webgpu.open({ pooledBytes: 0 });
  const x = backend.alloc(3, 'float32');
  const [s, dx] = [backend.alloc(3, 'float32'), backend.alloc(3, 'float32')];
  backend.write(x, logits);
  const before = backend.statistics().submits;
  const submits = () => backend.statistics().submits - before;
  backend.softmax(s, x, rows, plain);
  backend.free(backend.alloc(3, 'float32'));
  expect(submits()).toBe(0);
  backend.free(x);
  expect(submits()).toBe(1);
  backend.vjp(dx, s, s, rows, plain);
  backend.free(s);
  expect(submits()).toBe(2);
  expect(backend.statistics()).toMatchObject({ pooledBytes: 0, liveBuffers: 1, bindGroups: 0 });
  const [first] = await backend.read(dx);
  expect(first).toBeCloseTo(-0.03786, 4);
  backend.close();
});

describe('work that the device rejects', () => {
  test('WGSL that does not compile is an error that names the kernel; other kernels keep working', async () => {
    const device = await newDevice();
    const strict = altered(device, {
      createShaderModule: ({ label = '', code }: GPUShaderModuleDescriptor) =>
        device.createShaderModule({ label, code: label === 'jacobian' ? `${code}\nfn broken() -> f32 {}` : code }),
    });
    const backend = await webgpu.open({ device: strict });
    const s = enqueueSoftmax(backend);
    const out = backend.alloc(9, 'float32');
    backend.jacobian(out, s, rows, plain);
    await expect(backend.read(out)).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringMatching(/kernel jacobian does not compile.*missing return/),
    });
    await expectWorking(backend);
    backend.close();
    device.destroy();
  });

  test('results of the same batch as rejected work stay invalid until they are recomputed', async () => {
    const device = await newDevice();
    const strict = altered(device, {
      createShaderModule: ({ label = '', code }: GPUShaderModuleDescriptor) =>
        device.createShaderModule({ label, code: label === 'jacobian' ? `${code}\nfn broken() -> f32 {}` : code }),
    });
    const backend = await webgpu.open({ device: strict });
    const refused = { code: 'ERR_UNSUPPORTED', message: expect.stringContaining('jacobian') };
    const x = backend.alloc(3, 'float32');
    backend.write(x, logits);
    const [s, matrix, after] = [3, 9, 3].map((length) => backend.alloc(length, 'float32'));
    backend.softmax(s, x, rows, plain);
    backend.jacobian(matrix, s, rows, plain);
    await expect(backend.sync()).rejects.toMatchObject(refused);
    // Neither the kernel that did not compile nor the rest of its batch has a result, however often it is read.
    for (const lost of [matrix, s, s]) await expect(backend.read(lost)).rejects.toMatchObject(refused);
    expect(() => backend.vjp(after, s, s, rows, plain)).toThrow(expect.objectContaining(refused));
    expect(() => backend.jacobian(matrix, x, rows, plain)).toThrow(expect.objectContaining(refused));
    expect([...(await backend.read(x))]).toEqual([1, 2, 3]);
    backend.softmax(s, x, rows, plain);
    expect((await backend.read(s))[0]).toBeCloseTo(0.09003, 5);
    // The error does not affect the next user of the buffer.
    backend.free(matrix);
    const next = backend.alloc(9, 'float32');
    expect(await backend.read(next)).toHaveLength(9);
    backend.close();
    device.destroy();
  });

  test('work that fails validation is an error that names the kernels of its batch', async () => {
    const device = await newDevice();
    let wrong = false;
    const strict = altered(device, {
      createBindGroup: (descriptor: GPUBindGroupDescriptor) =>
        device.createBindGroup(wrong ? { ...descriptor, entries: [] } : descriptor),
    });
    const backend = await webgpu.open({ device: strict });
    wrong = true;
    // Larger than the buffers that `open` has measured with: those have bind groups, which the queue keeps.
    const out = enqueueSoftmax(backend, 2 ** 16);
    await expect(backend.sync()).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: expect.stringContaining('softmax'),
    });
    backend.free(out);
    backend.close();
    device.destroy();
  });
});

describe('close', () => {
  test('rejects pending reads and all later calls, and may be called twice', async () => {
    const backend = await webgpu.open();
    const out = enqueueSoftmax(backend);
    const reading = backend.read(out);
    backend.close();
    backend.close();
    await expect(reading).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    await expect(backend.sync()).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    expect(() => backend.alloc(1, 'float32')).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
    backend.free(out);
    expect(backend.statistics()).toMatchObject({ liveBuffers: 0, liveBytes: 0, pooledBuffers: 0, stagingBuffers: 0 });
  });

  test('destroys a device that the backend requested, but not one that was passed to open', async () => {
    const device = await newDevice();
    const guest = await webgpu.open({ device });
    await expectWorking(guest);
    guest.close();
    const other = await webgpu.open({ device });
    await expectWorking(other);
    other.close();
    device.destroy();

    const own = await webgpu.open();
    own.close();
    await expect(own.device.lost).resolves.toMatchObject({ reason: 'destroyed' });
  });
});
