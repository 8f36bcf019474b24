import { at } from './at.js';
import { type Cotangent, cotangents, lossFactors, sumIsMean } from './cotangents.js';
import type { Candidate, Form, Kind } from './form.js';
import { dividedBy } from './formula.js';
import { lazily, type Numbers, numberAt } from './numbers.js';
import type { Problem } from './problem.js';

/** A candidate without cancellation: its terms are as large as its values. */
export function candidate(formula: string, values: Numbers): Candidate {
  return { formula, values, terms: (k) => Math.abs(numberAt(values, k)) };
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
