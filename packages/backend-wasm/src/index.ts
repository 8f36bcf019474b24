import type { BackendProvider } from '@softgrad/core';
import type { WasmBuffer } from './buffer.js';
import { builds } from './builds.js';
import type { WasmOptions } from './options.js';
import { createProvider } from './provider.js';

export type { WasmBuffer } from './buffer.js';
export type { CompiledModule, WasmOptions, WorkerLike, WorkerSource } from './options.js';

/**
 * softgrad on WebAssembly SIMD.
 *
 * @throws ERR_VALUE for `threads` that is not an integer from 1 to 64, for a `worker` that is not a URL, a path or a function that starts a new Worker
 *   at each call, and for a `module` that is not a WebAssembly.Module with the kernels
 * @throws ERR_BACKEND_UNAVAILABLE where the engine has no WebAssembly SIMD, not the relaxed SIMD that was asked for, or not the threads that are
 *   `required`, and where the file of the kernels does not load
 *
 * @example
 * const backend = await wasm.open({ threads: 2 });
 * backend.supports.device; // 'WebAssembly SIMD, 2 threads'
 */
export const wasm: BackendProvider<WasmBuffer, WasmOptions> = createProvider(builds);

export default wasm;
