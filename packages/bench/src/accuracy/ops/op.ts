import type { SoftmaxOptions, Tensor } from '@softgrad/core';
import type { Case, OutputName } from '../case.js';
import type { Measured, NamesOf } from './names.js';

/** An operand: logits, the output of a function, a direction or a target. */
export type OperandName = 'logits' | OutputName | 'direction' | 'tangent' | 'rowCotangent' | 'target';

/** Options of a call; elementwise functions take none. */
export interface AccuracyCall extends Pick<SoftmaxOptions, 'temperature' | 'mask'> {
  readonly labelSmoothing?: number;
}

/** How an op is called and what its result should be. */
export interface AccuracyOp {
  /** The operands of `call`, in their order. */
  readonly operands: readonly OperandName[];
  /** Whether it computes entry by entry, so that there is no temperature and no mask. */
  readonly isElementwise?: boolean;
  /** Results of one row of so many classes. */
  results(classes: number): number;
  /** The result, or with it the output of a function that it was computed from and that the reference takes, too. */
  call(operands: readonly Tensor[], options: AccuracyCall): Tensor | OfOwnOutput;
  /** The results of one period of each row, from the double-double reference. */
  expected(input: Case): Float64Array;
  /**
   * The magnitude of the terms that are left once everything has been subtracted that can be subtracted exactly: rounding them is
   * unavoidable, and a result that is small compared with them cannot be more accurate. Missing if no term exceeds the result.
   */
  attainable?(input: Case): Float64Array;
  /**
   * What the rounding of the operand leaves open: the difference between formulas that agree where the probabilities of a row sum to 1. Errors
   * up to it are counted as 0. Missing if the result is fully determined.
   */
  undetermined?(input: Case): Float64Array;
  /** Whether a row that repeats its entries has results that repeat. Default true; false leaves rows of millions of classes out. */
  readonly isPeriodic?: boolean;
  /** Whether of rows with more than 1000 classes only those with logits in ±1 and ±20 are measured. */
  readonly hasFewLongRows?: boolean;
  /** Longer rows are left out. Default: none. */
  readonly mostClasses?: number;
}

/** All ops of a function. One that is missing is a compile error. */
export type OpsOf<K extends Measured> = { readonly [P in K as NamesOf<P>]: AccuracyOp };

/** A result with the output that it was computed from. */
export interface OfOwnOutput {
  readonly output: Tensor;
  readonly result: Tensor;
}

export const perEntry = { results: (classes: number) => classes };
export const perRow = { results: () => 1 };
export const matrices = { results: (classes: number) => classes ** 2 };
/** Of matrices, those of softmax are measured in long rows, too. */
export const small = { ...matrices, mostClasses: 128 };

export const elementwise = { ...perEntry, isElementwise: true } as const satisfies Partial<AccuracyOp>;

/** Of long rows, less is measured than of the functions and their vjp. */
export const short = { isPeriodic: false, hasFewLongRows: true } as const;

/** One of the operands of an op. */
export function given(operand: Tensor | undefined): Tensor {
  if (operand === undefined) throw new TypeError('an op is called with fewer operands than it names');
  return operand;
}

/** The diagonal of a Jacobian with the output that it was computed from. */
export function diagonalOf({ value, diagonal }: { readonly value: Tensor; diagonal(): Tensor }): OfOwnOutput {
  return { output: value, result: diagonal() };
}
