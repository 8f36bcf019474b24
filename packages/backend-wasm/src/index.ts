import { type Backend, type BackendProvider, SoftgradError } from '@softgrad/core';
import { openBackend } from './backend.js';
import type { WasmBuffer } from './buffer.js';
import { checkedOptions } from './given.js';
import { hasFusedMultiplyAdd, missing, missingEngine } from './module.js';
import type { WasmOptions } from './options.js';
import { spawner } from './spawn.js';

export type { WasmBuffer } from './buffer.js';
export type { CompiledModule, WasmOptions, WorkerLike, WorkerSource } from './options.js';

/** Most threads: more than that never paid, and a job has chunks for no more. */
const mostThreads = 64;

/**
 * softgrad on WebAssembly SIMD.
 *
 * @throws ERR_VALUE for `threads` that is not an integer from 1 to 64, for a `worker` that is not a URL, a path or a function that starts a new Worker
 *   at each call, and for a `module` that is not a WebAssembly.Module with the kernels
 * @throws ERR_BACKEND_UNAVAILABLE where the engine has no WebAssembly SIMD, not the relaxed SIMD that was asked for, or not the threads that are
 *   `required`
 *
 * @example
 * const backend = await wasm.open({ threads: 2 });
 * backend.supports.device; // 'WebAssembly SIMD, 2 threads'
 */
export const wasm: BackendProvider<WasmBuffer, WasmOptions> = {
  name: 'wasm',
  unavailable: async () => missing(),
  open,
};

export default wasm;

async function open(options: WasmOptions = {}): Promise<Backend<WasmBuffer>> {
  const { threads = 1, required = false, relaxedSimd, worker, module } = checkedOptions(options);
  if (!Number.isInteger(threads) || threads < 1 || threads > mostThreads) {
    throw new SoftgradError('ERR_VALUE', `wasm: threads ${threads}; expected an integer from 1 to ${mostThreads}`);
  }
  const spawn = spawner(worker);
  const reason = module === undefined ? missing() : missingEngine();
  if (reason !== null) throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `wasm: ${reason}`);
  if (module !== undefined) return openBackend({ threads, required, relaxedSimd: relaxedSimd ?? false, spawn, module });
  const available = relaxedSimd === false ? false : hasFusedMultiplyAdd();
  if (relaxedSimd && !available) {
    throw new SoftgradError(
      'ERR_BACKEND_UNAVAILABLE',
      'wasm: this engine has no relaxed SIMD with a fused multiply-add; leave the option out to use relaxed SIMD only where the engine has it',
    );
  }
  return openBackend({ threads, required, relaxedSimd: available, spawn });
}
