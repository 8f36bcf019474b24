import { isSoftgradError, softmax, tensor } from '@softgrad/core';
import { gpujs } from '../../src/index.js';

/** The results of softmax and its vjp in a mode, or the error. */
async function tried(mode: 'auto' | 'webgpu' | 'webgl2' | 'webgl' | 'webasm' | 'cpu') {
  try {
    const backend = await gpujs.open({ mode });
    const s = softmax(tensor([[1, 2, 3]], { backend }));
    const dx = softmax.vjp(s, tensor([[1, 0, 0]], { backend }));
    const result = { name: backend.name, s: [...(await s.data())], dx: [...(await dx.data())] };
    await backend.close();
    return result;
  } catch (error) {
    return isSoftgradError(error) ? { code: error.code, message: error.message } : { message: String(error) };
  }
}

Object.assign(globalThis, { tried });
