import type { BackendProvider } from '@softgrad/core';
import type { WasmBuffer } from './buffer.js';
import type { WasmOptions } from './options.js';
import { createProvider } from './provider.js';
import { memoryFlags, module } from './relaxed.generated.js';

export type { WasmBuffer } from './buffer.js';
export type { CompiledModule, WasmOptions, WorkerLike, WorkerSource } from './options.js';

/**
 * softgrad on WebAssembly SIMD with one build of the kernels, for bundles that are one file: with relaxed SIMD.
 *
 * @throws as `wasm` of `@softgrad/backend-wasm`; ERR_VALUE for `relaxedSimd: false` and for `float64: false`, ERR_BACKEND_UNAVAILABLE where the engine has no relaxed SIMD
 */
export const wasm: BackendProvider<WasmBuffer, WasmOptions> = createProvider({
  relaxed: async () => ({ module, memoryFlags }),
});

export default wasm;
