import type { FloatDType } from '@softgrad/core';

/** What is timed. */
export type BenchOp = 'softmax' | 'logSoftmax' | 'jacobian' | 'vjp' | 'crossEntropy';

export const benchOps: readonly BenchOp[] = ['softmax', 'logSoftmax', 'jacobian', 'vjp', 'crossEntropy'];

/** Rows × classes, reduced over the last axis. */
export type BenchShape = readonly [rows: number, classes: number];

/** One thing to compute, the same for all contenders. */
export interface Workload {
  readonly op: BenchOp;
  readonly shape: BenchShape;
  readonly dtype: FloatDType;
}

/** The shapes that softgrad's targets are stated for. */
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

/** Jacobians that fit: classes² entries a row. */
export const jacobianShapes: readonly BenchShape[] = [
  [65536, 3],
  [4096, 10],
  [1024, 128],
  [64, 1000],
];

/** Inputs of a workload on the host, seeded: the same in every run. */
export interface WorkloadInput {
  /** Uniform in ±8: wide enough that no exp is trivial, like the logits of a trained network. */
  readonly logits: Float32Array | Float64Array;
  /** softmax of the logits, rounded to the dtype: what vjp and jacobian start from. */
  readonly probabilities: Float32Array | Float64Array;
  /** Uniform in ±1. */
  readonly cotangent: Float32Array | Float64Array;
  readonly target: Int32Array;
}

/** The workload's name, stable over versions: `softmax 4096×128 float32`. */
export function workloadName({ op, shape, dtype }: Workload): string {
  return `${op} ${shape.join('×')} ${dtype}`;
}

export function workloadInput({ shape: [rows, classes], dtype }: Workload): WorkloadInput {
  const random = uniform(0x5eed ^ (rows * 31 + classes));
  const values = (amplitude: number) => {
    const result = dtype === 'float64' ? new Float64Array(rows * classes) : new Float32Array(rows * classes);
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

function probabilitiesOf(logits: Float32Array | Float64Array, classes: number): Float32Array | Float64Array {
  const result = logits.slice();
  for (let start = 0; start < logits.length; start += classes) {
    let sum = 0;
    for (let k = start; k < start + classes; k++) sum += Math.exp(logits[k]);
    for (let k = start; k < start + classes; k++) result[k] = Math.exp(logits[k]) / sum;
  }
  return result;
}

/** Number of elements that an op writes. */
export function outputSize({ op, shape: [rows, classes] }: Workload): number {
  return op === 'jacobian' ? rows * classes * classes : rows * classes;
}

/** Uniform numbers in [0, 1) from a seed: mulberry32 (Tommy Ettinger, public domain). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
