import { SoftgradError } from '@softgrad/core';

/** The engines of TensorFlow.js, each in a separate package. */
export type EngineName = 'webgpu' | 'webgl' | 'wasm' | 'cpu';

/** tfjs-core; the engines and the user's code share one copy. */
export type Core = typeof import('@tensorflow/tfjs-core');

/** The part of tfjs-backend-wasm that is used here. */
export interface WasmModule {
  setWasmPaths(paths: string | Record<string, string>): void;
  getThreadsCount(): number;
}

// Literal imports, because bundlers resolve no others.
const loaders = {
  core: () => import('@tensorflow/tfjs-core'),
  webgpu: () => import('@tensorflow/tfjs-backend-webgpu'),
  webgl: () => import('@tensorflow/tfjs-backend-webgl'),
  wasm: () => import('@tensorflow/tfjs-backend-wasm'),
  cpu: () => import('@tensorflow/tfjs-backend-cpu'),
};

/** Loads tfjs-core and an engine's package, which registers the engine. @throws ERR_BACKEND_UNAVAILABLE with the command that installs them */
export async function loadEngine(name: EngineName): Promise<{ readonly core: Core; readonly module: unknown }> {
  try {
    return { core: await loaders.core(), module: await loaders[name]() };
  } catch (cause) {
    throw new SoftgradError(
      'ERR_BACKEND_UNAVAILABLE',
      `tfjs: engine ${name} needs packages that failed to load: npm install @tensorflow/tfjs-core@4 @tensorflow/tfjs-backend-${name}@4`,
      { cause },
    );
  }
}
