import { type Backend, type BackendProvider, SoftgradError } from '@softgrad/core';
import { openBackend } from './backend.js';
import type { WasmBuffer } from './buffer.js';
import { hasRelaxedSimd, missing } from './module.js';

export type { WasmBuffer } from './buffer.js';

/** Options of `wasm.open`. */
export interface WasmOptions {
  /**
   * Threads that compute, the calling one included: 1 unless given. More need `SharedArrayBuffer`, in browsers a cross-origin
   * isolated page; without it there is one, and `supports.device` says why. Results are the same bits whatever their number.
   */
  readonly threads?: number;
  /** Use relaxed SIMD (fused multiply-add): where the engine has it, unless `false`. Results differ in the last bits from those without. */
  readonly relaxedSimd?: boolean;
}

/** Most threads: more than that never paid, and a job has chunks for no more. */
const mostThreads = 64;

/**
 * softgrad on WebAssembly SIMD.
 *
 * @throws ERR_VALUE for `threads` that is not an integer from 1 to 64
 * @throws ERR_BACKEND_UNAVAILABLE where the engine has no WebAssembly SIMD, or not the relaxed SIMD that was asked for
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

async function open({ threads = 1, relaxedSimd }: WasmOptions = {}): Promise<Backend<WasmBuffer>> {
  const reason = missing();
  if (reason !== null) throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `wasm: ${reason}`);
  if (!Number.isInteger(threads) || threads < 1 || threads > mostThreads) {
    throw new SoftgradError('ERR_VALUE', `wasm: threads ${threads}; expected an integer from 1 to ${mostThreads}`);
  }
  const available = relaxedSimd === false ? false : hasRelaxedSimd();
  if (relaxedSimd && !available) {
    throw new SoftgradError(
      'ERR_BACKEND_UNAVAILABLE',
      'wasm: this engine has no relaxed SIMD; leave the option out to use it where it is',
    );
  }
  return openBackend({ threads, relaxedSimd: available });
}
