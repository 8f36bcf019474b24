import type { LayerFunction, LossReduction } from './input.js';
import type { Numbers } from './numbers.js';
import type { Problem } from './problem.js';

/** What the caller's array can be, judged by its shape. */
export type Kind =
  /** The shape of the logits, (n, f). */
  | 'gradient'
  /** (n, f, f). */
  | 'jacobian'
  /** (f, n): the reversed shape of the logits. */
  | 'transposed gradient'
  /** (f, f, n): the batch last. */
  | 'transposed jacobian'
  /** (f, n, n): Jacobians along the other axis. */
  | 'jacobian along the other axis'
  /** (f, f) for a batch of more than one row. */
  | 'one jacobian for the batch'
  /** (n·f, n·f). */
  | 'jacobian of the flattened batch'
  /** (f,) for a batch of more than one row. */
  | 'sum over the batch'
  /** (n,), or the shape of the batch. */
  | 'sum over the classes';

/** How many numbers an array of a kind has. */
export function sizeOfKind(kind: Kind, { n, f }: Pick<Problem, 'n' | 'f'>): number {
  return {
    gradient: n * f,
    jacobian: n * f * f,
    'transposed gradient': n * f,
    'transposed jacobian': n * f * f,
    'jacobian along the other axis': f * n * n,
    'one jacobian for the batch': f * f,
    'jacobian of the flattened batch': (n * f) ** 2,
    'sum over the batch': f,
    'sum over the classes': n,
  }[kind];
}

/** The numbers that a (correct or mistaken) computation gives. */
export interface Candidate {
  readonly formula: string;
  readonly values: Numbers;
  /** The magnitude of the terms that are summed for each value; rounding errors are relative to it. */
  readonly terms: Numbers;
  /** How far each value may be off because what it was computed from had been printed with few digits; absent where it had not. */
  readonly open?: Numbers | undefined;
  /** The reduction of the loss, if the candidate depends on it. */
  readonly reduction?: LossReduction | undefined;
  readonly unusual?: Unusual | undefined;
}

/** What the losses were divided by, where it is not what PyTorch's mean divides them by. */
export type Unusual = 'all rows' | 'all entries' | 'one axis';

/** One way of computing a derivative, correct or mistaken. */
export interface Form {
  readonly kind: Kind;
  /** NumPy expressions for it, for callers who pass an expression instead of numbers. */
  readonly expressions: readonly string[];
  /** For some expressions, the condition under which they compute this, as a sentence. */
  readonly caveats?: Readonly<Record<string, string>>;
  /** For some expressions, the reduction of the loss whose gradient they are. */
  readonly reductions?: Readonly<Record<string, LossReduction>>;
  /** True if a row of the result depends on other rows, so that the form cannot be tested on a sample of the rows. */
  readonly ofBatch?: boolean;
  /** For a form whose result is exactly 0: the largest magnitude that rounding leaves instead. */
  noise?(problem: Problem): number;
  /** The candidates for this problem; none if the form needs inputs that are unknown, or if it would be correct here. */
  gives(problem: Problem): readonly Candidate[];
}

/** What the suggested code computes. */
export type Goal = 'product' | 'loss' | 'jacobian' | 'softmax';

/** One text for each of these layers. */
export type Texts<F extends LayerFunction> = Readonly<Record<F, string>>;

interface Words<Text> {
  /** What the numbers are, in one sentence. */
  readonly what: Text;
  /** The formula that explains it. */
  readonly why: Text;
}

/** A mistake of a softmax. */
interface OfSoftmax extends Words<string> {
  readonly layers?: never;
  readonly neutral?: never;
}

/** A mistake of other layers alone. */
interface OfOthers extends Words<string> {
  readonly layers: readonly Exclude<LayerFunction, 'softmax'>[];
  readonly neutral?: never;
}

/** A mistake of a softmax and of others, with words that hold for all of them or one text for each. */
interface OfSeveral<F extends LayerFunction> extends Words<string | Texts<F>> {
  readonly layers: readonly F[];
  readonly neutral?: never;
}

/** A mistake whose words hold for every layer, though numbers are compared for a softmax only. */
interface Neutral extends Words<string | Texts<LayerFunction>> {
  readonly layers?: never;
  readonly neutral: true;
}

/** A known mistake, with its words for every layer to which it applies: where one is missing, it is an error of types. */
export type Mistake = {
  readonly id: string;
  readonly name: string;
  readonly forms: readonly Form[];
  /** What to compute instead, unless it is the correct gradient. */
  readonly goal?: Goal;
} & (
  | OfSoftmax
  | OfOthers
  | OfSeveral<'softmax' | 'log-softmax'>
  | OfSeveral<'softmax' | 'sigmoid'>
  | OfSeveral<LayerFunction>
  | Neutral
);
