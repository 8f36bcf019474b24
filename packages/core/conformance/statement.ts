import type { ReferenceParameters } from '../reference/functions.js';
import type { FloatDType, Rows } from '../src/index.js';
import type { InputName } from './inputs.js';

/** What one case computes, as written in the case's id. */
export interface ProblemStatement {
  readonly shape: readonly number[];
  /** Not negative here; `call` passes a negative axis if asked to. */
  readonly axis: number;
  readonly input: InputName;
  readonly dtype?: FloatDType;
  readonly temperature?: number;
  readonly mask?: MaskName;
}

/**
 * full: an entry for each logit. row: one row for all rows. end: one row for all rows, which keeps nothing in its first half. columns: constant
 * along the axis, so that whole rows are kept or masked.
 */
export type MaskName = 'full' | 'row' | 'end' | 'columns';

/** A statement with its numbers. */
export interface Problem {
  readonly shape: readonly number[];
  readonly axis: number;
  readonly dtype: FloatDType;
  readonly rows: Rows;
  /** The logits. */
  readonly values: Float64Array;
  readonly parameters: ReferenceParameters;
  readonly mask: { readonly data: Uint8Array; readonly shape: readonly number[] } | null;
}
