import { isSet } from '../at.js';
import { candidate } from '../define-form.js';
import type { Candidate, Mistake } from '../form.js';
import { softmaxRows } from '../host-softmax.js';
import { byIndex } from '../numbers.js';
import type { Problem } from '../problem.js';
import { rightProduct } from './right.js';
import { rightLoss } from './right-loss.js';

/** Mistakes with masked entries. */

const maskMissing: Mistake = {
  id: 'mask-missing',
  name: 'mask not applied',
  what: 'a derivative of the softmax over all entries, those among them that the mask takes out',
  why: 'The mask belongs before the softmax: entries that it takes out are −Infinity there, have the probability 0, and the others add up to 1 without them. Multiplying probabilities by the mask afterwards leaves rows that do not, and multiplying logits by it leaves exp(0) = 1.',
  forms: [
    {
      kind: 'gradient',
      expressions: [],
      gives: (problem) => {
        const { masked, n, f, temperature } = problem;
        if (!masked?.x) return [];
        const { keep } = masked;
        const s = softmaxRows(masked.x, { outer: n, classes: f, inner: 1 }, temperature);
        const after = s.map((value, k) => value * (isSet(keep, k) ? 1 : 0));
        const zeroed = masked.x.map((value, k) => (isSet(keep, k) ? value : 0));
        const ofZeros = softmaxRows(zeroed, { outer: n, classes: f, inner: 1 }, temperature);
        const isZeroed = 'of the softmax of logits that are 0, not −Infinity, where the mask takes them out';
        return [
          ...named(problem, ofZeros, isZeroed),
          ...named(problem, ofZeros, `${isZeroed}, multiplied by the mask`).map((found) => ({
            ...found,
            values: masking(found.values, keep),
          })),
          ...named(problem, s, 'of the softmax over all entries'),
          ...named(problem, s, 'of the softmax over all entries, multiplied by the mask').map((found) => ({
            ...found,
            values: masking(found.values, keep),
          })),
          ...named(problem, after, 'of the probabilities multiplied by the mask'),
        ];
      },
    },
  ],
};

function named(problem: Problem, s: Float64Array, what: string): Candidate[] {
  const other = { ...problem, s };
  return [...rightProduct.gives(other), ...rightLoss.gives(other)].map(({ formula, values }) =>
    candidate(`${formula} ${what}`, values),
  );
}

function masking(values: Candidate['values'], keep: Uint8Array): Candidate['values'] {
  const valueAt = byIndex(values);
  return (k) => valueAt(k) * (isSet(keep, k) ? 1 : 0);
}

export const masks: readonly Mistake[] = [maskMissing];
