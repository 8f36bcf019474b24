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

/**
 * Loads tfjs-core and an engine's package, which registers the engine. The imports are literal, because bundlers resolve no others, and directly
 * inside `try`, because bundlers then build without a package that is not installed, and the import fails at run time.
 *
 * @throws ERR_BACKEND_UNAVAILABLE with the command that installs them
 */
export async function loadEngine(name: EngineName): Promise<{ readonly core: Core; readonly module: unknown }> {
  try {
    const core = await import('@tensorflow/tfjs-core');
    switch (name) {
      case 'webgpu':
        return { core, module: await import('@tensorflow/tfjs-backend-webgpu') };
      case 'webgl':
        return { core, module: await import('@tensorflow/tfjs-backend-webgl') };
      case 'wasm':
        return { core, module: await import('@tensorflow/tfjs-backend-wasm') };
      case 'cpu':
        return { core, module: await import('@tensorflow/tfjs-backend-cpu') };
    }
  } catch (cause) {
    throw new SoftgradError(
      'ERR_BACKEND_UNAVAILABLE',
      `tfjs: engine ${name} needs packages that failed to load: npm install @tensorflow/tfjs-core@4 @tensorflow/tfjs-backend-${name}@4`,
      { cause },
    );
  }
}

/** tfjs-core if it is installed. */
export async function loadCore(): Promise<Core | null> {
  try {
    return await import('@tensorflow/tfjs-core');
  } catch {
    return null;
  }
}
