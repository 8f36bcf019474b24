import type { Kernels, MaskInput, Rows, Tensor } from '../../src/index.js';
import { cotangents, rounded } from '../inputs.js';
import type { Problem } from '../problem.js';
import { rowIndices, type Values } from '../reference.js';
import type { Precision } from '../tolerance.js';

/** The options that operations share, as a case sets them. */
export interface CallOptions {
  readonly axis: number;
  readonly temperature?: number;
  readonly mask?: MaskInput;
  readonly out?: Tensor;
}

/** Host values of an operand and the dimensions they have. */
export interface Operand {
  readonly values: Float64Array;
  readonly shape: readonly number[];
  /** Class indices are integers; everything else has the dtype of the problem. */
  readonly dtype?: 'int32';
}

/** One function of core's public API, with what it should give and how exactly. Laws and value cases go over a list of these. */
export interface Operation {
  /** As a user writes it: `logSoftmax.vjp`. */
  readonly name: string;
  readonly family: string;
  readonly member: string;
  /** Options besides the axis that it has. */
  readonly takes: readonly ('axis' | 'temperature' | 'mask')[];
  /** What it needs of a backend without a basis: a fused kernel, nothing (undefined: the required kernels do), or there is no way (null). */
  needs(problem: Problem): keyof Kernels<unknown> | null | undefined;
  operands(problem: Problem): readonly Operand[];
  apply(tensors: readonly Tensor[], options: CallOptions, problem: Problem): Tensor;
  expected(operands: readonly Values[], problem: Problem): Float64Array;
  tolerance(
    precision: Precision,
    operands: readonly Values[],
    expected: Float64Array,
    problem: Problem,
  ): ArrayLike<number>;
}

/** A function and the options that it has. */
export type Family = Pick<Operation, 'family' | 'takes'> & {
  /** Its output, from which the derivatives are taken. */
  output(x: Float64Array, problem: Problem): Float64Array;
};

/** `softmax` for its values, `softmax.vjp` for a derivative. */
export function named<F extends Pick<Operation, 'family' | 'takes'>>(
  { family, takes }: F,
  member: string,
): Pick<Operation, 'name' | 'family' | 'member' | 'takes'> {
  const f = family.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  return { name: member === 'values' ? f : `${f}.${member}`, family, member, takes };
}

/** The logits themselves. */
export function logitsOf({ values, shape }: Problem): Operand {
  return { values, shape };
}

/** A cotangent or tangent in the shape of the logits. */
export function cotangentOf({ values, shape, dtype }: Problem): Operand {
  return { values: cotangents(values.length, dtype), shape };
}

/** A cotangent with one entry a row. */
export function rowCotangentOf({ rows, shape, axis, dtype }: Problem): Operand {
  return { values: cotangents(rows.outer * rows.inner, dtype), shape: shape.filter((_, k) => k !== axis) };
}

/** The output of the forward pass, rounded to the dtype. */
export function outputOf(family: Family, problem: Problem): Operand {
  const output = family.output(problem.values, problem);
  return { values: output.map((value) => rounded(value, problem.dtype)), shape: problem.shape };
}

/** `out` as an option of its own. */
export function outOption(out: Tensor | undefined): { readonly out?: Tensor } {
  return out ? { out } : {};
}

/** The operator's diagonal: that of the Jacobian, in the shape of the operand. */
export function diagonalOf(jacobian: Operation, apply: Operation['apply']): Operation {
  return {
    ...jacobian,
    name: jacobian.name.replace('.jacobian', '.linearize.diagonal'),
    member: 'diagonal',
    needs: () => null,
    apply,
    expected: (operands, problem) => diagonal(jacobian.expected(operands, problem), problem.rows),
    tolerance: (precision, operands, _, problem) => {
      const matrices = jacobian.expected(operands, problem);
      return diagonal(jacobian.tolerance(precision, operands, matrices, problem), problem.rows);
    },
  };
}

/** The operator's matrix: the Jacobian. */
export function denseOf(jacobian: Operation, apply: Operation['apply']): Operation {
  const name = jacobian.name.replace('.jacobian', '.linearize.toDense');
  return { ...jacobian, name, member: 'to-dense', apply };
}

function diagonal(matrices: ArrayLike<number>, rows: Rows): Float64Array {
  const out = new Float64Array(rows.outer * rows.classes * rows.inner);
  rowIndices(rows).forEach((at, row) => {
    at.forEach((i, c) => {
      out[i] = matrices[(row * rows.classes + c) * rows.classes + c];
    });
  });
  return out;
}
