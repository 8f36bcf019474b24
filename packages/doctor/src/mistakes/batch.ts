import { at } from '../at.js';
import { candidate } from '../define-form.js';
import { jacobianEntries, vjp } from '../derivatives.js';
import type { Mistake } from '../form.js';
import { asFactor } from '../formula.js';
import { each, entries, lazily, scaled } from '../numbers.js';
import type { Problem } from '../problem.js';
import { rightProduct } from './right.js';
import { rightLoss } from './right-loss.js';

/** Mistakes that mix the samples of a batch, although each has its own softmax. */

/** The largest number of multiplications to spend on the summed Jacobian of a batch. */
const affordable = 1e8;

const ownJacobian =
  "Each sample has its own Jacobian and its own upstream: dx_n = J_n g_n. An einsum must keep n on both sides ('nij,nj->ni'); np.dot, tensordot and sum(axis=0) add over the batch.";

const batchContracted: Mistake = {
  id: 'batch-contracted',
  neutral: true,
  name: 'samples mixed in the product',
  what: "Jacobians multiplied by other samples' upstream gradients, or results added up over the batch",
  why: {
    softmax: ownJacobian,
    'log-softmax':
      "Each sample has its own Jacobian and its own upstream: dx_n = J_nᵀ g_n. An einsum must keep n on both sides ('nij,ni->nj'); np.dot, tensordot and sum(axis=0) add over the batch.",
    sigmoid: ownJacobian,
  },
  forms: [
    {
      kind: 'gradient',
      ofBatch: true,
      expressions: ["np.einsum('nij,mj->ni', J, g)", 'J @ g.sum(axis=0)'],
      gives: (problem) => {
        const { g, n } = problem;
        if (!g || n === 1) return [];
        const sums = columnSums(problem, g);
        const values = vjp(
          problem,
          each(problem, (_k, _row, i) => at(sums, i)),
        );
        return [candidate('J_n Σ_m g_m', values), candidate('J_n Σ_m g_m / n', lazily(values, 1 / n))];
      },
    },
    {
      kind: 'gradient',
      ofBatch: true,
      expressions: ['g @ J.sum(axis=0)', 'g @ J.mean(axis=0)'],
      gives: (problem) => {
        const { g, n, f } = problem;
        if (!g || n === 1 || n * f * f > affordable) return [];
        const matrix = summedJacobian(problem);
        const values = (k: number) => {
          const i = k % f;
          let sum = 0;
          for (let j = 0; j < f; j++) sum += at(matrix, i * f + j) * at(g, k - i + j);
          return sum;
        };
        return [candidate('(Σ_m J_m) g_n', values), candidate('(Σ_m J_m / n) g_n', lazily(values, 1 / n))];
      },
    },
    {
      kind: 'sum over the batch',
      expressions: ["np.einsum('nij,nj->i', J, g)", 'dx.sum(axis=0)', 'dx.mean(axis=0)'],
      gives: (problem) =>
        [...rightProduct.gives(problem), ...rightLoss.gives(problem)].flatMap(({ formula, values }) => {
          if (typeof values === 'function') return [];
          const sums = columnSums(problem, values);
          const sum = `Σ_n ${asFactor(formula)}`;
          return [candidate(sum, sums), candidate(`(${sum}) / n`, scaled(sums, 1 / problem.n))];
        }),
    },
  ],
};

function columnSums({ n, f }: Problem, g: Float64Array): Float64Array {
  const sums = new Float64Array(f);
  for (let k = 0; k < n * f; k++) sums[k % f] = at(sums, k % f) + at(g, k);
  return sums;
}

/** Σ_n J_n, (f, f). */
function summedJacobian({ s, n, f, temperature }: Problem): Float64Array {
  const matrix = new Float64Array(f * f);
  for (let first = 0; first < n * f; first += f) {
    for (let i = 0; i < f; i++) {
      for (let j = 0; j < f; j++) {
        const own = i === j ? 1 : 0;
        matrix[i * f + j] = at(matrix, i * f + j) + (at(s, first + i) * (own - at(s, first + j))) / temperature;
      }
    }
  }
  return matrix;
}

const ofOneJacobian =
  'Of the Jacobian of one row alone, (f, f), it is the sum or mean of its columns, which is always 0: the mistake of J.sum(axis=1).';

const batchJacobian: Mistake = {
  id: 'batch-jacobian',
  neutral: true,
  name: 'one Jacobian for the whole batch',
  what: 'one (f, f) matrix for all samples: the mean or sum of their Jacobians, or the Jacobian at their mean',
  why: 'J depends on s, so every sample has its own: (n, f) → (n, f, f). Averaging Jacobians before the product is not averaging the products.',
  forms: [
    {
      kind: 'one jacobian for the batch',
      expressions: ['J.mean(axis=0)', 'J.sum(axis=0)'],
      caveats: { 'J.mean(axis=0)': ofOneJacobian, 'J.sum(axis=0)': ofOneJacobian },
      gives: (problem) => {
        const { n, f } = problem;
        // If n = f, a gradient (n, f) has this shape too and is far more likely, so large ones are skipped.
        if (n === f && n * f * f > affordable) return [];
        const sum = summedJacobian(problem);
        const mean = scaled(columnSums(problem, problem.s), 1 / problem.n);
        const one = { ...problem, n: 1, s: mean };
        return [
          candidate('Σ_n J_n', sum),
          candidate('Σ_n J_n / n', scaled(sum, 1 / problem.n)),
          candidate('the Jacobian at the mean of s', jacobianEntries(one)),
        ];
      },
    },
  ],
};

const ofOneRow = 'Of one row alone it is right.';

const flattenedBatch: Mistake = {
  id: 'flattened-batch',
  name: 'batch flattened into one row',
  what: 'the Jacobian of all samples written one after the other, as if they were one row (or that summed)',
  why: 'np.diag(s.flatten()) − np.outer(s, s) is (n f, n f) and lets samples act on each other, though each row adds up to 1 on its own. Samples are independent: one (f, f) Jacobian each.',
  forms: [
    {
      kind: 'jacobian of the flattened batch',
      expressions: ['np.diag(s.flatten()) - np.outer(s, s)', 'np.diagflat(s) - np.outer(s, s)'],
      caveats: {
        'np.diag(s.flatten()) - np.outer(s, s)': ofOneRow,
        'np.diagflat(s) - np.outer(s, s)': ofOneRow,
      },
      gives: (problem) => {
        const flat = { ...problem, n: 1, f: problem.n * problem.f };
        const { s, temperature } = problem;
        const values = entries(flat, (i, j, same) => ((same ? at(s, i) : 0) - at(s, i) * at(s, j)) / temperature);
        return [candidate('diag(s) − s sᵀ of all samples as one row', values)];
      },
    },
    {
      kind: 'gradient',
      ofBatch: true,
      expressions: [],
      gives: (problem) => {
        const { s, g, n, temperature } = problem;
        if (n === 1) return [];
        const sums = (k: number) => (at(s, k) * (1 - n)) / temperature;
        const found = [candidate('(1 − n) s, the row sums of the flattened Jacobian', sums)];
        if (g) found.push(candidate('(1 − n) s ⊙ g', (k) => sums(k) * at(g, k)));
        return found;
      },
    },
  ],
};

export const batches: readonly Mistake[] = [batchContracted, batchJacobian, flattenedBatch];
