import type { Backend, Basis, DType, Kernels } from '@softgrad/core';
import type { Statistics } from './statistics.js';

/**
 * A type of WebGPU where the program has it (TypeScript's DOM library, or @webgpu/types), else `unknown`. Programs that have others, or none,
 * compile all the same: no global type is declared here.
 */
type Declared<Name extends string> = typeof globalThis extends { readonly [K in Name]: { readonly prototype: infer T } }
  ? T
  : unknown;

/** A buffer on the device that is used again and again; `byteLength` is its size class. */
export interface Slot {
  readonly id: number;
  readonly gpu: Declared<'GPUBuffer'>;
  readonly byteLength: number;
}

/** A buffer of the webgpu backend: `slot.gpu` is the GPUBuffer, which may be longer; null once freed. */
export interface WebgpuBuffer {
  readonly dtype: DType;
  readonly length: number;
  slot: Slot | null;
}

/** Where the device of a backend comes from. */
export interface DeviceOptions {
  /** A device of your own: used as it is, and not destroyed by `close`. */
  readonly device?: Declared<'GPUDevice'> | undefined;
  /** An adapter of your own, from which a device is requested. An adapter gives one device only. */
  readonly adapter?: Declared<'GPUAdapter'> | undefined;
  /** The entry point, where it is not `navigator.gpu` or, in Node, the package `webgpu`. */
  readonly gpu?: Declared<'GPU'> | undefined;
  /** Which adapter to prefer on machines with two. */
  readonly powerPreference?: 'low-power' | 'high-performance' | undefined;
}

/** Every kernel but the second derivatives, which core composes. */
export type WebgpuKernels = Required<Omit<Kernels<WebgpuBuffer>, `${string}Hvp`>>;

/** The webgpu backend, with what only it has. */
export interface WebgpuBackend extends Backend<WebgpuBuffer> {
  readonly basis: Basis<WebgpuBuffer>;
  readonly kernels: WebgpuKernels;
  close(): void;
  /** The device that it runs on, for sharing buffers with other WebGPU code. */
  readonly device: Declared<'GPUDevice'>;
  /**
   * A handle on a GPUBuffer of this device that was made elsewhere, for `fromBuffer` of core: no copy. Its usage must include
   * STORAGE, COPY_SRC and COPY_DST, its size be a multiple of 16. It stays yours to destroy. `bufferOf(backend, tensor).slot.gpu` is the
   * way back; `await sync()` before other code uses what has been enqueued.
   *
   * @throws ERR_VALUE for a length, a size or a usage that does not fit; ERR_DTYPE for a dtype that the device has not
   */
  adopt(gpu: Declared<'GPUBuffer'>, length: number, dtype: DType): WebgpuBuffer;
  /** What has been dispatched, moved and held since it was opened. */
  statistics(): Statistics;
  /**
   * Milliseconds that the device spends on the kernels that `enqueue` enqueues, by its own clock; null where it has none
   * (`timestamp-query`). Several kernels at a time give better numbers than one: clocks may tick in steps of 0.1 ms.
   */
  time(enqueue: () => void): Promise<number | null>;
}
