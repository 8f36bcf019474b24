import type { DType } from '@softgrad/core';
import type { WebgpuBuffer } from '../storage.js';
import type { Parameters } from './program.js';

/**
 * An operation that reduces each row to a state, and from the state computes the row's elements, one value per row, or both.
 * Its WGSL functions process single elements; row-program.ts generates the loops and the layout around them.
 *
 * - `empty() -> State`, `visit(State, Row, c, Element) -> State`, `merge(State, State) -> State`: the reduction, in one pass.
 * - `finish(Row, State) -> Result`: called once per row.
 * - `emit(Result, Row, c, Element) -> u32`: the bits of an output element, whose inputs are loaded a second time.
 * - `row_value(Result, Row) -> u32`: the bits of the row's value.
 */
export interface RowOperation {
  /** The member of `Backend` or `Kernels`. */
  readonly name: string;
  /** Distinguishes variants of its code. */
  readonly variant: string;
  /** Inputs with the layout of the logits, which become fields of `Element`: floats as bits, masks as 0 or nonzero, 1 if absent. */
  readonly elements: readonly (Input | OptionalInput)[];
  /** Inputs with one value per class, which the operation's WGSL loads. */
  readonly perClass?: readonly (Input | OptionalInput)[];
  /** int32 inputs with one value per row, which become fields of `Row`: a workgroup loads each once. */
  readonly perRow?: readonly Input[];
  readonly parameters: Parameters;
  readonly values: Readonly<Record<string, number>>;
  /** The fields of `State`, scalars. */
  readonly state: Readonly<Record<string, 'f32' | 'u32'>>;
  readonly code: () => string;
  readonly out: WebgpuBuffer | null;
  readonly rowOut: WebgpuBuffer | null;
  /** Number of blocks of the mask, which repeats over `outer`. */
  readonly maskOuter?: number;
}

export interface Input {
  readonly name: string;
  readonly buffer: WebgpuBuffer;
}

/**
 * An input that may be absent: then another buffer is bound in its place, which the program does not read because the parameter `has_NAME` is 0.
 * A branch on a parameter costs a kernel next to nothing, whereas a program of its own for each combination of inputs takes long to compile.
 */
export interface OptionalInput extends Input {
  /** The dtype as which the program declares it, whatever is bound. */
  readonly dtype: DType;
  readonly present: boolean;
}

export function isOptional(input: Input | OptionalInput): input is OptionalInput {
  return 'present' in input;
}

/** The dtype of an input in a program. */
export function dtypeOf(input: Input | OptionalInput): DType {
  return isOptional(input) ? input.dtype : input.buffer.dtype;
}
