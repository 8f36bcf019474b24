import { SoftgradError } from '@softgrad/core';

/** The engines of TensorFlow.js, each a package of its own. */
export type EngineName = 'webgpu' | 'webgl' | 'wasm' | 'cpu';

/** tfjs-core, the one copy that the engines and the user's own code share. */
export type Core = typeof import('@tensorflow/tfjs-core');

/** What is used of tfjs-backend-wasm. */
export interface WasmModule {
  setWasmPaths(paths: string | Record<string, string>): void;
  getThreadsCount(): number;
}

// Written out, one by one: bundlers follow only literal imports.
const loaders = {
  core: () => import('@tensorflow/tfjs-core'),
  webgpu: () => import('@tensorflow/tfjs-backend-webgpu'),
  webgl: () => import('@tensorflow/tfjs-backend-webgl'),
  wasm: () => import('@tensorflow/tfjs-backend-wasm'),
  cpu: () => import('@tensorflow/tfjs-backend-cpu'),
};

/** Loads tfjs-core and an engine's package, which registers the engine there. @throws ERR_BACKEND_UNAVAILABLE, with the line that installs them */
export async function loadEngine(name: EngineName): Promise<{ readonly core: Core; readonly module: unknown }> {
  try {
    return { core: await loaders.core(), module: await loaders[name]() };
  } catch (cause) {
    throw new SoftgradError(
      'ERR_BACKEND_UNAVAILABLE',
      `tfjs: engine ${name} needs packages that did not load: npm install @tensorflow/tfjs-core@4 @tensorflow/tfjs-backend-${name}@4`,
      { cause },
    );
  }
}
