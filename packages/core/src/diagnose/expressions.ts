import { SoftgradError } from '../errors.js';
import { explanations } from './catalogue.js';
import type { Form, Mistake } from './form.js';
import { right } from './mistakes/right.js';
import type { LossReduction } from './problem.js';
import { normalised } from './spelling.js';

/** A NumPy expression that `diagnose` knows, and what it comes to. */
export interface KnownExpression {
  readonly expression: string;
  /** The diagnosis: a mistake's id, or 'right'. */
  readonly id: string;
  /** What must hold for it to come to that, or null. */
  readonly caveat: string | null;
}

/**
 * The expressions that can be given instead of numbers: s are the probabilities, x the logits, g the upstream gradient,
 * y the target's probabilities, J the Jacobians (n, f, f).
 */
export function knownExpressions(): readonly KnownExpression[] {
  return explanations.flatMap(({ id, forms }) =>
    forms.flatMap(({ expressions, caveats }) =>
      expressions.map((expression) => ({ expression, id, caveat: caveats?.[expression] ?? null })),
    ),
  );
}

/** What an expression is known as. */
interface Found {
  readonly mistake: Mistake;
  readonly form: Form;
  readonly caveat: string | null;
  /** How it adds up the rows' losses, where that is known. */
  readonly reduction: LossReduction | null;
}

/** The mistake that an expression is. @throws ERR_VALUE naming the nearest mistakes known */
export function lookUp(expression: string): Found {
  const wanted = normalised(expression);
  for (const mistake of explanations) {
    for (const form of mistake.forms) {
      const known = form.expressions.find((one) => normalised(one) === wanted);
      if (known !== undefined) {
        return { mistake, form, caveat: form.caveats?.[known] ?? null, reduction: form.reductions?.[known] ?? null };
      }
    }
  }
  // A right one that is near says nothing of this one: a sign apart it would be taken for approval.
  const nearest = knownExpressions()
    .filter(({ id }) => id !== right.id)
    .map(({ expression: known }) => ({ known, distance: relativeDistance(normalised(known), wanted) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ known }) => `\`${known}\``);
  throw new SoftgradError(
    'ERR_VALUE',
    `diagnose: \`${expression}\` is none of the expressions known; the nearest mistakes are ${nearest.join(', ')}; or give the numbers that it came to`,
  );
}

/** Levenshtein's distance as a share of the longer text: most of a long one may be the same. */
function relativeDistance(a: string, b: string): number {
  return distance(a, b) / Math.max(a.length, b.length, 1);
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + (a[i] === b[j] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}
