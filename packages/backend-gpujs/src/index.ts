import { createProvider, type GpujsProvider } from './provider.js';

export type { GpujsBackend } from './backend.js';
export type { Mode } from './engine.js';
export type { GpujsOptions, GpujsProvider } from './provider.js';
export type { GpujsBuffer } from './storage.js';

/**
 * softgrad on gpu.js: WebGPU, WebGL, WebAssembly or plain JavaScript, in float32. `supports.device` names the mode that was chosen.
 *
 * @example
 * const backend = await gpujs.open({ mode: 'webasm' });
 * backend.supports.device; // 'webasm: WebAssembly'
 */
export const gpujs: GpujsProvider = createProvider(() => performance.now());

export default gpujs;
