import type { HostArray } from '@softgrad/core';
import type { FloatArray, Workload, WorkloadInput } from './workloads.js';

/** Does `calls` calls and returns, or resolves, when the engine has done them. One function a mode: no closure per call. */
export type Batch = (calls: number) => void | Promise<void>;

/** Does `calls` calls and resolves to the milliseconds that they took by the device's own clock; null where it did not tell. */
export type DeviceBatch = (calls: number) => Promise<number | null>;

/** A workload made ready on one contender. */
export interface Job {
  /** Operands on the device, the output a buffer that exists. */
  readonly reused: Batch | null;
  /** Operands on the device, the output made by each call and given up again: how most people call. */
  readonly allocating: Batch | null;
  /** From host data to host data: write, compute, read. */
  readonly endToEnd: Batch;
  /** The calls of `reused`, for contenders that can be asked how long their device took. */
  readonly device?: DeviceBatch | undefined;
  /** What the op computes, read back: checked before anything is timed. */
  result(): Promise<HostArray>;
  dispose(): void | Promise<void>;
}

/** A contender's own exp over a vector, from a buffer that exists to another: what its softmax cannot be faster than. */
export interface ExpLoop {
  readonly batch: Batch;
  dispose(): void | Promise<void>;
}

/** Whatever computes a workload: a backend through the public API, or a peer as its users call it. */
export interface Contender {
  /** 'wasm', 'cpu (composed)', 'tfjs-wasm'. */
  readonly name: string;
  readonly kind: 'backend' | 'peer';
  /** Version and device in words. */
  readonly description: string;
  /** Error of its exp in ULP, for the bound that its results are checked against. */
  readonly expUlp: { readonly base: number; readonly slope: number };
  readonly subnormals: 'preserve' | 'flush';
  /** The job, or the reason why this contender has none for the workload. */
  prepare(workload: Workload, input: WorkloadInput): Promise<Job | string>;
  /** null where it has no exp of its own for the dtype of `x`. */
  exp(x: FloatArray): Promise<ExpLoop | null>;
  close(): Promise<void>;
}

/** Opens a contender, or says why it can't run here. */
export interface ContenderSource {
  readonly name: string;
  readonly kind: 'backend' | 'peer';
  open(): Promise<Contender | string>;
}
