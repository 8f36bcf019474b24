import { SoftgradError } from '@softgrad/core';

/** The part of gpu.js that this package uses; gpu.js's own typings are incomplete. */
export interface GpuLibrary {
  readonly GPU: new (settings: {
    readonly mode?: string;
    readonly canvas?: unknown;
    readonly context?: unknown;
  }) => GpuInstance;
  /** Wraps a flat array with its dimensions, so that it is uploaded without conversion. */
  readonly input: (value: ArrayLike<number>, size: readonly number[]) => unknown;
}

export interface GpuInstance {
  /** The WebGL context that kernels share; null before the first kernel and in modes without WebGL. */
  readonly context: unknown;
  createKernel(source: string, settings: KernelSettings): GpuKernel;
  /** Destroys all kernels and the WebGL context. */
  destroy(): Promise<void>;
}

export interface KernelSettings {
  readonly argumentTypes: Readonly<Record<string, string>>;
  readonly functions: readonly HelperFunction[];
  readonly output: readonly number[];
  readonly [setting: string]: unknown;
}

/** The source of a function that kernels may call. */
export interface HelperFunction {
  readonly source: string;
  readonly settings: { readonly argumentTypes: Readonly<Record<string, string>>; readonly returnType: string };
}

/** A kernel: calling it returns a texture, a promise of a buffer or a Float32Array, depending on the mode. */
export interface GpuKernel {
  (...values: readonly unknown[]): unknown;
  readonly built: boolean;
  readonly context: unknown;
  /** gpu.js's internal kernel object. It keeps a reference to the last result, in a different property for each mode. */
  readonly kernel: {
    readonly constructor: { readonly mode?: string };
    readonly textureCache?: unknown[];
    texture?: { delete(): void } | null;
    outputBuffer?: { _refs: number; destroy(): void } | null;
    moduleCacheLimit?: number;
    threadDim?: readonly number[];
    readonly _active?: WasmModule | null;
    /** Makes `_active` the module with this key, which it assembles for the lengths of these arguments if it is new. */
    _instantiate?(key: string, values: readonly unknown[]): void;
  };
  setOutput(output: readonly number[]): unknown;
  build(...values: readonly unknown[]): unknown;
  destroy(removeCanvasReferences?: boolean): void;
}

/** A WebAssembly module that gpu.js assembled for a kernel, with its memory. */
export interface WasmModule {
  readonly layout: {
    readonly arrays: Readonly<Record<string, ArrayRegion>>;
    readonly scalars: Readonly<
      Record<string, { readonly index: number; readonly offset: number; readonly type: string }>
    >;
    readonly outputOffset: number;
  };
  /** Number of elements that its output region holds. */
  readonly cells: number;
  readonly f32: Float32Array;
  readonly i32: Int32Array;
  /** Computes elements `start` to `end` of the result. */
  run(start: number, end: number, seed: number): void;
  /** The same, four elements at a time. */
  readonly runSimd: WasmModule['run'] | null;
}

/** The region of the memory for an argument, and how many elements it holds. */
interface ArrayRegion {
  readonly index: number;
  readonly offset: number;
  readonly flatLength: number;
}

/**
 * Loads gpu.js, which is large, when it is first needed. Its browser build overwrites the global `GPU`, which belongs to WebGPU,
 * so this is restored.
 *
 * @throws ERR_BACKEND_UNAVAILABLE if gpu.js fails to load
 */
export async function loadGpu(): Promise<GpuLibrary> {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'GPU');
  try {
    const module: { readonly default?: unknown } = await import('gpu.js');
    return (module.default ?? module) as GpuLibrary;
  } catch (cause) {
    throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `gpu.js failed to load: ${messageOf(cause)}`, { cause });
  } finally {
    if (before) Object.defineProperty(globalThis, 'GPU', before);
    else Reflect.deleteProperty(globalThis, 'GPU');
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
