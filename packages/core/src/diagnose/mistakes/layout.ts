import type { Rows } from '../../backend.js';
import {
  type Candidate,
  candidate,
  each,
  entries,
  type Form,
  type Kind,
  lossFactors,
  type Mistake,
  scaled,
} from '../form.js';
import type { Problem } from '../problem.js';
import { eachRow, softmaxRows } from '../rows.js';
import { jacobianEntries, rightJacobian, rightLoss, rightProduct, vjp } from './right.js';

/** Right arithmetic along the wrong dimension, in the wrong order, or across the rows of the batch. */

interface Wrong {
  readonly along: string;
  readonly rows: Rows;
}

/** The other ways of cutting an (n, f) matrix into rows: along each batch dimension, and (for more than one row) not at all. */
function wrongRows({ batch, n, f, axis }: Problem): Wrong[] {
  const whole: Wrong = { along: 'the whole array', rows: { outer: 1, classes: n * f, inner: 1 } };
  const found = n === 1 ? [] : [whole];
  let outer = 1;
  let inner = n * f;
  batch.forEach((classes, d) => {
    inner /= classes;
    if (classes > 1 || n === 1) found.push({ along: `axis ${d < axis ? d : d + 1}`, rows: { outer, classes, inner } });
    outer *= classes;
  });
  return found;
}

const wrongAxis: Mistake = {
  id: 'wrong-axis',
  name: 'wrong axis',
  what: 'the derivative along another dimension than the one that adds up to 1 (or over the whole array)',
  why: 'Softmax, its ⟨s, g⟩ and its Jacobian all run over the classes of one sample: s.sum(axis) must be 1 for every row. A sum without an axis, or over axis 0, mixes samples.',
  forms: [
    {
      kind: 'gradient',
      expressions: [
        's * (g - (s * g).sum())',
        's * (g - np.sum(s * g))',
        's * (g - (s * g).sum(axis=0))',
        's * (g - (s * g).sum(axis=0, keepdims=True))',
      ],
      gives: (problem) => wrongRows(problem).flatMap((wrong) => alongWrongRows(problem, wrong)),
    },
    {
      kind: 'jacobian',
      expressions: [],
      gives: (problem) => {
        const { x, temperature } = problem;
        if (!x) return [];
        return wrongRows(problem).map(({ along, rows }) => {
          // Rows of these do not add up to 1.
          const wrong = softmaxRows(x, rows, temperature);
          const values = entries(problem, (i, j, same) => ((same ? wrong[i] : 0) - wrong[i] * wrong[j]) / temperature);
          return candidate(`the Jacobian of softmax along ${along}`, values);
        });
      },
    },
    {
      kind: 'jacobian along the other axis',
      expressions: [],
      gives: (problem) => {
        const { x, n, f, temperature } = problem;
        if (!x || problem.shape.length !== 2 || n === 1) return [];
        const other = softmaxRows(x, { outer: 1, classes: n, inner: f }, temperature);
        const transposed = new Float64Array(n * f);
        for (let k = 0; k < n * f; k++) transposed[(k % f) * n + Math.floor(k / f)] = other[k];
        const values = jacobianEntries({ ...problem, n: f, f: n }, transposed);
        return [candidate(`the Jacobians along axis ${1 - problem.axis}`, values)];
      },
    },
  ],
};

function alongWrongRows(problem: Problem, { along, rows }: Wrong): Candidate[] {
  const { x, s, g, y, temperature } = problem;
  const found: Candidate[] = [];
  if (g) {
    found.push(productAlong(problem, s, g, rows, `s ⊙ (g − Σ s g) with the sum along ${along}`));
  }
  if (!x) return found;
  const wrong = softmaxRows(x, rows, temperature);
  if (g) {
    if (rows.classes > 1) found.push(productAlong(problem, wrong, g, rows, `softmax and its product along ${along}`));
    const classes = { outer: problem.n, classes: problem.f, inner: 1 };
    found.push(productAlong(problem, wrong, g, classes, `softmax along ${along}, the product along the classes`));
  }
  for (const { factor, over } of lossFactors(problem)) {
    if (!y) continue;
    const values = each(problem, (k) => ((wrong[k] - y[k]) * factor) / temperature);
    found.push(candidate(`s − y${over} with softmax along ${along}`, values));
  }
  return found;
}

function productAlong(problem: Problem, s: Float64Array, g: Float64Array, rows: Rows, formula: string): Candidate {
  const { temperature } = problem;
  const absolute = g.map(Math.abs);
  const inner = summedAlong(s, g, rows);
  const absoluteInner = summedAlong(s, absolute, rows);
  return {
    formula,
    values: each(problem, (k) => (s[k] * (g[k] - inner[k])) / temperature),
    terms: each(problem, (k) => (s[k] * (absolute[k] + absoluteInner[k])) / temperature),
  };
}

/** Σ s g of the rows, written to each of their entries. */
function summedAlong(s: Float64Array, g: Float64Array, rows: Rows): Float64Array {
  const sums = new Float64Array(s.length);
  eachRow(rows, (first, step) => {
    const end = first + step * rows.classes;
    let sum = 0;
    for (let k = first; k < end; k += step) sum += s[k] * g[k];
    for (let k = first; k < end; k += step) sums[k] = sum;
  });
  return sums;
}

const transposed: Mistake = {
  id: 'transposed',
  name: 'transposed',
  what: 'the right derivative with its dimensions exchanged',
  why: 'A gradient has the layout of what it is the gradient of: rows are samples where the rows of x are. reshape reorders nothing in memory and is no transpose.',
  forms: [
    relabelled(rightProduct, 'transposed gradient', (formula) => `(${formula})ᵀ`),
    relabelled(rightLoss, 'transposed gradient', (formula) => `(${formula})ᵀ`),
    relabelled(rightJacobian, 'transposed jacobian', () => 'J with the batch as its last dimension'),
    ...[rightProduct, rightLoss].map(
      (form): Form => ({
        kind: 'gradient',
        expressions: form === rightProduct ? ['dx.T.reshape(s.shape)'] : [],
        gives: (problem) => {
          if (problem.shape.length !== 2 || problem.n === 1 || problem.f === 1) return [];
          return form.gives(problem).map(({ formula, values, terms }) => ({
            formula: `(${formula}).T.reshape(${problem.shape.join(', ')})`,
            values: reshaped(values, problem),
            terms: reshaped(terms, problem),
          }));
        },
      }),
    ),
  ],
};

function relabelled(form: Form, kind: Kind, formula: (of: string) => string): Form {
  return {
    kind,
    expressions: [],
    gives: (problem) =>
      problem.n * problem.f === 1
        ? []
        : form.gives(problem).map((right) => ({ ...right, formula: formula(right.formula) })),
  };
}

/** The matrix in the caller's layout, transposed and read in its old shape again, with classes last. */
function reshaped(values: Candidate['values'], { n, f, axis }: Problem): (k: number) => number {
  return (k) => {
    const at = axis === 1 ? (k % n) * f + Math.floor(k / n) : (k % f) * n + Math.floor(k / f);
    return typeof values === 'function' ? values(at) : values[at];
  };
}

/** Most multiplications that a batch's summed Jacobian is worth. */
const affordable = 1e8;

const batchContracted: Mistake = {
  id: 'batch-contracted',
  name: 'samples mixed in the product',
  what: "Jacobians multiplied by other samples' upstream gradients, or results added up over the batch",
  why: "Each sample has its own Jacobian and its own upstream: dx_n = J_n g_n. An einsum must keep n on both sides ('nij,nj->ni'); np.dot, tensordot and sum(axis=0) add over the batch.",
  forms: [
    {
      kind: 'gradient',
      expressions: ["np.einsum('nij,mj->ni', J, g)", 'J @ g.sum(axis=0)'],
      gives: (problem) => {
        const { g, n } = problem;
        if (!g || n === 1) return [];
        const sums = columnSums(problem, g);
        const values = vjp(
          problem,
          each(problem, (_k, _row, i) => sums[i]),
        );
        return [candidate('J_n Σ_m g_m', values), candidate('J_n Σ_m g_m / n', scaled(values, 1 / n))];
      },
    },
    {
      kind: 'gradient',
      expressions: ['g @ J.sum(axis=0)', 'g @ J.mean(axis=0)'],
      gives: (problem) => {
        const { g, n, f } = problem;
        if (!g || n === 1 || n * f * f > affordable) return [];
        const matrix = summedJacobian(problem);
        const values = each(problem, (_k, row, i) => {
          let sum = 0;
          for (let j = 0; j < f; j++) sum += matrix[i * f + j] * g[row * f + j];
          return sum;
        });
        return [candidate('(Σ_m J_m) g_n', values), candidate('(Σ_m J_m / n) g_n', scaled(values, 1 / n))];
      },
    },
    {
      kind: 'sum over the batch',
      expressions: ["np.einsum('nij,nj->i', J, g)", 'dx.sum(axis=0)'],
      gives: (problem) =>
        [...rightProduct.gives(problem), ...rightLoss.gives(problem)].flatMap(({ formula, values }) => {
          if (typeof values === 'function') return [];
          const sums = columnSums(problem, values);
          return [candidate(`Σ_n ${formula}`, sums), candidate(`Σ_n ${formula} / n`, scaled(sums, 1 / problem.n))];
        }),
    },
  ],
};

function columnSums({ n, f }: Problem, g: Float64Array): Float64Array {
  const sums = new Float64Array(f);
  for (let k = 0; k < n * f; k++) sums[k % f] += g[k];
  return sums;
}

/** Σ_n J_n, (f, f). */
function summedJacobian({ s, n, f, temperature }: Problem): Float64Array {
  const matrix = new Float64Array(f * f);
  for (let first = 0; first < n * f; first += f) {
    for (let i = 0; i < f; i++) {
      for (let j = 0; j < f; j++) {
        const own = i === j ? 1 : 0;
        matrix[i * f + j] += (s[first + i] * (own - s[first + j])) / temperature;
      }
    }
  }
  return matrix;
}

const batchJacobian: Mistake = {
  id: 'batch-jacobian',
  name: 'one Jacobian for the whole batch',
  what: 'one (f, f) matrix for all samples: the mean or sum of their Jacobians, or the Jacobian at their mean',
  why: 'J depends on s, so every sample has its own: (n, f) → (n, f, f). Averaging Jacobians before the product is not averaging the products.',
  forms: [
    {
      kind: 'one jacobian for the batch',
      expressions: ['J.mean(axis=0)', 'J.sum(axis=0)'],
      gives: (problem) => {
        const { n, f } = problem;
        // An (n, f) gradient with n = f has this shape too, and hardly ever is it this.
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

const flattenedBatch: Mistake = {
  id: 'flattened-batch',
  name: 'batch flattened into one row',
  what: 'the Jacobian of all samples written one after the other, as if they were one row (or that summed)',
  why: 'np.diag(s.flatten()) − np.outer(s, s) is (n f, n f) and lets samples act on each other, though each row adds up to 1 on its own. Samples are independent: one (f, f) Jacobian each.',
  forms: [
    {
      kind: 'jacobian of the flattened batch',
      expressions: ['np.diag(s.flatten()) - np.outer(s, s)', 'np.diagflat(s) - np.outer(s, s)'],
      gives: (problem) => {
        const flat = { ...problem, n: 1, f: problem.n * problem.f };
        const { s, temperature } = problem;
        const values = entries(flat, (i, j, same) => ((same ? s[i] : 0) - s[i] * s[j]) / temperature);
        return [candidate('diag(s) − s sᵀ of all samples as one row', values)];
      },
    },
    {
      kind: 'gradient',
      expressions: [],
      gives: (problem) => {
        const { s, g, n, temperature } = problem;
        if (n === 1) return [];
        const sums = s.map((value) => (value * (1 - n)) / temperature);
        const found = [candidate('(1 − n) s, the row sums of the flattened Jacobian', sums)];
        if (g)
          found.push(
            candidate(
              '(1 − n) s ⊙ g',
              sums.map((value, k) => value * g[k]),
            ),
          );
        return found;
      },
    },
  ],
};

export const layouts: readonly Mistake[] = [wrongAxis, transposed, batchContracted, batchJacobian, flattenedBatch];
