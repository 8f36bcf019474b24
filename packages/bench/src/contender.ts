import type { Backend, HostArray } from '@softgrad/core';
import type { WorkloadInput } from './workload-input.js';
import type { FloatArray, Workload } from './workloads.js';

/** Makes `calls` calls and returns, or resolves, when the engine has completed them. One function per mode: no closure per call. */
export type Batch = (calls: number) => void | Promise<void>;

/** Makes `calls` calls and resolves to the milliseconds that they took by the device's own clock, or null if it gave no time. */
export type DeviceBatch = (calls: number) => Promise<number | null>;

/** A workload prepared on one contender. */
export interface Job {
  /** Operands on the device, output written to an existing buffer. */
  readonly reused: Batch | null;
  /** Operands on the device, output allocated by each call and released again: the usual way to call. */
  readonly allocating: Batch | null;
  /** From host data to host data: write, compute, read. */
  readonly endToEnd: Batch;
  /** The calls of `reused`, for contenders that can report the device's time. */
  readonly device?: DeviceBatch | undefined;
  /** What the op computes, read back: checked before anything is timed. */
  result(): Promise<HostArray>;
  dispose(): void | Promise<void>;
}

/** A contender's own exp over a vector, between existing buffers: a lower bound for the time of its softmax. */
export interface ExpLoop {
  readonly batch: Batch;
  dispose(): void | Promise<void>;
}

/** Computes a workload: a backend through the public API, or a competing library (a peer) through its own. */
export interface Contender {
  /** 'wasm', 'cpu (composed)', 'tfjs-wasm'. */
  readonly name: string;
  readonly kind: 'backend' | 'peer';
  /** Version and device in words. */
  readonly description: string;
  /** Error of its exp in ULP, for the bound that its results are checked against. */
  readonly expUlp: { readonly base: number; readonly slope: number };
  readonly subnormals: 'preserve' | 'flush';
  /** The backend itself, for ops and options that no peer has. */
  readonly backend?: Backend | undefined;
  /** The job, or the reason why this contender cannot compute the workload. */
  prepare(workload: Workload, input: WorkloadInput): Promise<Job | string>;
  /** null if it has no exp for the dtype of `x`. */
  exp(x: FloatArray): Promise<ExpLoop | null>;
  close(): Promise<void>;
}

/** Opens a contender, or returns the reason why it cannot run here. */
export interface ContenderSource {
  readonly name: string;
  readonly kind: 'backend' | 'peer';
  open(): Promise<Contender | string>;
}
