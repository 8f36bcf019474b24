import { plain } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type WebgpuBackend, webgpu } from '../src/index.js';
import { altered, newDevice } from './device.js';

const rows = { outer: 2000, classes: 2, inner: 1 };
const zeros = new Float32Array(4000);

/** Allocates logits, and returns a function that enqueues a softmax of them. */
function work(backend: WebgpuBackend) {
  const [x, out] = [backend.alloc(4000, 'float32'), backend.alloc(4000, 'float32')];
  backend.write(x, zeros);
  return { x, out, enqueue: () => backend.softmax(out, x, rows, plain) };
}

/** A device with a clock, with some members replaced. */
async function clocked(members: (device: GPUDevice) => Partial<Record<keyof GPUDevice, unknown>> = () => ({})) {
  const device = await newDevice({ requiredFeatures: ['timestamp-query'] });
  const backend = await webgpu.open({ device: altered(device, members(device)) });
  return {
    backend,
    close() {
      backend.close();
      device.destroy();
    },
  };
}

/** A backend with a clock that counts timed passes. */
async function counted() {
  const passes: GPUQuerySet[] = [];
  const opened = await clocked((device) => ({
    createQuerySet(descriptor: GPUQuerySetDescriptor) {
      const made = device.createQuerySet(descriptor);
      passes.push(made);
      return made;
    },
  }));
  return { ...opened, passes };
}

describe('time', () => {
  test('is the time of all enqueued work in milliseconds by the device clock', async () => {
    const backend = await webgpu.open();
    expect(backend.device.features.has('timestamp-query')).toBe(true);
    const { out, enqueue } = work(backend);
    const elapsedMs = await backend.time(() => {
      for (let i = 0; i < 100; i++) enqueue();
    });
    expect(elapsedMs).toBeGreaterThan(0);
    expect(backend.statistics().operations.softmax.dispatches).toBe(100);
    expect((await backend.read(out))[0]).toBeCloseTo(0.5, 6);
    backend.close();
  });

  test('is null on a device without a clock, and the work is still done', async () => {
    const device = await newDevice();
    const backend = await webgpu.open({ device });
    const { out, enqueue } = work(backend);
    expect(await backend.time(enqueue)).toBeNull();
    expect((await backend.read(out))[0]).toBeCloseTo(0.5, 6);
    backend.close();
    device.destroy();
  });

  test('of many operations is one pass in one submit', async () => {
    const { backend, passes, close } = await counted();
    const { enqueue } = work(backend);
    await backend.time(() => {
      for (let i = 0; i < 200; i++) enqueue();
    });
    expect(passes).toHaveLength(1);
    expect(await backend.time(() => {})).toBe(0);
    close();
  });

  test('includes work before and after a write', async () => {
    const { backend, passes, close } = await counted();
    const { x, enqueue } = work(backend);
    const elapsedMs = await backend.time(() => {
      for (let i = 0; i < 70; i++) enqueue();
      backend.write(x, zeros);
      enqueue();
    });
    expect(elapsedMs).toBeGreaterThan(0);
    expect(passes).toHaveLength(2);
    close();
  });

  test('may be nested', async () => {
    const { backend, passes, close } = await counted();
    const { enqueue } = work(backend);
    const inner: Promise<number | null>[] = [];
    await backend.time(() => {
      enqueue();
      inner.push(backend.time(enqueue));
      enqueue();
    });
    await Promise.all(inner);
    // Before, inside and after the inner call.
    expect(passes).toHaveLength(3);
    close();
  });

  test('is null if the clock was set back meanwhile', async () => {
    const { backend, close } = await clocked((device) => ({
      createCommandEncoder() {
        const encoder = device.createCommandEncoder();
        const begin = encoder.beginComputePass.bind(encoder);
        encoder.beginComputePass = (descriptor) => {
          const writes = descriptor?.timestampWrites;
          if (!writes) return begin(descriptor);
          return begin({ timestampWrites: { ...writes, beginningOfPassWriteIndex: 1, endOfPassWriteIndex: 0 } });
        };
        return encoder;
      },
    }));
    const { enqueue } = work(backend);
    const manyTimes = () => {
      for (let i = 0; i < 400; i++) enqueue();
    };
    expect(await backend.time(manyTimes)).toBeNull();
    close();
  });

  test('is 0, not null, if no time passes on the clock', async () => {
    const { backend, close } = await clocked((device) => ({
      createCommandEncoder() {
        const encoder = device.createCommandEncoder();
        // The timestamps stay as the buffer was made: 0.
        encoder.resolveQuerySet = () => undefined;
        return encoder;
      },
    }));
    expect(await backend.time(work(backend).enqueue)).toBe(0);
    close();
  });

  test.each([
    ['lost', 'ERR_DEVICE_LOST', (backend: WebgpuBackend): void => backend.device.destroy()],
    ['closed', 'ERR_DISPOSED', (backend: WebgpuBackend): void => backend.close()],
  ] as const)('of a backend that is %s meanwhile is %s', async (_, code, end) => {
    const backend = await webgpu.open();
    const timing = backend.time(work(backend).enqueue);
    end(backend);
    await expect(timing).rejects.toMatchObject({ code });
    backend.close();
  });

  test('rethrows errors, and later work is not timed', async () => {
    const { backend, passes, close } = await counted();
    const { out, enqueue } = work(backend);
    const failing = () => {
      throw new Error('mine');
    };
    await expect(backend.time(failing)).rejects.toThrow('mine');
    enqueue();
    expect((await backend.read(out))[0]).toBeCloseTo(0.5, 6);
    expect(passes).toHaveLength(0);
    close();
  });
});
