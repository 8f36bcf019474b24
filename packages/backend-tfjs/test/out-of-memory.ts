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
    const x = tensor(new Float32Array(2 ** 22), { shape: [1, 2 ** 22], backend });
    const instance = tf.engine().registry.webgl as unknown as WebGl;
    const before = instance.numDataIds();
    const { gl } = instance.getGPGPUContext();
    vi.spyOn(gl, 'getError').mockReturnValue(gl.OUT_OF_MEMORY);
    expect(() => softmax(x)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_MEMORY' }));
    expect(instance.numDataIds()).toBe(before);
    vi.restoreAllMocks();
    const y = await sigmoid(x).data();
    expect(y[2 ** 21]).toBeCloseTo(0.5, 6);
    await backend.close();
  });
}
