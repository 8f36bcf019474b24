import type { BackendProvider } from '@softgrad/core';
import type { WasmBuffer } from './buffer.js';
import type { WasmOptions } from './options.js';
import { createProvider } from './provider.js';
import { memoryFlags, module } from './simd.generated.js';

export type { WasmBuffer } from './buffer.js';
export type { CompiledModule, WasmOptions, WorkerLike, WorkerSource } from './options.js';

/**
 * softgrad on WebAssembly SIMD with one build of the kernels, for bundles that are one file: without relaxed SIMD: it runs in every engine with WebAssembly SIMD, and results are the same bits everywhere.
 *
 * @throws as `wasm` of `@softgrad/backend-wasm`; ERR_VALUE for `relaxedSimd: true` and for `float64: false`
 */
export const wasm: BackendProvider<WasmBuffer, WasmOptions> = createProvider({
  simd: async () => ({ module, memoryFlags }),
});

export default wasm;
