import { type BackendProvider, openShared, softmax, tensor } from '@softgrad/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, inject, test } from 'vitest';
import { type EngineName, tfjs } from '../src/index.js';
import { expectClose } from './engines.js';

const deviceLost = expect.objectContaining({ code: 'ERR_DEVICE_LOST' });

/** Makes an engine lose its device, as a driver crash does. */
const losses: readonly (readonly [EngineName, () => Promise<unknown>])[] = [
  [
    'webgl',
    async () => {
      const { gl } = (tf.engine().registry.webgl as unknown as WebGl).getGPGPUContext();
      gl.getExtension('WEBGL_lose_context')?.loseContext();
    },
  ],
  [
    'webgpu',
    async () => {
      const { device } = tf.engine().registry.webgpu as unknown as WebGpu;
      device.destroy();
      await device.lost;
    },
  ],
];

interface WebGl {
  getGPGPUContext(): { readonly gl: WebGL2RenderingContext };
}

interface WebGpu {
  readonly device: { readonly lost: Promise<unknown>; destroy(): void };
}

export function testLostDevices(): void {
  describe.each(losses)('the device of engine %s is lost', (engine, lose) => {
    test('during work: its data is ERR_DEVICE_LOST, host data is intact, and choosing the provider again gives a backend that works', async () => {
      const provider = { ...tfjs, open: () => tfjs.open({ engine }) } as BackendProvider;
      const backend = await openShared(provider);
      const host = Float32Array.of(0, 0);
      const x = tensor(host, { shape: [1, 2], backend });
      const s = softmax(x);
      await backend.sync();
      expect(backend.lost).toBe(false);
      const reading = expect(s.data()).rejects.toEqual(deviceLost);
      await lose();
      await reading;
      expect(() => softmax(x)).toThrow(deviceLost);
      expect(() => softmax(x, { out: s })).toThrow(deviceLost);
      expect(() => tensor([1], { backend })).toThrow(deviceLost);
      await expect(s.data()).rejects.toEqual(deviceLost);
      await expect(backend.sync()).rejects.toEqual(deviceLost);
      expect([...host]).toEqual([0, 0]);
      expect(backend.lost).toBe(true);

      const again = await openShared(provider);
      expect([again === backend, again.lost]).toEqual([false, false]);
      const y = tensor(host, { shape: [1, 2], backend: again });
      expectClose(await softmax(y).data(), [0.5, 0.5]);
      // The lost one is still lost, and freeing what it holds does not harm the other.
      await expect(x.data()).rejects.toEqual(deviceLost);
      s.dispose();
      await backend.close();
      expectClose(await softmax(y).data(), [0.5, 0.5]);
      await again.close();
    });

    // Of these, engine webgl shows the loss during a read, above; the code that gives tf a new engine is the same.
    const reads = engine === 'webgpu' || inject('everything');
    if (reads)
      test('while it is the backend of tf and a result is read: the read does not hang, and opening a backend also gives tf a new one', async () => {
        const before = await tfjs.open({ engine });
        await tf.setBackend(engine);
        const s = softmax(tensor([[0, 0]], { backend: before }));
        const reading = expect(s.data()).rejects.toEqual(deviceLost);
        await lose();
        await reading;
        await before.close();
        const backend = await tfjs.open({ engine });
        expect(tf.getBackend()).toBe(engine);
        const sum = tf.tidy(() => tf.sum(tf.tensor1d([1, 2])));
        expect((await sum.data())[0]).toBe(3);
        const one = softmax(backend.fromTf(tf.reshape(sum, [1])));
        expect([...(await one.data())]).toEqual([1]);
        await backend.close();
      });
  });
}
