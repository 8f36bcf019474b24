import type { Values } from '../../reference/functions.js';
import type { KernelName, MaskInput, Tensor } from '../../src/index.js';
import { cotangents } from '../inputs.js';
import type { Precision } from '../precision.js';
import type { Problem } from '../statement.js';

/** The options that several operations share, as a case sets them. */
export interface CallOptions {
  readonly axis: number;
  readonly temperature?: number;
  readonly mask?: MaskInput;
  readonly out?: Tensor;
}

/** Host values of an operand and its dimensions. */
export interface Operand {
  readonly values: Float64Array;
  readonly shape: readonly number[];
  /** Class indices are integers; everything else has the dtype of the problem. */
  readonly dtype?: 'int32';
}

/** The operands of a function of one operand. */
export type One<T> = readonly [T];

/** The operands of a function with a direction. */
export type Two<T> = readonly [T, T];

/** The operands of a second derivative: an operand, a cotangent and a tangent. */
export type Three<T> = readonly [T, T, T];

/** One function of core's public API, with its expected result and tolerance. Laws and value cases iterate over a list of these. */
export interface Operation {
  /** The public name: `logSoftmax.vjp`. */
  readonly name: string;
  readonly family: string;
  readonly member: string;
  /** The options that the operation takes. */
  readonly takes: readonly ('axis' | 'temperature' | 'mask')[];
  /** What a backend without a basis needs for it: a kernel; nothing (undefined) if a plain call of a required kernel is enough; or a basis (null). */
  needs(problem: Problem): KernelName | null | undefined;
  /** A backend may have another kernel for it with a mask than without one. */
  readonly isMaskedByKernel?: true;
  /** Another kernel that a backend without a basis needs for it, of a function that it calls first. */
  alsoNeeds?(problem: Problem): KernelName | null | undefined;
  operands(problem: Problem): readonly Operand[];
  /** Intermediate values, if they may be infinite or NaN although operands and result are finite. */
  passes?(problem: Problem): ArrayLike<number>;
  apply(tensors: readonly Tensor[], options: Partial<CallOptions>, problem: Problem): Tensor;
  /** The function that makes the first operand, if the result of that function remembers its options. */
  forward?(logits: Tensor, options: CallOptions): Tensor;
  expected(operands: readonly Values[], problem: Problem): Float64Array;
  tolerance(
    precision: Precision,
    operands: readonly Values[],
    expected: Float64Array,
    problem: Problem,
  ): ArrayLike<number>;
}

/** Whether a member is a second derivative, which takes two directions. */
export function isSecond(member: string): boolean {
  return member === 'hvp' || member === 'double-backward';
}

/** The logits themselves. */
export function logitsOf({ values, shape }: Problem): Operand {
  return { values, shape };
}

/** A cotangent or tangent in the shape of the logits. */
export function cotangentOf({ values, shape, dtype }: Problem): Operand {
  return { values: cotangents(values.length, dtype), shape };
}

/** A tangent that is used together with a cotangent. */
export function tangentOf({ values, shape, dtype }: Problem): Operand {
  return { values: cotangents(values.length, dtype, 2, 'tangent'), shape };
}

/** A cotangent with one entry a row. */
export function rowCotangentOf({ rows, shape, axis, dtype }: Problem): Operand {
  return { values: cotangents(rows.outer * rows.inner, dtype), shape: shape.filter((_, k) => k !== axis) };
}
