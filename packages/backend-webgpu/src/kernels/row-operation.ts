import type { WebgpuBuffer } from '../storage.js';
import type { Parameters } from './program.js';

/**
 * An operation that reduces each row to a state and then writes, from the state, the row's elements, one value, or both.
 * Its WGSL says what to do with one element; where the elements are, and who looks at them, is said here.
 *
 * - `empty() -> State`, `visit(State, Row, c, Element) -> State`, `merge(State, State) -> State`: the reduction, in one pass.
 * - `finish(Row, State) -> Result`: once a row.
 * - `emit(Result, Row, c, Element) -> u32`: the bits of an output element, from a second load of its inputs.
 * - `row_value(Result, Row) -> u32`: the bits of the row's value.
 */
export interface RowOperation {
  /** The member of `Backend` or `Kernels`. */
  readonly name: string;
  /** What tells its variants apart. */
  readonly variant: string;
  /** Inputs laid out like the logits, fields of `Element` under their names: floats as bits, masks as 0 or not. */
  readonly elements: readonly Input[];
  /** Inputs of one value a class, which its WGSL loads by itself. */
  readonly perClass?: readonly Input[];
  /** int32 inputs of one value a row, fields of `Row` under their names: a workgroup loads each once. */
  readonly perRow?: readonly Input[];
  readonly parameters: Parameters;
  readonly values: Readonly<Record<string, number>>;
  /** The fields of `State`, scalars. */
  readonly state: Readonly<Record<string, 'f32' | 'u32'>>;
  readonly code: () => string;
  readonly out: WebgpuBuffer | null;
  readonly rowOut: WebgpuBuffer | null;
  /** Blocks of the mask, which repeats over `outer`. */
  readonly maskOuter?: number;
}

export interface Input {
  readonly name: string;
  readonly buffer: WebgpuBuffer;
}
