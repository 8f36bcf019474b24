import { SoftgradError, shortened } from '@softgrad/core';
import { lettersInWords, variable } from '../aliases.js';
import { explanationsOfExpressions } from '../catalogue.js';
import { nearest } from '../nearest.js';
import { gradientsOfSum, normalised } from '../spelling.js';
import { normalisedOnce } from './in-catalogue.js';

/** A NumPy expression that `diagnose` knows, and its diagnosis. */
export interface KnownExpression {
  readonly expression: string;
  /** The diagnosis: a mistake's id, or 'right'. */
  readonly id: string;
  /** The condition under which the diagnosis holds, or null. */
  readonly caveat: string | null;
}

/**
 * The expressions that can be given instead of numbers: s are the probabilities, x the logits, g the upstream gradient,
 * y the target's probabilities, J the Jacobians (n, f, f). Other spellings of the same are recognised, too.
 *
 * @example
 * knownExpressions().find(({ id }) => id === 'row-sum'); // { expression: 'J.sum(axis=1)', id: 'row-sum', caveat: null }
 */
export function knownExpressions(): readonly KnownExpression[] {
  return explanationsOfExpressions.flatMap(({ id, forms }) =>
    forms.flatMap(({ expressions, caveats }) =>
      expressions.map((expression) => ({ expression, id, caveat: caveats?.[expression] ?? null })),
    ),
  );
}

/** The names of files of code. */
const fileName = /^[\w./\\:-]+\.(?:py|ipynb|ts|tsx|js|mjs|cjs|jl|m|r|txt|md)$/i;

/** What is expected in place of a text that is no expression; null of one that may be. */
function expectedInstead(expression: string): string | null {
  if (expression.trim() === '')
    return "no expression is given; expected the code that computes the gradient, as 'J.sum(axis=1)'";
  if (fileName.test(expression.trim())) {
    return `\`${shortened(expression.trim())}\` is the name of a file; expected the code itself, and of it only the expression that computes the gradient`;
  }
  return null;
}

/** What can be said of expressions that are not known, and what to pass or to write instead; null for others. */
function adviceOn(own: string): string | null {
  if (/^J\[:,y\]$/.test(own)) {
    return 'of a batch it takes the rows of all targets from every Jacobian, (n, n, f): `J[np.arange(n), target]` takes one row of each';
  }
  if (/(?<!\[[^\]]*|one_?hot\()argmax\(/i.test(own)) {
    return 'the argmax is constant wherever it has a derivative, so a loss of it has the gradient 0: the cross-entropy takes the logits themselves';
  }
  if (/\w\.T@(?:d|g|delta)\w*$|^(?:d|g|delta)\w*@\w+\.T/i.test(own)) {
    return 'of the gradient of weights, what can be wrong is the gradient of the logits in it: pass the code of that, too';
  }
  return null;
}

export function unknownExpression(expression: string): SoftgradError {
  const instead = expectedInstead(expression);
  if (instead !== null) return new SoftgradError('ERR_VALUE', `diagnose: ${instead}`);
  const known = knownExpressions();
  const vocabulary = new Set(known.flatMap((one) => normalisedOnce(one.expression).match(/\w+/g)));
  const own = normalised(expression);
  // A name that no known expression has is most often that of the probabilities.
  const wanted = /\W/.test(own)
    ? normalised(own.replace(variable, (name) => (vocabulary.has(name) ? name : 's')))
    : own;
  // Every gradient by automatic differentiation is similar to those of the sum of the outputs.
  const candidates = known.filter((one) => !gradientsOfSum.includes(one.expression));
  const near = nearest(wanted, candidates, (one) => normalisedOnce(one.expression))
    .slice(0, 3)
    .map((one) => `\`${one.expression}\` (${one.id})`);
  const nearby = near.length === 0 ? '' : `; the nearest ${near.length === 1 ? 'is' : 'are'} ${near.join(', ')}`;
  const advice = adviceOn(own);
  const statements = /[\n;](?=.*\S)|^\s*(?:def|function|import|from|class)\s/s.test(expression);
  const hint = `${advice === null ? '' : `: ${advice}`}${statements ? '; expected only the expression that computes the gradient, not the code around it' : ''}`;
  return new SoftgradError(
    'ERR_VALUE',
    `diagnose: unknown expression \`${shortened(expression)}\`${hint}${nearby}; ${lettersInWords}; \`softgrad doctor --list\` lists the known ones; or pass the numbers that it computes`,
  );
}
