import type { WebgpuBuffer } from '../storage.js';
import type { Parameters } from './program.js';

/**
 * An operation that reduces each row to a state, and from the state computes the row's elements, one value per row, or both.
 * Its WGSL functions process single elements; row-program.ts generates the loops and the layout around them, and `NAME_at(Row, c) -> u32`, which
 * loads an input of `elements` at one class.
 *
 * - `empty() -> State`, `visit(State, Row, c, Element) -> State`, `merge(State, State) -> State`: the reduction, in one pass.
 * - `finish(Row, State) -> Result`: called once per row.
 * - with `again`, `empty_again() -> State_again`, `visit_again(State_again, Result, c, Element) -> State_again`, `merge_again(State_again, State_again) -> State_again` and
 *   `finish_again(Result, State_again) -> Result`: a second reduction, of what depends on the first one's result. The inputs are loaded once more for it.
 * - `emit(Result, Row, c, Element) -> u32`: the bits of an output element, whose inputs are loaded a second time.
 * - `row_value(Result, Row) -> u32`: the bits of the row's value.
 *
 * They choose by `select`, and return early only to save a load: compilers inline them, and code after an early return becomes a branch
 * that takes longer to compile than the arithmetic that it skips.
 */
export interface RowOperation {
  /** The member of `Backend` or `Kernels`. */
  readonly name: string;
  /** Distinguishes variants of its code. */
  readonly variant: string;
  /** Inputs with the layout of the logits, which become fields of `Element`: floats as bits, masks as 0 or nonzero. */
  readonly elements: readonly Input[];
  /** Inputs with one value per class, which the operation's WGSL loads. */
  readonly perClass?: readonly Input[];
  /** Inputs with one value per row, which become fields of `Row`, floats as bits and int32 as i32: a workgroup loads each once. */
  readonly perRow?: readonly Input[];
  readonly parameters: Parameters;
  readonly values: Readonly<Record<string, number>>;
  /** The fields of `State`, scalars. */
  readonly state: State;
  /** The fields of `State_again`, the state of the second reduction. */
  readonly again?: State;
  readonly code: () => string;
  readonly out: WebgpuBuffer | null;
  readonly rowOut: WebgpuBuffer | null;
  /** Number of blocks of the mask, which repeats over `outer`. */
  readonly maskOuter?: number;
}

/** The fields of a state: scalars. */
export type State = Readonly<Record<string, 'f32' | 'u32'>>;

export interface Input {
  readonly name: string;
  readonly buffer: WebgpuBuffer;
}
