import { type BenchOp, partsOf } from './ops.js';

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

/**
 * The workload's name, stable over versions.
 *
 * @example
 * workloadName({ op: 'softmax', shape: [4096, 128], dtype: 'float32' }); // 'softmax 4096×128 float32'
 */
export function workloadName({ op, shape, dtype }: Workload): string {
  return `${op} ${shape.join('×')} ${dtype}`;
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

/** Bytes that an op has to read or write at least once; a mask and a target of probabilities are read, too. */
export function bytesMoved(workload: Workload): number {
  const [rows, classes] = workload.shape;
  const { op, mask, target } = partsOf(workload.op);
  const operands = op === 'vjp' || target === 'probabilities' ? 2 : 1;
  const bytesOfMask = mask === undefined ? 0 : mask === 'padding' ? classes : rows * classes;
  return operands * keptEntries(workload) * bytesPerElement(workload) + bytesOfMask + outputBytes(workload);
}

/** Exponentials that an op has to compute. */
export function exponentials(workload: Workload): number {
  const { op } = partsOf(workload.op);
  return op === 'jacobian' || op === 'vjp' || op === 'relu' ? 0 : keptEntries(workload);
}

/** The entries of an operand on which the results depend: those that are not masked, in rows that are not ignored. */
function keptEntries({ op, shape }: Workload): number {
  const [rows, classes] = shape;
  const { mask, target } = partsOf(op);
  let kept = 0;
  for (let r = 0; r < rows; r++) {
    if (target !== 'someIgnored' || !isIgnored(r)) kept += mask === undefined ? classes : keptClasses(mask, shape, r);
  }
  return kept;
}

/** How many classes a mask keeps in a row: the first ones. */
export function keptClasses(mask: 'padding' | 'causal', [rows, classes]: BenchShape, row: number): number {
  return mask === 'padding' ? Math.ceil(0.75 * classes) : classes - ((rows - 1 - row) % classes);
}

/** Whether 'someIgnored' ignores a row. */
export function isIgnored(row: number): boolean {
  return row % 4 === 3;
}

function bytesPerElement({ dtype }: Workload): number {
  return dtype === 'float64' ? 8 : 4;
}
