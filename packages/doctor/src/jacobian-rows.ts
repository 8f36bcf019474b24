import { at } from './at.js';
import type { Noise } from './compare.js';
import { candidate } from './define-form.js';
import { jacobianEntries, jacobianOfLogSoftmax, lossGradient } from './derivatives.js';
import type { Candidate } from './form.js';
import { dividedBy } from './formula.js';
import { enough } from './found-options.js';
import { labelsOf } from './labels.js';
import { batchSize, type Problem } from './problem.js';
import { some } from './rows-of-loss.js';

/** One row of the Jacobian for each sample; which one is taken from the numbers. */

/** The least number of degrees of freedom for numbers in full precision. */
const enoughInFull = 2;

/** Rows of the Jacobian, alone and times what may have been multiplied by them, with the classes that the numbers show. */
export function* jacobianRows(problem: Problem, data: Float64Array, noise: Noise): Generator<Candidate> {
  const { n, f, g, y, s, layer } = problem;
  const isFull = noise.slack === undefined && !noise.ofInputs;
  if (layer === 'sigmoid' || n * (f - 1) < (isFull ? enoughInFull : enough)) return;
  const entryAt = layer === 'log-softmax' ? jacobianOfLogSoftmax(problem) : jacobianEntries(problem);
  const batch = batchSize(problem);
  const loss = y && lossGradient({ ...problem, temperature: 1 }, y);
  const factors: readonly { readonly words: string; readonly by: (k: number, place: number) => number }[] = [
    { words: '', by: () => 1 },
    ...(g
      ? [
          { words: ' g_c', by: (_: number, place: number) => at(g, place) },
          { words: ' g_j', by: (k: number) => at(g, k) },
        ]
      : []),
    ...(loss ? [{ words: ' (s_j − y_j)', by: (k: number) => at(loss, k) }] : []),
  ];
  for (const { words, by } of factors) {
    const classes = Array.from({ length: n }, (_, row) => classOf(data, row * f, f, words === ' g_c' ? null : by));
    const valueAt = (k: number) => {
      const row = Math.floor(k / f);
      const place = row * f + (classes[row] ?? 0);
      return entryAt(place * f + (k % f)) * by(k, place);
    };
    const named = nameOf(problem, classes, s);
    for (const divisor of batch > 1 ? [1, batch] : [1]) {
      const formula = `${dividedBy(`J_cj${words}`, divisor === 1 ? '' : ' / n')}, c ${named}`;
      yield candidate(formula, (k) => valueAt(k) / divisor);
    }
  }
}

/** The class of the row of J that the numbers of a sample can be: its own entry alone is positive, and as large as all others together. */
function classOf(
  data: Float64Array,
  first: number,
  f: number,
  by: ((k: number, place: number) => number) | null,
): number {
  let best = 0;
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < f; i++) {
    const value = at(data, first + i);
    const factor = by ? by(first + i, first + i) : 1;
    const own = by ? (factor === 0 ? Number.NEGATIVE_INFINITY : value / factor) : Math.abs(value);
    if (!(own > most)) continue;
    most = own;
    best = i;
  }
  return best;
}

function nameOf(problem: Problem, classes: readonly number[], s: Float64Array): string {
  const { n, f, g } = problem;
  const largestIn = (values: Float64Array) =>
    classes.every((own, row) =>
      values.subarray(row * f, (row + 1) * f).every((value) => value <= at(values, row * f + own)),
    );
  const labels = labelsOf(problem);
  if (labels?.every((label, row) => label === classes[row])) return 'the class of the target';
  const [first = 0] = classes;
  if (n > 1 && classes.every((own) => own === first)) return `= ${first}`;
  if (largestIn(s)) return 'the predicted class';
  if (g && largestIn(g)) return 'the class of the largest g';
  return `= ${some(classes.map(String))} for the rows`;
}
