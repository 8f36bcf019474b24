import { type BackendProvider, register } from '@softgrad/core';

/**
 * softgrad's own backends by name: an explicit map, since bundlers need literal imports and no package registers itself.
 * Engines are heavy, so each loads when it is asked for.
 */
export const backends: Readonly<Record<string, () => Promise<object>>> = {
  cpu: () => import('@softgrad/backend-cpu'),
  wasm: () => import('@softgrad/backend-wasm'),
  webgpu: () => import('@softgrad/backend-webgpu'),
  gpujs: () => import('@softgrad/backend-gpujs'),
  tfjs: () => import('@softgrad/backend-tfjs'),
};

/** Registers all of `backends` with core, so that `setBackend('wasm', 'cpu')` and `loadProvider` know them. */
export function registerBackends(): void {
  for (const [name, load] of Object.entries(backends)) register(name, () => loadModule(name, load));
}

async function loadModule(name: string, load: () => Promise<object>): Promise<{ readonly default: BackendProvider }> {
  const packageName = `@softgrad/backend-${name}`;
  let module: object;
  try {
    module = await load();
  } catch (cause) {
    const missing = cause instanceof Error && cause.message.includes(`'${packageName}'`);
    if (!missing) throw cause;
    throw new Error(`it is not installed: npm install ${packageName}`, { cause });
  }
  if (!hasProvider(module)) throw new Error(`${packageName} exports no provider as its default`);
  return module;
}

function hasProvider(module: object): module is { readonly default: BackendProvider } {
  return (
    'default' in module && typeof module.default === 'object' && module.default !== null && 'open' in module.default
  );
}
