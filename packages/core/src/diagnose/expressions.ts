import { SoftgradError } from '../errors.js';
import { explanations } from './catalogue.js';
import type { Form, Mistake } from './form.js';

/** A NumPy expression that `diagnose` knows, and what it comes to. */
export interface KnownExpression {
  readonly expression: string;
  /** The diagnosis: a mistake's id, or 'right'. */
  readonly id: string;
}

/**
 * The expressions that can be given instead of numbers: s are the probabilities, x the logits, g the upstream gradient,
 * y the target's probabilities, J the Jacobians (n, f, f).
 */
export function knownExpressions(): readonly KnownExpression[] {
  return explanations.flatMap(({ id, forms }) =>
    forms.flatMap(({ expressions }) => expressions.map((expression) => ({ expression, id }))),
  );
}

/** The mistake that an expression is. @throws ERR_VALUE naming the nearest known ones */
export function lookUp(expression: string): { readonly mistake: Mistake; readonly form: Form } {
  const wanted = normalised(expression);
  for (const mistake of explanations) {
    for (const form of mistake.forms) {
      if (form.expressions.some((known) => normalised(known) === wanted)) return { mistake, form };
    }
  }
  const nearest = knownExpressions()
    .map(({ expression: known }) => ({ known, distance: distance(normalised(known), wanted) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ known }) => `\`${known}\``);
  throw new SoftgradError(
    'ERR_VALUE',
    `diagnose: \`${expression}\` is none of the expressions known; the nearest are ${nearest.join(', ')}; or give the numbers that it came to`,
  );
}

/** Spelling that makes no difference: spaces, quotes, the last axis of a matrix by its other name, parentheses around all. */
function normalised(expression: string): string {
  const text = expression
    .replace(/^\s*[\w.]+\s*=(?!=)/, '')
    .replace(/\s+/g, '')
    .replaceAll('"', "'")
    .replaceAll('axis=-1', 'axis=1')
    .replaceAll('numpy.', 'np.')
    .replaceAll('keepdims=1', 'keepdims=True')
    .replace(/;$/, '');
  return text;
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
