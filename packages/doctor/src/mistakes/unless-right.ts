import { sampleStep } from '../compare.js';
import type { Candidate, Form } from '../form.js';
import { asFactor } from '../formula.js';
import { byIndex, type Numbers, numberAt, onFirstUse } from '../numbers.js';
import { oncePerProblem } from '../once-per-problem.js';
import type { Problem } from '../problem.js';
import { rightProduct } from './right.js';
import { rightLoss } from './right-loss.js';

/** An explanation whose difference from the right derivative, relative to its largest number, is below this is not a mistake here. */
export const sameAsRight = 1e-3;

/** Below this share of its terms nothing is left of an explanation but their rounding, which agrees with many. */
const cancelled = 1e-4;

function rights(problem: Problem): readonly Candidate[] {
  return [...rightProduct.gives(problem), ...rightLoss.gives(problem)];
}

/** With an upstream gradient, s − y may be another mistake. */
const rightOrFused = oncePerProblem((problem) =>
  [...rights(problem), ...rightLoss.gives({ ...problem, g: null })].map(({ values }) => ({
    values,
    largest: largestNumber(problem, values),
  })),
);

/** The form without the candidates that equal the right derivative, as those of equal rows do. */
export function unlessRight(form: Pick<Form, 'gives'> & Partial<Form>): Form {
  return {
    kind: 'gradient',
    expressions: [],
    ...form,
    ofBatch: true,
    gives: (problem) =>
      form
        .gives(problem)
        .filter(({ values, terms }) => standsOutOf(problem, terms, largestNumber(problem, values)))
        .filter(
          ({ values }) => !rightOrFused(problem).some((one) => isAlike(problem, values, one.values, one.largest)),
        ),
  };
}

/** The largest magnitude; of many numbers, of a sample of them. */
function largestNumber({ n, f }: Problem, values: Numbers): number {
  const step = sampleStep(n * f, f);
  let most = 0;
  for (let k = 0; k < n * f; k += step) most = Math.max(most, Math.abs(numberAt(values, k)));
  return most;
}

/** True if the largest number is more than the rounding of the terms. */
function standsOutOf({ n, f }: Problem, terms: Numbers, largest: number): boolean {
  const step = sampleStep(n * f, f);
  for (let k = 0; k < n * f; k += step) if (!(largest > cancelled * Math.abs(numberAt(terms, k)))) return false;
  return true;
}

function isAlike({ n, f }: Problem, values: Numbers, others: Numbers, largest: number): boolean {
  for (let k = 0; k < n * f; k++) {
    if (!(Math.abs(numberAt(values, k) - numberAt(others, k)) <= sameAsRight * largest)) return false;
  }
  return true;
}

/** The numbers of the right derivative, changed; the terms that they are summed from change in the same way. */
export function changed(
  words: string,
  change: (problem: Problem, valueAt: (k: number) => number) => Numbers,
  more: Partial<Form> = {},
): Form {
  return unlessRight({
    ...more,
    gives: (problem) =>
      rights(problem).map((found) => ({
        ...found,
        formula: `${asFactor(found.formula)}${words}`,
        values: onFirstUse(() => change(problem, byIndex(found.values))),
        terms: onFirstUse(() => change(problem, byIndex(found.terms))),
        open: undefined,
      })),
  });
}
