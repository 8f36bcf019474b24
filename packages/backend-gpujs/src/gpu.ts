import { SoftgradError } from '@softgrad/core';

/** The part of gpu.js that this package uses, which its own typings leave out in places. */
export interface GpuLibrary {
  readonly GPU: new (settings: {
    readonly mode?: string;
    readonly canvas?: unknown;
    readonly context?: unknown;
  }) => GpuInstance;
  /** Wraps a flat array with its dimensions, so that it is uploaded as it is. */
  readonly input: (value: ArrayLike<number>, size: readonly number[]) => unknown;
}

export interface GpuInstance {
  /** What kernels share: a WebGL context, or null before the first kernel and where there is none. */
  readonly context: unknown;
  createKernel(source: string, settings: KernelSettings): GpuKernel;
  /** Destroys every kernel, and a WebGL context with them. */
  destroy(): Promise<void>;
}

export interface KernelSettings {
  readonly argumentTypes: Readonly<Record<string, string>>;
  readonly functions: readonly HelperFunction[];
  readonly output: readonly number[];
  readonly [setting: string]: unknown;
}

/** A function that kernels may call, by its source. */
export interface HelperFunction {
  readonly source: string;
  readonly settings: { readonly argumentTypes: Readonly<Record<string, string>>; readonly returnType: string };
}

/** A kernel: called with its arguments it gives a texture, a promise of a buffer or a Float32Array, by mode. */
export interface GpuKernel {
  (...values: readonly unknown[]): unknown;
  readonly built: boolean;
  readonly context: unknown;
  /** gpu.js's own object behind the callable, which keeps a reference to the last result, one to a mode. */
  readonly kernel: {
    readonly constructor: { readonly mode?: string };
    readonly textureCache?: unknown[];
    texture?: { delete(): void } | null;
    outputBuffer?: { _refs: number; destroy(): void } | null;
    moduleCacheLimit?: number;
  };
  setOutput(output: readonly number[]): unknown;
  build(...values: readonly unknown[]): unknown;
  destroy(removeCanvasReferences?: boolean): void;
}

/**
 * Loads gpu.js, which is large, when it is first needed. Its browser build claims the global name `GPU`, which is WebGPU's:
 * what was there is put back.
 *
 * @throws ERR_BACKEND_UNAVAILABLE where gpu.js does not load
 */
export async function loadGpu(): Promise<GpuLibrary> {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'GPU');
  try {
    const module: { readonly default?: unknown } = await import('gpu.js');
    return (module.default ?? module) as GpuLibrary;
  } catch (cause) {
    throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `gpu.js did not load: ${messageOf(cause)}`, { cause });
  } finally {
    if (before) Object.defineProperty(globalThis, 'GPU', before);
    else Reflect.deleteProperty(globalThis, 'GPU');
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
