import type { Op } from '@softgrad/core';
import { uniform } from './random.js';

/** What is timed of each function of core, by its name in reports. A function that is missing here is a compile error. */
const timed = {
  softmax: ['softmax', 'jacobian', 'vjp'],
  logSoftmax: ['logSoftmax'],
  crossEntropy: ['crossEntropy'],
  // Softmax with a factor of −1.
  softmin: [],
  // The same as logSoftmax without its last pass.
  logSumExp: [],
  sigmoid: ['sigmoid'],
  relu: ['relu'],
} as const satisfies Record<Op, readonly string[]>;

/** What can be timed: a function of core, or softmax's `jacobian` and `vjp`. */
export type BenchOp = (typeof timed)[Op][number];

/** All that can be timed. */
export const benchOps: readonly BenchOp[] = Object.values(timed).flat();

/** The dtypes of workloads. */
export type BenchDType = 'float32' | 'float64';

export const benchDTypes: readonly BenchDType[] = ['float32', 'float64'];

export type FloatArray = Float32Array | Float64Array;

/** Rows × classes, reduced over the last axis. */
export type BenchShape = readonly [rows: number, classes: number];

/** One thing to compute, the same for all contenders. */
export interface Workload {
  readonly op: BenchOp;
  readonly shape: BenchShape;
  readonly dtype: BenchDType;
}

/** The shapes for which softgrad's performance targets are stated. */
export const standardShapes: readonly BenchShape[] = [
  [1, 1000],
  [64, 10],
  [4096, 10],
  [65536, 3],
  [4096, 128],
  [1024, 1000],
  [256, 32000],
  [32, 128256],
];

/** Shapes whose Jacobians, with classes² entries per row, fit in memory. */
export const jacobianShapes: readonly BenchShape[] = [
  [65536, 3],
  [4096, 10],
  [1024, 128],
  [64, 1000],
];

/** Inputs of a workload on the host, from a seed: the same in every run. */
export interface WorkloadInput {
  /** Uniform in ±8: wide enough that no exp is trivial, like the logits of a trained network. */
  readonly logits: FloatArray;
  /** softmax of the logits, rounded to the dtype: the input of vjp and jacobian. */
  readonly probabilities: FloatArray;
  /** Uniform in ±1. */
  readonly cotangent: FloatArray;
  readonly target: Int32Array;
}

/**
 * The workload's name, stable over versions.
 *
 * @example
 * workloadName({ op: 'softmax', shape: [4096, 128], dtype: 'float32' }); // 'softmax 4096×128 float32'
 */
export function workloadName({ op, shape, dtype }: Workload): string {
  return `${op} ${shape.join('×')} ${dtype}`;
}

/**
 * The inputs of a workload, from a seed that follows from its shape: the same in every run.
 *
 * @returns rows × classes numbers of the workload's dtype, and a class index for each row (int32)
 * @example
 * const { logits, target } = workloadInput({ op: 'softmax', shape: [64, 10], dtype: 'float32' });
 * [logits.length, target.length]; // [640, 64]
 */
export function workloadInput({ shape: [rows, classes], dtype }: Workload): WorkloadInput {
  const random = uniform(0x5eed ^ (rows * 31 + classes));
  const values = (amplitude: number) => {
    const result = floatArray(dtype, rows * classes);
    for (let k = 0; k < result.length; k++) result[k] = (2 * random() - 1) * amplitude;
    return result;
  };
  const logits = values(8);
  return {
    logits,
    probabilities: probabilitiesOf(logits, classes),
    cotangent: values(1),
    target: Int32Array.from({ length: rows }, () => Math.floor(random() * classes)),
  };
}

function probabilitiesOf(logits: FloatArray, classes: number): FloatArray {
  const result = logits.slice();
  for (let start = 0; start < logits.length; start += classes) {
    let sum = 0;
    for (const logit of logits.subarray(start, start + classes)) sum += Math.exp(logit);
    for (let k = start; k < start + classes; k++) result[k] = Math.exp(logits[k] ?? Number.NaN) / sum;
  }
  return result;
}

export function floatArray(dtype: BenchDType, length: number): FloatArray {
  return dtype === 'float64' ? new Float64Array(length) : new Float32Array(length);
}

/** Number of elements that an op writes. */
export function outputSize({ op, shape: [rows, classes] }: Workload): number {
  return op === 'jacobian' ? rows * classes * classes : rows * classes;
}

export function outputBytes(workload: Workload): number {
  return outputSize(workload) * bytesPerElement(workload);
}

/** Bytes that an op has to read or write at least once. */
export function bytesMoved(workload: Workload): number {
  const [rows, classes] = workload.shape;
  const operands = workload.op === 'vjp' ? 2 : 1;
  return operands * rows * classes * bytesPerElement(workload) + outputBytes(workload);
}

/** Exponentials that an op has to compute. */
export function exponentials({ op, shape: [rows, classes] }: Workload): number {
  return op === 'jacobian' || op === 'vjp' || op === 'relu' ? 0 : rows * classes;
}

function bytesPerElement({ dtype }: Workload): number {
  return dtype === 'float64' ? 8 : 4;
}
