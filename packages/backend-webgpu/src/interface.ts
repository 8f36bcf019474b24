import type { Backend, Basis, DType, Kernels } from '@softgrad/core';
import type { Statistics } from './statistics.js';

/**
 * A WebGPU type if the program declares it (TypeScript's DOM library, or @webgpu/types), otherwise `unknown`. It declares no global type,
 * so that programs with other declarations, or none, compile.
 */
type Declared<Name extends string> = typeof globalThis extends { readonly [K in Name]: { readonly prototype: infer T } }
  ? T
  : unknown;

/** A reusable GPU buffer; `byteLength` is its size class. */
export interface Slot {
  readonly id: number;
  readonly gpu: Declared<'GPUBuffer'>;
  readonly byteLength: number;
}

/** A buffer of the webgpu backend: `slot.gpu` is the GPUBuffer, which may be longer; `slot` is null once freed. */
export interface WebgpuBuffer {
  readonly dtype: DType;
  readonly length: number;
  slot: Slot | null;
}

/** How to obtain the device of a backend. */
export interface DeviceOptions {
  /** An existing device. `close` does not destroy it. */
  readonly device?: Declared<'GPUDevice'> | undefined;
  /** An existing adapter, from which a device is requested. An adapter provides only one device. */
  readonly adapter?: Declared<'GPUAdapter'> | undefined;
  /** The entry point. Default: `navigator.gpu` or, in Node, the package `webgpu`. */
  readonly gpu?: Declared<'GPU'> | undefined;
  /** Which adapter to prefer on machines with two. */
  readonly powerPreference?: 'low-power' | 'high-performance' | undefined;
}

/** All kernels except the second derivative of sigmoid, which core composes. */
export type WebgpuKernels = Required<Omit<Kernels<WebgpuBuffer>, 'maskedVjp' | 'sigmoidHvp'>>;

/** The webgpu backend, with members beyond the Backend interface. */
export interface WebgpuBackend extends Backend<WebgpuBuffer> {
  readonly basis: Basis<WebgpuBuffer>;
  readonly kernels: WebgpuKernels;
  readonly lost: boolean;
  close(): void;
  /** The device that it runs on, for sharing buffers with other WebGPU code. */
  readonly device: Declared<'GPUDevice'>;
  /**
   * Wraps an existing GPUBuffer of this device, for core's `fromBuffer`, without a copy. Its usage must include
   * STORAGE, COPY_SRC and COPY_DST, and its size must be a multiple of 16. The caller remains its owner and destroys it.
   * `bufferOf(backend, tensor).slot.gpu` is the GPUBuffer of a tensor; `await sync()` before other code uses results that have been enqueued.
   *
   * @throws ERR_VALUE for an invalid length, size or usage; ERR_DTYPE for a dtype that the device does not support
   */
  adopt(gpu: Declared<'GPUBuffer'>, length: number, dtype: DType): WebgpuBuffer;
  /** Counts of dispatches, transfers and buffers since the backend was opened. */
  statistics(): Statistics;
  /**
   * Milliseconds that the device spends on the kernels that `enqueue` enqueues, by its own clock; null if it has none
   * (`timestamp-query`). Timing several kernels at once is more accurate, because clocks may have a resolution of 0.1 ms.
   */
  time(enqueue: () => void): Promise<number | null>;
}
