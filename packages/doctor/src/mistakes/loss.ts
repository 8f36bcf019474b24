import { at } from '../at.js';
import { lossFactors } from '../cotangents.js';
import { candidate, loss } from '../define-form.js';
import { vjp } from '../derivatives.js';
import type { Form, Mistake } from '../form.js';
import { dividedBy } from '../formula.js';
import { rowMaxima } from '../host-softmax.js';
import { everyLayer, ofCrossEntropy } from '../input.js';
import { labelsOf } from '../labels.js';
import { inEachLayer } from '../layer-formulas.js';
import { each, scaled } from '../numbers.js';
import { batchSize, type Problem } from '../problem.js';
import { addsUp } from './right-loss.js';

/** Mistakes in how the cross-entropy uses its target. */

const targetSubtracted = 'The gradient of −Σ y log s in the logits is s − y; s alone is the gradient of log Σ exp x.';

const targetMissing: Mistake = {
  id: 'target-missing',
  layers: everyLayer,
  name: 'target not subtracted',
  what: 'the probabilities themselves: the target was never subtracted',
  why: {
    softmax: targetSubtracted,
    'log-softmax': targetSubtracted,
    sigmoid:
      'The gradient of the binary cross-entropy in the logits is σ − y; σ alone is the gradient of log(1 + exp x).',
  },
  forms: [loss('s', ['s', 's / n'], ({ s, temperature }) => scaled(s, 1 / temperature))],
};

/** The one-hot row of the largest probability, the first of equal ones, for each row. */
function predictedOf(problem: Problem): Float64Array {
  const { s, n, f } = problem;
  const largest = rowMaxima(s, n, f);
  const predicted = largest.map((most, row) => s.subarray(row * f, (row + 1) * f).indexOf(most));
  return each(problem, (_, row, i) => (at(predicted, row) === i ? 1 : 0));
}

const ofOwnOutput =
  'It is identically 0, whatever the probabilities are: the target must come from the data, or from another model.';

export const predictedClass: Mistake = {
  id: 'predicted-class',
  goal: 'loss',
  layers: everyLayer,
  name: 'prediction in place of the probabilities or of the target',
  what: 'the one-hot row of the predicted class in place of the probabilities, which leaves 1, 0 and −1 only, or the prediction in place of the target',
  why: inEachLayer(
    (of) =>
      `The argmax has no derivative; the gradient of ${of.loss} is ${of.error}, with the probabilities themselves and the given target. The one-hot difference is the update of a perceptron, and s − onehot(argmax s) makes each prediction more certain, right or wrong: if these pseudo-labels are the target on purpose, give them as the target.`,
  ),
  forms: [
    loss('onehot(argmax s) − y', ['np.eye(f)[s.argmax(axis=1)] - y'], (problem, y) => {
      const predicted = predictedOf(problem);
      const difference = each(problem, (k) => (at(predicted, k) - at(y, k)) / problem.temperature);
      // Of predictions that are all correct nothing is left.
      return difference.every((value) => value === 0) ? null : difference;
    }),
    loss(
      's − onehot(argmax s)',
      [
        's - np.eye(f)[s.argmax(axis=1)]',
        '(s - np.eye(f)[s.argmax(axis=1)]) / n',
        's[np.arange(n), s.argmax(axis=1)] -= 1',
      ],
      (problem, y) => {
        if (problem.layer === 'sigmoid' || problem.f < 2) return null;
        const predicted = predictedOf(problem);
        // Of predictions that are all correct it is s − y.
        if (predicted.every((value, k) => value === at(y, k))) return null;
        return each(problem, (k) => (at(problem.s, k) - at(predicted, k)) / problem.temperature);
      },
    ),
    // Numbers that are all 0 say nothing of a target.
    {
      kind: 'gradient',
      expressions: ['s - s', '(s - s) / n'],
      caveats: { 's - s': ofOwnOutput, '(s - s) / n': ofOwnOutput },
      gives: () => [],
    },
  ],
};

/** s minus what a wrong index picks, in place of one entry a row. */
function picked(
  formula: string,
  expressions: readonly string[],
  pick: (problem: Problem, labels: readonly number[]) => ((k: number) => number) | null,
): Form {
  return {
    ...loss(formula, expressions, (problem) => {
      const labels = labelsOf(problem);
      const taken = problem.f > 1 && labels ? pick(problem, labels) : null;
      return taken && each(problem, (k) => (at(problem.s, k) - taken(k)) / problem.temperature);
    }),
    ofBatch: true,
  };
}

const targetIndexing: Mistake = {
  id: 'target-indexing',
  layers: ofCrossEntropy,
  name: '1 subtracted in the wrong places',
  what: "s with 1 taken off other entries than each row's target: whole columns, whole rows, every entry, or the start of the flat array",
  why: 'dx[:, target] -= 1 picks columns, dx[target] -= 1 rows, and dx.flat[target] or dx[target[i]] of a flat array entries of row 0; the target picks one entry a row: dx[np.arange(n), target] -= 1, or dx[i * K + target[i]] -= 1.',
  forms: [
    {
      ofBatch: true,
      ...loss('s − 1 in the columns of the target', ['dx[:, target] -= 1'], (problem, y) => {
        const { s, n, f, temperature, target } = problem;
        const given = target?.given ?? y;
        // With several labels in a row, whole columns are not a recognizable mistake.
        if (!addsUp({ ...problem, y: given })) return null;
        const columns = new Set<number>();
        for (let k = 0; k < n * f; k++) if (given[k] === 1) columns.add(k % f);
        if (columns.size < 2) return null;
        const taken = Float64Array.from({ length: f }, (_, i) => (columns.has(i) ? 1 : 0));
        return each(problem, (k, _row, i) => (at(s, k) - at(taken, i)) / temperature);
      }),
    },
    picked('s − 1', ['s - 1'], () => () => 1),
    loss('1 − s', ['1 - s'], (problem) =>
      problem.f > 1 ? each(problem, (k) => (1 - at(problem.s, k)) / problem.temperature) : null,
    ),
    picked('s − 1 in the rows of the target', ['dx[target] -= 1'], ({ n, f }, labels) => {
      const rows = new Set(labels);
      // Of all rows it is s − 1.
      if (rows.size === n || labels.some((label) => label >= n)) return null;
      return (k) => (rows.has(Math.floor(k / f)) ? 1 : 0);
    }),
    ...[false, true].map((once) =>
      picked(
        `s − 1 at the target in the flat array${once ? ', once a class' : ''}`,
        once ? ['dx.flat[target] -= 1'] : [],
        ({ n }, labels) => {
          if (n < 2 || (once && new Set(labels).size === n)) return null;
          const counts = new Map<number, number>();
          for (const label of labels) counts.set(label, once ? 1 : (counts.get(label) ?? 0) + 1);
          return (k) => counts.get(k) ?? 0;
        },
      ),
    ),
  ],
};

/** The gradient of the binary cross-entropy in the probabilities, and what `through` makes of it. */
function binaryForm(
  expressions: readonly string[],
  written: (over: string) => string,
  through: (problem: Problem, g: Float64Array) => Float64Array,
  sign = 1,
): Form {
  return {
    kind: 'gradient',
    expressions,
    gives: (problem) => {
      const { s, y } = problem;
      if (!y || s.some((value) => value === 0 || value === 1)) return [];
      const binary = s.map((value, k) => -at(y, k) / value + (sign * (1 - at(y, k))) / (1 - value));
      const values = through(problem, binary);
      // The binary cross-entropy of PyTorch and Keras is a mean over all entries.
      const ofEntries = { factor: 1 / (batchSize(problem) * problem.f), over: ' / (n f)' };
      const known = lossFactors(problem);
      // Of two classes, that is the cross-entropy itself.
      const isNew =
        problem.f > 2 && problem.reduction !== 'sum' && known.every(({ factor }) => factor !== ofEntries.factor);
      const factors = isNew ? [...known, ofEntries] : known;
      return factors.map(({ factor, over }) => candidate(written(over), scaled(values, factor)));
    },
  };
}

/** The binary cross-entropy of the probabilities is a loss like any other: unless the loss is said to be the cross-entropy, this is right. */
export const binaryThroughSoftmax = binaryForm(
  [],
  (over) => `J (−y / s + (1 − y) / (1 − s))${over}`,
  (problem, g) => vjp(problem, g),
);

const binaryCrossEntropy: Mistake = {
  id: 'binary-cross-entropy',
  name: 'binary cross-entropy',
  what: 'the gradient of the binary cross-entropy, −y / s + (1 − y) / (1 − s), which belongs to sigmoids',
  why: 'Softmax goes with −Σ y log s, whose gradient in the probabilities is −y / s; through the Jacobian it becomes s − y. The terms with 1 − y count the other classes a second time.',
  forms: [
    binaryForm(
      ['-y / s + (1 - y) / (1 - s)', '-(y / s - (1 - y) / (1 - s))'],
      (over) => dividedBy('−y / s + (1 − y) / (1 − s)', over),
      (_, g) => g,
    ),
    binaryThroughSoftmax,
    binaryForm(
      ['-(y / s + (1 - y) / (1 - s))'],
      (over) => `${dividedBy('−y / s − (1 − y) / (1 − s)', over)}, with the sign of the second term turned over`,
      (_, g) => g,
      -1,
    ),
  ],
};

const logarithmMissing: Mistake = {
  id: 'logarithm-missing',
  name: 'logarithm missing before the loss',
  what: 'the gradient of −Σ y s, the negative log-likelihood of probabilities whose logarithm was not taken: a loss between −1 and 0',
  why: 'NLLLoss, nll_loss and −Σ y log p in other words take log-probabilities: of the probabilities themselves they make −s_t, whose gradient s_t (s − y) is nearly 0 where the prediction is wrong. log_softmax before them, or the cross-entropy of the logits, has the gradient s − y.',
  goal: 'loss',
  forms: [
    loss('−J y, the gradient of −Σ y s', [], (problem, y) =>
      problem.g || problem.f < 2 ? null : scaled(vjp(problem, y), -1),
    ),
  ],
};

export const losses: readonly Mistake[] = [
  targetMissing,
  predictedClass,
  targetIndexing,
  binaryCrossEntropy,
  logarithmMissing,
];
