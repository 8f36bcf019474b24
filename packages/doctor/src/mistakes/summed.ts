import { at } from '../at.js';
import { largestOf } from '../compare.js';
import { gradient, jacobian, loss, multiple, product } from '../define-form.js';
import { layerJacobian, lossGradient, vjpOfLogSoftmax } from '../derivatives.js';
import type { Form, Kind, Mistake } from '../form.js';
import { everyLayer, ofCrossEntropy } from '../input.js';
import { byIndex, each, entries, type Numbers } from '../numbers.js';
import type { Problem } from '../problem.js';
import { largestRowSum } from '../row-sum.js';
import { gradientsOfSum } from '../spelling.js';
import { averages } from './right-loss.js';

/** The Jacobian reduced to the shape of the logits, by summing its entries or selecting some of them. */

/** The row sums, which are 0, in a shape that results from a further sum or a transpose. */
function zeros(kind: Kind, formula: string, terms: (problem: Problem) => Numbers): Form {
  return {
    kind,
    expressions: [],
    gives: (problem) => (problem.n * problem.f === 1 ? [] : [{ formula, values: () => 0, terms: terms(problem) }]),
  };
}

const oneTerm =
  'One term of the sum alone is not 0; added up over all k (δ is 1 for k = 0) they are. Of a batch, np.roll needs axis=1.';
const rolled = 'Of a batch: for one row, np.roll needs no axis.';

/** Common spellings of the sum over np.roll, each with its condition. */
const rolls: readonly (readonly [expression: string, caveat: string])[] = [
  ['s * (delta - np.roll(s, k))', oneTerm],
  ['s * (delta - np.roll(s, k, axis=1))', oneTerm],
  ['sum(s * (delta - np.roll(s, k)) for k in range(f))', oneTerm],
  ['sum(s * (delta - np.roll(s, k, axis=1)) for k in range(f))', rolled],
];

const rowSum: Mistake = {
  id: 'row-sum',
  layers: ofCrossEntropy,
  name: 'summed Jacobian rows',
  what: {
    softmax: "the sums of the Jacobian's rows (or columns), which are identically 0; what you see is rounding noise",
    'log-softmax': "the sums of the Jacobian's rows, which are identically 0; what you see is rounding noise",
  },
  why: {
    softmax:
      'Σ_j J_ij = s_i − s_i Σ_j s_j = 0, since probabilities always add up to 1. A Jacobian is multiplied by the upstream gradient, never summed: dx = Jᵀ g = s ⊙ (g − ⟨s, g⟩).',
    'log-softmax':
      'Σ_j J_ij = 1 − Σ_j s_j = 0, since probabilities always add up to 1. A Jacobian is multiplied by the upstream gradient, never summed: dx = Jᵀ g = g − s Σ g.',
  },
  forms: [
    {
      ...gradient(
        'Σ_j J_ij',
        [
          'J.sum(axis=1)',
          'J.sum(axis=2)',
          'J.mean(axis=1)',
          'J.sum()',
          ...gradientsOfSum,
          's * (1 - s) + sum(-s * np.roll(s, i, axis=1) for i in range(1, s.shape[1]))',
          ...rolls.map(([expression]) => expression),
        ],
        (problem) => each(problem, () => 0),
        termsOfSum,
      ),
      caveats: Object.fromEntries(rolls),
      noise: largestRowSum,
    },
    {
      ...product(
        '(Σ_j J_ij) g_i',
        ['J.sum(axis=1) * g', "np.einsum('nij,ni->ni', J, g)"],
        (problem) => each(problem, () => 0),
        (problem, { values }) => {
          const terms = termsOfSum(problem);
          return (k) => (at(terms, k) * Math.abs(at(values, k))) / problem.temperature;
        },
      ),
      noise: (problem) => largestRowSum(problem) * largestOf(problem.g ?? Float64Array.of(1)),
    },
    zeros('transposed gradient', '(Σ_j J_ij)ᵀ, also turned over', termsOfSum),
    zeros('sum over the batch', 'Σ_n Σ_j J_ij, also added up over the rows', (problem) => (k) => {
      const terms = termsOfSum(problem);
      let sum = 0;
      for (let row = 0; row < problem.n; row++) sum += at(terms, row * problem.f + k);
      return sum;
    }),
    zeros(
      'sum over the classes',
      'Σ_i Σ_j J_ij, also added up over the classes, which makes 0 of every right gradient',
      () => () => 1,
    ),
  ],
};

/** The sum of the magnitudes of a row of J: its own entry and the others are equally large. */
function termsOfSum({ s, layer }: Problem): Float64Array {
  return layer === 'log-softmax' ? s.map((value) => 1 - value) : s;
}

/** 1 − f s_j, the column sums of log-softmax's Jacobian. */
function columnSums(problem: Problem): Float64Array | null {
  return problem.f > 1 ? vjpOfLogSoftmax(problem, new Float64Array(problem.s.length).fill(1)) : null;
}

const columnSum: Mistake = {
  id: 'column-sum',
  layers: ['log-softmax'],
  name: 'summed Jacobian columns',
  what: "the sums (or means) of the columns of log-softmax's Jacobian, 1 − f s_j: the gradient for an upstream gradient of ones",
  why: 'Σ_i J_ij = Σ_i (δ_ij − s_j) = 1 − f s_j; the sums of the rows, Σ_j J_ij, are identically 0. A Jacobian is multiplied by the upstream gradient, never summed: dx = Jᵀ g = g − s Σ g.',
  forms: [
    gradient('Σ_i J_ij = 1 − f s_j', [], columnSums),
    gradient('Σ_i J_ij / f = 1 / f − s_j', [], (problem) => columnSums(problem)?.map((value) => value / problem.f)),
    product('(1 − f s) ⊙ g', [], (problem, g) =>
      g.symbol === 'g' ? columnSums(problem)?.map((value, k) => value * at(g.values, k)) : null,
    ),
  ],
};

const sumMissing =
  'The product s * g is not added up over the classes: (s * g).sum(axis=-1, keepdims=True) belongs in its place.';

const diagonal: Mistake = {
  id: 'diagonal',
  name: 'diagonal only',
  what: "the Jacobian's diagonal alone: softmax treated like a sigmoid, one input for each output",
  why: '∂s_i/∂x_j = s_i (δ_ij − s_j): every output depends on every input, so the −s_i s_j off the diagonal count too: dx = s ⊙ (g − ⟨s, g⟩), not g ⊙ s ⊙ (1 − s).',
  forms: [
    {
      ...gradient(
        's ⊙ (1 − s)',
        ['s * (1 - s)', 's - s**2', 's - s * s', 'np.diagonal(J, axis1=1, axis2=2)', 'np.diagonal(J)'],
        ({ s, temperature }) => s.map((value) => (value * (1 - value)) / temperature),
      ),
      caveats: { 'np.diagonal(J)': 'One row only, J (f, f): of a batch write np.diagonal(J, axis1=1, axis2=2).' },
    },
    gradient('s ⊙ (s − 1)', ['s * (s - 1)', 's**2 - s', 's * s - s'], ({ s, temperature }) =>
      s.map((value) => (value * (value - 1)) / temperature),
    ),
    {
      ...product(
        'g ⊙ s ⊙ (1 − s)',
        [
          'g * s * (1 - s)',
          'np.diag(s * (1 - s)) @ g',
          "np.einsum('nii,ni->ni', J, g)",
          's * (g - s * g)',
          's * g - s * s * g',
        ],
        (problem, g) =>
          each(problem, (k) => (at(g.values, k) * at(problem.s, k) * (1 - at(problem.s, k))) / problem.temperature),
      ),
      caveats: { 's * (g - s * g)': sumMissing, 's * g - s * s * g': sumMissing },
    },
    {
      kind: 'gradient',
      expressions: ['(s - y) * s * (1 - s)', '(y - s) * s * (1 - s)'],
      gives: (problem) => {
        const { s, y, temperature } = problem;
        if (!y) return [];
        const values = lossGradient(problem, y).map((value, k) => value * at(s, k) * (1 - at(s, k)));
        const unscaled = { formula: '(s − y) ⊙ s ⊙ (1 − s)', values, terms: s.map((value) => value / temperature) };
        // Those of ½‖s − y‖² and of ‖s − y‖², and with the error as y − s, as where the update is added.
        const all = [1, 2, -1].flatMap((times) =>
          averages(problem).map(([divisor, over]) => ({
            factor: times / divisor,
            formula: `${times === 1 ? '' : times < 0 ? '−' : `${times} `}${unscaled.formula}${over}`,
          })),
        );
        return all
          .filter(({ factor }, k) => all.findIndex((other) => other.factor === factor) === k)
          .map(({ factor, formula }) => multiple(unscaled, factor, formula));
      },
    },
    loss('y ⊙ (1 − s)', ['y * (1 - s)'], ({ s, f, temperature }, y) =>
      f > 1 ? s.map((value, k) => (at(y, k) * (1 - value)) / temperature) : null,
    ),
    loss('−y ⊙ s ⊙ (1 − s)', ['-y * s * (1 - s)'], ({ s, f, temperature }, y) =>
      f > 1 ? s.map((value, k) => (-at(y, k) * value * (1 - value)) / temperature) : null,
    ),
    jacobian('diag(s ⊙ (1 − s))', ['np.diag(s * (1 - s))'], (problem) =>
      entries(problem, (i, _, same) => (same ? (at(problem.s, i) * (1 - at(problem.s, i))) / problem.temperature : 0)),
    ),
  ],
};

const allColumns =
  'dx_i = Σ_j J_ij g_j: all columns, each with its own g_j. `gradient[i] = …` inside the loop over j keeps only the last; `+=` would add up J_ij g_j.';

const oneColumn: Mistake = {
  id: 'one-column',
  layers: everyLayer,
  name: 'one column of the Jacobian',
  what: "the Jacobian's last column alone: a loop over j that overwrites where it should add up",
  why: {
    softmax: allColumns,
    'log-softmax':
      'dx_j = Σ_i J_ij g_i: all rows, each with its own g_i. `gradient[i] = …` inside the loop over j keeps only the last column; `gradient[j] += …` would add up J_ij g_i.',
    sigmoid: allColumns,
  },
  forms: [
    gradient('J_i,f−1', ['J[:, :, -1]', 'grad[i] = -s[i] * s[j]'], (problem) =>
      problem.f < 2 ? null : lastColumn(problem),
    ),
    product('J_i,f−1 g_f−1', ['J[:, :, -1] * g[:, -1:]'], (problem, g) => {
      const { f } = problem;
      if (f < 2 || g.symbol !== 'g') return null;
      return lastColumn(problem).map((value, k) => value * at(g.values, k - (k % f) + f - 1));
    }),
  ],
};

function lastColumn(problem: Problem): Float64Array {
  const entryAt = byIndex(layerJacobian(problem).values);
  return each(problem, (k) => entryAt(k * problem.f + problem.f - 1));
}

export const summed: readonly Mistake[] = [rowSum, columnSum, diagonal, oneColumn];
