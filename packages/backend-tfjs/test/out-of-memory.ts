import { sigmoid, softmax, tensor } from '@softgrad/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test, vi } from 'vitest';
import { tfjs } from '../src/index.js';

interface WebGl {
  numDataIds(): number;
  getGPGPUContext(): { readonly gl: WebGL2RenderingContext };
}

/** A device that is out of memory, which WebGL does not report by itself. */
export function testOutOfMemory(): void {
  test('a texture that cannot be allocated is ERR_OUT_OF_MEMORY, not a result of zeros, and nothing leaks', async () => {
    const backend = await tfjs.open({ engine: 'webgl' });
    // Of softmax.jacobian, a result of 16 MiB.
    const s = tensor(new Float32Array(2 ** 11), { shape: [1, 2 ** 11], backend });
    await s.data();
    const instance = tf.engine().registry.webgl as unknown as WebGl;
    const before = instance.numDataIds();
    const { gl } = instance.getGPGPUContext();
    vi.spyOn(gl, 'getError').mockReturnValue(gl.OUT_OF_MEMORY);
    expect(() => softmax.jacobian(s)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_MEMORY' }));
    expect(instance.numDataIds()).toBe(before);
    vi.restoreAllMocks();
    expect([...(await sigmoid(tensor([0], { backend })).data())]).toEqual([0.5]);
    await backend.close();
  });
}
