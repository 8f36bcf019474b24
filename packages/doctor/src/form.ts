import { innerProducts } from './host-softmax.js';
import type { LossReduction, Problem } from './problem.js';

/** What an array of the caller's can be, by its shape. */
export type Kind =
  /** The shape of the logits, (n, f). */
  | 'gradient'
  /** (n, f, f). */
  | 'jacobian'
  /** (f, n): the shape of the logits backwards. */
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

/** Values by index: an array, or what computes them one by one where an array would be as large as a Jacobian. */
export type Numbers = Float64Array | ((k: number) => number);

/** Numbers that a computation would have given. */
export interface Candidate {
  readonly formula: string;
  readonly values: Numbers;
  /** The size of the terms that were added up to each value: rounding is relative to these. */
  readonly terms: Numbers;
  /** How the rows' losses were added up for it, where that matters. */
  readonly reduction?: LossReduction;
}

/** One way of computing something, right or mistaken. */
export interface Form {
  readonly kind: Kind;
  /** How people write it in NumPy, for those who say what they did instead of what came out. */
  readonly expressions: readonly string[];
  /** What must hold for an expression to come to this, where that is not sure, by expression: a sentence. */
  readonly caveats?: Readonly<Record<string, string>>;
  /** How an expression adds up the rows' losses, by expression. */
  readonly reductions?: Readonly<Record<string, LossReduction>>;
  /** What it gives is exactly 0; the largest that rounding makes of it. */
  noise?(problem: Problem): number;
  /** What it gives for this problem; nothing where it needs what is not known, or where it is no mistake. */
  gives(problem: Problem): readonly Candidate[];
}

/** What somebody with this problem wants to compute. */
export type Goal = 'product' | 'loss' | 'jacobian' | 'softmax';

/** A known mistake with everything there is to say about it. */
export interface Mistake {
  readonly id: string;
  readonly name: string;
  /** What the numbers are, in one sentence. */
  readonly what: string;
  /** The formula that explains it. */
  readonly why: string;
  readonly forms: readonly Form[];
  /** What to compute instead, where that is not simply the right gradient. */
  readonly goal?: Goal;
}

/** A gradient with respect to the probabilities: the one that was given, or the cross-entropy's. */
export interface Cotangent {
  readonly symbol: string;
  readonly values: Float64Array;
  /** ⟨s, g⟩ of each row. */
  readonly inner: Float64Array;
  /** s ⊙ (|g| + ⟨s, |g|⟩) / T: the terms that the vector-Jacobian product adds up. */
  readonly terms: Float64Array;
}

/** A candidate in which nothing much cancels: the terms are as large as the values. */
export function candidate(formula: string, values: Numbers): Candidate {
  const valueAt = typeof values === 'function' ? values : (k: number) => values[k];
  return { formula, values, terms: (k) => Math.abs(valueAt(k)) };
}

const known = new WeakMap<Problem, readonly Cotangent[]>();

/** The gradients with respect to the probabilities that the problem is known to have. */
export function cotangents(problem: Problem): readonly Cotangent[] {
  let found = known.get(problem);
  if (!found) {
    found = [
      ...(problem.g ? [cotangent(problem, 'g', problem.g)] : []),
      ...lossFactors(problem).flatMap(({ factor, over }) => {
        const g = lossCotangent(problem, factor);
        return g ? [cotangent(problem, `−y / s${over}`, g)] : [];
      }),
    ];
    known.set(problem, found);
  }
  return found;
}

export function cotangent(problem: Problem, symbol: string, values: Float64Array): Cotangent {
  const { s, n, f, temperature } = problem;
  const absolute = values.map(Math.abs);
  const absoluteInner = innerProducts(s, absolute, n, f);
  return {
    symbol,
    values,
    inner: innerProducts(s, values, n, f),
    terms: each(problem, (k, row) => (s[k] * (absolute[k] + absoluteInner[row])) / temperature),
  };
}

/** −y / s, the gradient of −Σ y log s in the probabilities; null where one of them is 0. */
function lossCotangent({ s, y }: Problem, factor: number): Float64Array | null {
  if (!y || y.some((value, k) => value > 0 && s[k] === 0)) return null;
  return y.map((value, k) => (value === 0 ? 0 : (-value / s[k]) * factor));
}

/** What the losses of the rows may be multiplied by: 1 for their sum, 1/n for their mean; both where nobody said which. */
export function lossFactors({ y, n, reduction }: Problem): readonly { factor: number; over: string }[] {
  if (!y) return [];
  const sum = { factor: 1, over: '' };
  const mean = { factor: 1 / n, over: ' / n' };
  if (reduction !== null) return [reduction === 'sum' ? sum : mean];
  return n === 1 ? [sum] : [sum, mean];
}

/** An (n, f) matrix computed entry by entry. */
export function each({ n, f }: Problem, entry: (k: number, row: number, i: number) => number): Float64Array {
  const values = new Float64Array(n * f);
  for (let row = 0, k = 0; row < n; row++) for (let i = 0; i < f; i++, k++) values[k] = entry(k, row, i);
  return values;
}

/** (n, f, f) matrices computed when they are looked at; the entry gets indices into the (n, f) matrices for i and j. */
export function entries({ f }: Problem, entry: (i: number, j: number, same: boolean) => number): (k: number) => number {
  return (k) => {
    const j = k % f;
    const rest = (k - j) / f;
    const i = rest % f;
    return entry(rest, rest - i + j, i === j);
  };
}

/** A form that multiplies each of the known cotangents by something. */
export function product(
  formula: string,
  expressions: readonly string[],
  compute: (problem: Problem, g: Cotangent) => Float64Array | null | undefined,
  terms: (problem: Problem, g: Cotangent) => Numbers = (_, g) => g.terms,
): Form {
  return {
    kind: 'gradient',
    expressions,
    gives: (problem) =>
      cotangents(problem).flatMap((g) => {
        const values = compute(problem, g);
        return values ? [{ formula: withSymbol(formula, g.symbol), values, terms: terms(problem, g) }] : [];
      }),
  };
}

function withSymbol(formula: string, symbol: string): string {
  return symbol === 'g' ? formula : `${formula} with g = ${symbol}`;
}

/** A form that needs no cotangent. */
export function gradient(
  formula: string,
  expressions: readonly string[],
  compute: (problem: Problem) => Float64Array | null | undefined,
  terms?: (problem: Problem) => Numbers,
): Form {
  return {
    kind: 'gradient',
    expressions,
    gives: (problem) => {
      const values = compute(problem);
      if (!values) return [];
      return [terms ? { formula, values, terms: terms(problem) } : candidate(formula, values)];
    },
  };
}

/** A form made of the cross-entropy's target, once for each way of adding up the rows' losses. */
export function loss(
  formula: string,
  expressions: readonly string[],
  compute: (problem: Problem, y: Float64Array) => Float64Array | null | undefined,
): Form {
  return {
    kind: 'gradient',
    expressions,
    gives: (problem) => {
      const { y } = problem;
      const unscaled = y && compute(problem, y);
      if (!unscaled) return [];
      const terms = each(problem, (k) => problem.s[k] + y[k]);
      return lossFactors(problem).map(({ factor, over }) => ({
        formula: over ? `(${formula})${over}` : formula,
        values: scaled(unscaled, factor),
        terms: scaled(terms, factor),
        // Of one row the sum is the mean.
        ...(problem.n === 1 && problem.reduction === null ? {} : { reduction: over ? 'mean' : 'sum' }),
      }));
    },
  };
}

/** A form of shape (n, f, f). */
export function jacobian(
  formula: string,
  expressions: readonly string[],
  compute: (problem: Problem) => ((k: number) => number) | null | undefined,
  kind: Kind = 'jacobian',
): Form {
  return {
    kind,
    expressions,
    gives: (problem) => {
      const values = compute(problem);
      return values ? [candidate(formula, values)] : [];
    },
  };
}

export function scaled(values: Float64Array, factor: number): Float64Array {
  return factor === 1 ? values : values.map((value) => value * factor);
}
