import { type ErrorCode, type HostArray, SoftgradError, type Supports } from '@softgrad/core';
import { type GpuInstance, type GpuKernel, messageOf } from './gpu.js';

/** The ways in which gpu.js runs kernels, the best first. */
export const modes = ['webgpu', 'webgl2', 'webgl', 'headlessgl', 'webasm', 'cpu'] as const;

export type Mode = (typeof modes)[number];

/** Elements where the engine keeps them: a texture, a storage buffer, an array. */
export interface Resident {
  /** A copy, in float32. */
  toArray(): Float32Array | Promise<Float32Array>;
  delete(): void;
}

/** One mode of gpu.js, opened: what is different between modes is in here. */
export interface Engine {
  readonly mode: Mode;
  readonly gpu: GpuInstance;
  /** What computes, in words. */
  readonly device: string;
  readonly limits: Supports['limits'];
  /** Why `limits.elements` is what it is: the end of an error message. */
  readonly limitedBy: string;
  /** gpu.js's name for the type of an array that a kernel takes. */
  readonly argumentType: string;
  /** Settings that kernels of this mode have besides those of all. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Most kernels that can be compiled at a time, whatever the options say. */
  readonly mostKernels: number;
  /** Kernels give promises, so that work has to be queued. */
  readonly asynchronous: boolean;
  /** Where results are plain arrays: host data that needs no upload. */
  readonly host?: (values: HostArray) => Resident;
  /** What to hand a kernel for a resident array. */
  argument(resident: Resident, length: number): unknown;
  /** Runs a kernel. @throws ERR_DEVICE_LOST, ERR_OUT_OF_MEMORY */
  run(kernel: GpuKernel, values: readonly unknown[], length: number): Resident | Promise<Resident>;
  /** @throws ERR_DEVICE_LOST, and ERR_OUT_OF_MEMORY once if an allocation failed */
  check(): void;
  /** Resolves when the device has done all work that it was given. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** An error with the name of the mode in front. */
export function failure(mode: Mode, code: ErrorCode, message: string, cause?: unknown): SoftgradError {
  return new SoftgradError(code, `gpujs (${mode}): ${message}`, { cause });
}

export function deviceLost(mode: Mode, cause?: unknown): SoftgradError {
  const advice = 'data that was computed there is gone; open the backend anew';
  return failure(mode, 'ERR_DEVICE_LOST', `the device was lost: ${advice}`, cause);
}

export function outOfMemory(mode: Mode, length: number, limit: string, cause?: unknown): SoftgradError {
  const asked = `${length} elements (${length * 4} bytes) were asked for`;
  return failure(mode, 'ERR_OUT_OF_MEMORY', `${asked}; ${limit}`, cause);
}

/** What gpu.js threw at a kernel, as an error of softgrad. */
export function kernelFailed(mode: Mode, cause: unknown): SoftgradError {
  if (cause instanceof SoftgradError) return cause;
  return failure(mode, 'ERR_UNSUPPORTED', `gpu.js could not run a kernel: ${messageOf(cause)}`, cause);
}
