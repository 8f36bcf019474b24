import { type ProviderLoader, register } from '@softgrad/core';
import { explained } from './explained.js';

/** The names of softgrad's own backends. */
export type BackendName = 'cpu' | 'wasm' | 'webgpu' | 'gpujs' | 'tfjs';

/**
 * softgrad's own backends by name: an explicit map, because bundlers need literal imports and no package registers itself.
 * Engines are large, so each is loaded on demand. Optional ones are imported inside `try`, because bundlers then build without
 * a missing package, and the import fails at run time.
 */
export const backends: Readonly<Record<BackendName, ProviderLoader>> = {
  cpu: () => import('@softgrad/backend-cpu'),
  wasm: () => import('@softgrad/backend-wasm'),
  async webgpu() {
    try {
      return await import('@softgrad/backend-webgpu');
    } catch (cause) {
      throw explained(cause, '@softgrad/backend-webgpu');
    }
  },
  async gpujs() {
    try {
      return await import('@softgrad/backend-gpujs');
    } catch (cause) {
      throw explained(cause, '@softgrad/backend-gpujs');
    }
  },
  async tfjs() {
    try {
      return await import('@softgrad/backend-tfjs');
    } catch (cause) {
      throw explained(cause, '@softgrad/backend-tfjs');
    }
  },
};

/** Registers all of `backends` with core, so that `setBackend('wasm', 'cpu')` and `loadProvider` know them. */
export function registerBackends(): void {
  for (const [name, load] of Object.entries(backends)) register(name, load);
}
