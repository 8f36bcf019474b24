import { each, entries, type Form, jacobian, loss, type Mistake, product, scaled } from '../form.js';
import { vjpRows } from '../host-softmax.js';
import type { Problem } from '../problem.js';

/** s ⊙ (g − ⟨s, g⟩) / T. */
export function vjp(problem: Problem, g: Float64Array, s: Float64Array = problem.s): Float64Array {
  const rows = { outer: problem.n, classes: problem.f, inner: 1 };
  return scaled(vjpRows(s, g, rows), 1 / problem.temperature);
}

/** (s Σy − y) / T: s − y for a target that adds up to 1. */
export function lossGradient(problem: Problem, y: Float64Array): Float64Array {
  const { s, n, f, temperature } = problem;
  const sums = new Float64Array(n);
  for (let row = 0; row < n; row++) for (let k = row * f; k < (row + 1) * f; k++) sums[row] += y[k];
  return each(problem, (k, row) => (s[k] * sums[row] - y[k]) / temperature);
}

/** The Jacobian's entries (s_i δ_ij − s_i s_j) / T. */
export function jacobianEntries(problem: Problem, s: Float64Array = problem.s): (k: number) => number {
  const { f, temperature } = problem;
  // 1 − s_i as the sum of the others: nothing cancels where s is nearly one-hot.
  const others = s.map((value, k) => {
    if (value < 0.5) return 1 - value;
    const first = k - (k % f);
    let sum = 0;
    for (let j = first; j < first + f; j++) if (j !== k) sum += s[j];
    return sum;
  });
  return entries(problem, (i, j, same) => (same ? s[i] * others[i] : -s[i] * s[j]) / temperature);
}

const oneProduct =
  "One row only, J (f, f) and g (f,): of a batch, J (n, f, f) and g (n, f), @ multiplies other things; write np.einsum('nij,nj->ni', J, g).";

const products: Form = product(
  's ⊙ (g − ⟨s, g⟩)',
  [
    's * (g - (s * g).sum(axis=1, keepdims=True))',
    's * g - s * (s * g).sum(axis=1, keepdims=True)',
    "np.einsum('nij,nj->ni', J, g)",
    "np.einsum('nij,ni->nj', J, g)",
    'J @ g',
    'J.T @ g',
  ],
  (problem, g) => (g.symbol === 'g' ? vjp(problem, g.values) : null),
);

/** The vector-Jacobian product of the upstream that was given. */
export const rightProduct: Form = {
  ...products,
  caveats: { 'J @ g': oneProduct, 'J.T @ g': oneProduct },
};

export const rightLoss: Form = {
  ...loss('s − y', ['s - y', '(s - y) / n'], lossGradient),
  reductions: { 's - y': 'sum', '(s - y) / n': 'mean' },
  caveats: {
    's - y': "That is the gradient of the sum of the rows' losses; of their mean it is (s - y) / n.",
    '(s - y) / n': "That is the gradient of the mean of the rows' losses; of their sum it is s - y.",
  },
};

/** The Jacobian, whether or not it is what was asked for. */
export const rightJacobian: Form = {
  ...jacobian('diag(s) − s sᵀ', ['np.diag(s) - np.outer(s, s)', 'np.diagflat(s) - np.dot(s, s.T)'], (problem) =>
    jacobianEntries(problem),
  ),
  caveats: {
    'np.diag(s) - np.outer(s, s)': 'One row only, s of shape (f,): of a batch, np.diag(s) takes a diagonal.',
    'np.diagflat(s) - np.dot(s, s.T)':
      'Only where s is one row as a column, of shape (f, 1): of shape (f,), s.T is s and np.dot(s, s.T) a single number.',
  },
};

/** The Jacobian as an answer: it is none where it still has to be multiplied. */
const wantedJacobian: Form = {
  ...rightJacobian,
  gives: (problem) => (problem.g || problem.y ? [] : rightJacobian.gives(problem)),
};

export const right: Mistake = {
  id: 'right',
  name: 'right',
  what: 'the right derivative',
  why: 'J = diag(s) − s sᵀ, and the gradient is the product Jᵀ g = s ⊙ (g − ⟨s, g⟩), which for the cross-entropy is s − y.',
  forms: [rightProduct, rightLoss, wantedJacobian],
};
