import type { Candidate, Goal, Mistake } from './form.js';
import type { Problem } from './problem.js';

/** Options that were fitted to the numbers. */
export interface FoundOptions {
  readonly temperature?: number;
  readonly labelSmoothing?: number;
  /** One weight for each class; null if some classes have no rows, or there are too many classes to print. */
  readonly weight?: readonly number[] | null;
  readonly mask?: FoundMask;
  /** What the code with these options computes, if that is not what other numbers of this problem call for. */
  readonly goal?: Goal;
}

/** A mask as an array that broadcasts to the logits; null if that is too long for a line of code. */
export type FoundMask = readonly MaskEntry[] | null;
export type MaskEntry = boolean | readonly MaskEntry[];

/** A gradient of a loss with options that the caller did not pass. */
export interface Inferred extends Candidate {
  /** The options that were found, where code with them computes the numbers. */
  readonly options?: FoundOptions | undefined;
  /** The mistake that gives the same numbers, if there is one. */
  readonly mistake?: Mistake;
  /** Its formula, if that is another one. */
  readonly mistakeFormula?: string;
  /** True if the options that were passed rule out the loss, so that only the mistake is left. */
  readonly ruledOut?: boolean;
  /** The same for numbers in full precision only: rounding may hide that the rows of a class have the same factor. */
  readonly ruledOutInFullPrecision?: boolean;
  /** True if the loss is a likelier explanation than the mistake. */
  readonly lossIsLikelier?: boolean;
  /** True if it must fit in every row, because its parameters belong to groups of rows. */
  readonly inEveryRow?: boolean;
  /** True if it is evidence only for numbers in full precision: there are few more numbers than parameters. */
  readonly inFullPrecision?: boolean;
}

/** The least number of degrees of freedom that must remain after fitting. */
export const enough = 4;

/** True if so few numbers differ freely that they may be a multiple of the right gradient by chance: those of a row add up to 0, except after a sigmoid. */
export function hasFewNumbers({ n, f, layer }: Problem): boolean {
  return n * (layer === 'sigmoid' ? f : f - 1) < enough;
}

/** Weights and entries of a mask are written in the code up to this many. */
export const mostInCode = 10;
