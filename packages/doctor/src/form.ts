import { at } from './at.js';
import { innerProducts } from './host-softmax.js';
import type { Layer, LossReduction } from './input.js';
import { batchSize, type Problem } from './problem.js';

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

/** Values by index: an array, or a function of the index, which avoids allocating an array as large as a Jacobian. */
export type Numbers = Float64Array | ((k: number) => number);

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

/** A known mistake with its description. */
export interface Mistake {
  readonly id: string;
  readonly name: string;
  /** What the numbers are, in one sentence. */
  readonly what: string;
  /** The formula that explains it. */
  readonly why: string;
  readonly forms: readonly Form[];
  /** The layers to which it applies; by default those with a softmax. */
  readonly layers?: readonly (Layer | null)[];
  /** What to compute instead, unless it is the correct gradient. */
  readonly goal?: Goal;
}

/** A gradient with respect to the probabilities: the given upstream gradient, or that of the cross-entropy. */
export interface Cotangent {
  readonly symbol: string;
  readonly values: Float64Array;
  /** ⟨s, g⟩ of each row. */
  readonly inner: Float64Array;
  /** s ⊙ (|g| + ⟨s, |g|⟩) / T: the terms that the vector-Jacobian product adds up. */
  readonly terms: Numbers;
}

/** The value at an index; faster than a function of `byIndex` where it is read in a loop. */
export function numberAt(values: Numbers, k: number): number {
  return typeof values === 'function' ? values(k) : at(values, k);
}

/** A function that returns the value at an index. */
export function byIndex(values: Numbers): (k: number) => number {
  return typeof values === 'function' ? values : (k) => at(values, k);
}

/** Values that are computed when the first of them is asked for: of many candidates, few are compared whole. */
export function onFirstUse(compute: () => Numbers): (k: number) => number {
  let values: Numbers | undefined;
  return (k) => {
    values ??= compute();
    return numberAt(values, k);
  };
}

/** A candidate without cancellation: its terms are as large as its values. */
export function candidate(formula: string, values: Numbers): Candidate {
  return { formula, values, terms: (k) => Math.abs(numberAt(values, k)) };
}

const known = new WeakMap<Problem, readonly Cotangent[]>();

/** The known gradients with respect to the probabilities. */
export function cotangents(problem: Problem): readonly Cotangent[] {
  let found = known.get(problem);
  if (!found) {
    found = [
      ...(problem.g ? [cotangent(problem, 'g', problem.g)] : []),
      ...lossFactors(problem).flatMap(({ factor, over }) => {
        const g = lossCotangent(problem);
        return g ? [cotangent(problem, g.symbol + over, scaled(g.values, factor))] : [];
      }),
    ];
    known.set(problem, found);
  }
  return found;
}

export function cotangent(problem: Problem, symbol: string, values: Float64Array): Cotangent {
  const { s, n, f, temperature } = problem;
  let inner: Float64Array | undefined;
  let absoluteInner: Float64Array | undefined;
  return {
    symbol,
    values,
    get inner() {
      inner ??= innerProducts(s, values, n, f);
      return inner;
    },
    terms: (k) => {
      absoluteInner ??= innerProducts(s, values.map(Math.abs), n, f);
      return (at(s, k) * (Math.abs(at(values, k)) + at(absoluteInner, Math.floor(k / f)))) / temperature;
    },
  };
}

/** The gradient of the cross-entropy in the output of the layer, −y / s of a softmax; null where it is infinite. */
function lossCotangent({ s, y, layer }: Problem): Pick<Cotangent, 'symbol' | 'values'> | null {
  if (!y) return null;
  if (layer === 'log-softmax') return { symbol: '−y', values: y.map((value) => -value) };
  if (layer === 'sigmoid') {
    const values = s.map((value, k) => (value - at(y, k)) / (value * (1 - value)));
    return values.every(Number.isFinite) ? { symbol: '(σ − y) / (σ (1 − σ))', values } : null;
  }
  if (y.some((value, k) => value > 0 && s[k] === 0)) return null;
  return { symbol: '−y / s', values: y.map((value, k) => (value === 0 ? 0 : -value / at(s, k))) };
}

/** A factor of the summed losses, and how it is written in a formula. */
export interface LossFactor {
  readonly factor: number;
  readonly over: string;
  readonly reduction: LossReduction;
  readonly unusual?: Unusual | undefined;
}

/** 1 for the sum of the losses and 1/n for their mean; both if the reduction is unknown. */
export function lossFactors(problem: Problem): readonly LossFactor[] {
  const { y, f, reduction, target, layer } = problem;
  if (!y) return [];
  const n = batchSize(problem);
  const sum: LossFactor = { factor: 1, over: '', reduction: 'sum' };
  const divisor = target?.divisor ?? n;
  const byRows: LossFactor = { factor: 1 / n, over: ' / n', reduction: 'mean' };
  const mean: LossFactor =
    layer === 'sigmoid'
      ? { factor: 1 / (n * f), over: ' / (n f)', reduction: 'mean' }
      : divisor === n
        ? byRows
        : {
            factor: 1 / divisor,
            over: ` / ${Number(divisor.toPrecision(6))}, ${whatCounts(target)}`,
            reduction: 'mean',
          };
  // The mean over no rows at all is 0 / 0.
  const means = divisor === 0 ? [] : [mean];
  if (reduction !== null) return reduction === 'sum' ? [sum] : means;
  const all: readonly LossFactor[] = [sum, ...means, { ...byRows, unusual: 'all rows' }];
  return all.filter(({ factor }, k) => all.findIndex((other) => other.factor === factor) === k);
}

/** Of one row the sum is the mean, which nobody needs to say; a sigmoid's mean is over its entries. */
export function sumIsMean(problem: Problem): boolean {
  return batchSize(problem) === 1 && problem.reduction === null && problem.layer !== 'sigmoid';
}

/** What the mean of a cross-entropy of class indices divides by. */
export function whatCounts(target: Problem['target']): string {
  return target?.weight ? 'the weights of the targets' : 'the rows that count';
}

/** True if the formula has a sum or difference, or the words of an option, outside of all brackets. */
function isCompound(formula: string): boolean {
  let depth = 0;
  let inNorm = false;
  for (const [k, symbol] of [...formula].entries()) {
    if ('([⟨'.includes(symbol)) depth++;
    else if (')]⟩'.includes(symbol)) depth--;
    else if (symbol === '‖') inNorm = !inNorm;
    else if (inNorm) continue;
    else if (depth === 0 && (symbol === ',' || (k > 0 && (symbol === '−' || symbol === '+')))) return true;
  }
  return false;
}

/** The formula as a factor: in brackets if a factor before or after it would otherwise be that of one term only. */
export function asFactor(formula: string): string {
  return isCompound(formula) ? `(${formula})` : formula;
}

/** The formula with a division after it; `over` is empty or starts with the sign of the division. */
export function dividedBy(formula: string, over: string): string {
  return over === '' ? formula : asFactor(formula) + over;
}

/** How a division by the temperature is written. */
export function overTemperature({ temperature }: Pick<Problem, 'temperature'>): string {
  return temperature === 1 ? '' : ' / T';
}

/** An (n, f) matrix computed entry by entry. */
export function each(
  { n, f }: Pick<Problem, 'n' | 'f'>,
  entry: (k: number, row: number, i: number) => number,
): Float64Array {
  const values = new Float64Array(n * f);
  for (let row = 0, k = 0; row < n; row++) for (let i = 0; i < f; i++, k++) values[k] = entry(k, row, i);
  return values;
}

/** (n, f, f) matrices that are computed entry by entry on access; `entry` receives the indices of i and j in the (n, f) matrices. */
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

/** A form that is computed from the target of a cross-entropy, with one candidate for each possible reduction. */
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
      const { s } = problem;
      return lossFactors(problem).map(({ factor, over, reduction }) => ({
        formula: dividedBy(formula, over),
        values: lazily(unscaled, factor),
        terms: (k) => (at(s, k) + at(y, k)) * factor,
        ...(sumIsMean(problem) ? {} : { reduction }),
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

/** The numbers times a factor, computed on access, because most multiples are rejected after a few entries. */
export function lazily(values: Numbers, factor: number): Numbers {
  if (factor === 1) return values;
  return (k) => numberAt(values, k) * factor;
}

/** A candidate times a factor, computed when it is looked at. */
export function multiple(found: Candidate, factor: number, formula: string): Candidate {
  const { values, terms, open } = found;
  const size = Math.abs(factor);
  return {
    ...found,
    formula,
    values: lazily(values, factor),
    terms: lazily(terms, size),
    open: open && lazily(open, size),
  };
}

/** The numbers times a factor, those of an array computed now. */
export function times(values: Numbers, factor: number): Numbers {
  return typeof values === 'function' ? (k) => values(k) * factor : scaled(values, factor);
}

export function scaled(values: Float64Array, factor: number): Float64Array {
  if (factor === 1) return values;
  const products = new Float64Array(values.length);
  for (let k = 0; k < values.length; k++) products[k] = at(values, k) * factor;
  return products;
}
