import { type ErrorCode, type HostArray, SoftgradError, type Supports } from '@softgrad/core';
import { type GpuInstance, type GpuKernel, messageOf } from './gpu.js';
import type { Arithmetic, Helpers, Quotient } from './program.js';

/** The modes in which gpu.js runs kernels, those of a GPU and those of the host, the best first: mode cpu is more exact than webasm. */
export const gpuModes = ['webgpu', 'webgl2', 'webgl', 'headlessgl'] as const;
export const hostModes = ['cpu', 'webasm'] as const;
export const modes = [...gpuModes, ...hostModes] as const;

export type Mode = (typeof modes)[number];
export type HostMode = (typeof hostModes)[number];

/**
 * How softmax and its vjp are divided into kernels:
 * - `fewest`: three kernels, for a GPU, where a launch costs more than computing exponentials twice;
 * - `row-maxima`: another kernel reads the logit or cotangent of each row's pivot, which elements would otherwise look up by its index;
 * - `stored`: the same, and exponentials are stored instead of computed twice, for an engine where exp is a function call.
 */
export type SoftmaxPlan = 'fewest' | 'row-maxima' | 'stored';

/** Data in the engine's representation: a texture, a storage buffer or an array. */
export interface Resident {
  /** A copy, in float32. */
  toArray(): Float32Array | Promise<Float32Array>;
  delete(): void;
}

/** One opened mode of gpu.js, with everything that differs between modes. */
export interface Engine {
  readonly mode: Mode;
  readonly gpu: GpuInstance;
  /** A description of the device. */
  readonly device: string;
  readonly limits: Supports['limits'];
  /** The reason for `limits.elements`, as the end of an error message. */
  readonly limitedBy: string;
  /** gpu.js's name for the type of an array that a kernel takes. */
  readonly argumentType: string;
  readonly arithmetic: Arithmetic;
  readonly helpers: Helpers;
  /** A single division, and the maximum length of operands whose indices it divides exactly. */
  readonly shortQuotient: Quotient;
  readonly exactDivision: number;
  readonly softmaxPlan: SoftmaxPlan;
  /** Additional settings for kernels of this mode. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Maximum number of compiled kernels in this mode, regardless of the options. */
  readonly mostKernels: number;
  /** Whether kernels return promises, so that work has to be queued. */
  readonly asynchronous: boolean;
  /** Present if results are plain arrays: wraps host data, which then needs no upload. */
  readonly host?: (values: HostArray) => Resident;
  /** The kernel argument for a resident array. */
  argument(resident: Resident, length: number): unknown;
  /** Runs a kernel. @throws ERR_DEVICE_LOST, ERR_OUT_OF_MEMORY */
  run(kernel: GpuKernel, values: readonly unknown[], length: number): Resident | Promise<Resident>;
  /** Whether the device is known to be lost. */
  isLost(): boolean;
  /** @throws ERR_DEVICE_LOST, and ERR_OUT_OF_MEMORY from the first allocation that failed */
  check(): void;
  /** Resolves when the device has completed all submitted work. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** An error whose message starts with the mode. */
export function failure(mode: Mode, code: ErrorCode, message: string, cause?: unknown): SoftgradError {
  return new SoftgradError(code, `gpujs (${mode}): ${message}`, { cause });
}

export function deviceLost(mode: Mode, cause?: unknown): SoftgradError {
  const advice = 'its data is lost; await setBackend(…), openShared(…) or gpujs.open(…) again';
  return failure(mode, 'ERR_DEVICE_LOST', `the device was lost: ${advice}`, cause);
}

export function outOfMemory(mode: Mode, length: number, limit: string, cause?: unknown): SoftgradError {
  const requested = `cannot allocate ${length} elements (${length * 4} bytes)`;
  return failure(mode, 'ERR_OUT_OF_MEMORY', `${requested}; ${limit}`, cause);
}

/** Converts an error that gpu.js threw when running a kernel. */
export function kernelFailed(mode: Mode, cause: unknown): SoftgradError {
  if (cause instanceof SoftgradError) return cause;
  return failure(mode, 'ERR_UNSUPPORTED', `gpu.js could not run a kernel: ${messageOf(cause)}`, cause);
}
