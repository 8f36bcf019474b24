import { type ProviderLoader, register } from '@softgrad/core';

/**
 * softgrad's own backends by name: an explicit map, because bundlers need literal imports and no package registers itself.
 * Engines are large, so each loads when it is asked for. Those that may not be installed are imported in a `try`: bundlers then
 * report a missing one when it is asked for, instead of refusing to build.
 */
export const backends: Readonly<Record<string, ProviderLoader>> = {
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

/** What to do about a package that is not installed; other failures as they are. */
function explained(cause: unknown, packageName: string): unknown {
  const text = cause instanceof Error ? cause.message : String(cause);
  // Node, browsers and bundlers all quote the name of what they do not find.
  if (!text.includes(`'${packageName}'`) && !text.includes(`"${packageName}"`)) return cause;
  return new Error(`it is not installed: npm install ${packageName}`, { cause });
}
