import { at } from '../at.js';
import { type Cotangent, cotangent, cotangents, lossFactors } from '../cotangents.js';
import { lossGradient, vjp } from '../derivatives.js';
import type { Candidate } from '../form.js';
import { dividedBy } from '../formula.js';
import { each, onFirstUse } from '../numbers.js';
import type { Problem } from '../problem.js';

/** The right formula with other probabilities: s ⊙ (g − ⟨s, g⟩) with each known g, and s − y. */
export function withProbabilities(problem: Problem, s: Float64Array, words: string): readonly Candidate[] {
  const other = { ...problem, s };
  return [
    ...cotangents(problem).map(({ symbol, values }) =>
      through(other, cotangent(other, symbol, values), `${symbol === 'g' ? '' : `, g = ${symbol}`}, ${words}`),
    ),
    ...withTarget(other, problem.y, words),
  ];
}

export function through(problem: Problem, g: Cotangent, words: string): Candidate {
  return { formula: `s ⊙ (g − ⟨s, g⟩)${words}`, values: onFirstUse(() => vjp(problem, g.values)), terms: g.terms };
}

/** The gradient of the cross-entropy of another target, for each possible reduction. */
function withTarget(problem: Problem, y: Float64Array | null, words: string): readonly Candidate[] {
  if (!y) return [];
  const values = onFirstUse(() => lossGradient(problem, y));
  return lossFactors(problem).map(({ factor, over }) => ({
    formula: `${dividedBy('s − y', over)}, ${words}`,
    values: (k) => values(k) * factor,
    terms: (k) => ((at(problem.s, k) + at(y, k)) * factor) / problem.temperature,
  }));
}

/** s − t for a t that is not the target, for each possible reduction. */
export function minusOther(problem: Problem, t: Float64Array, words: string): readonly Candidate[] {
  const { s, temperature } = problem;
  return lossFactors(problem).map(({ factor, over }) => ({
    formula: `${dividedBy('s − y', over)}, ${words}`,
    values: (k) => ((at(s, k) - at(t, k)) * factor) / temperature,
    terms: (k) => ((at(s, k) + at(t, k)) * factor) / temperature,
  }));
}

/** The matrix whose row k is row `from(k)` of the given one. */
export function rowsFrom(problem: Problem, values: Float64Array, from: (row: number) => number): Float64Array {
  return each(problem, (_, row, i) => at(values, from(row) * problem.f + i));
}

/** The right formula with the probabilities, the upstream gradient or the target of other rows: row k has those of `from(k)`. */
export function ofOtherRows(problem: Problem, from: (row: number) => number, words: string): readonly Candidate[] {
  const { s, g, y } = problem;
  const of = (values: Float64Array) => rowsFrom(problem, values, from);
  return [
    ...withProbabilities(problem, of(s), `with the s of ${words}`),
    ...(g ? [through(problem, cotangent(problem, 'g', of(g)), `, with the g of ${words}`)] : []),
    ...withTarget(problem, y && of(y), `with the y of ${words}`),
  ];
}
