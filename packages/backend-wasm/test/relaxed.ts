import { setFlagsFromString } from 'node:v8';
import { hasFusedMultiplyAdd } from '../src/module.js';

/** Node 20 needs a flag to compile relaxed SIMD. Modules that are already compiled keep working after the flag is cleared. */
export async function withRelaxedSimd<T>(run: () => Promise<T>): Promise<T> {
  if (hasFusedMultiplyAdd()) return run();
  setFlagsFromString('--experimental-wasm-relaxed-simd');
  try {
    return await run();
  } finally {
    setFlagsFromString('--no-experimental-wasm-relaxed-simd');
  }
}
