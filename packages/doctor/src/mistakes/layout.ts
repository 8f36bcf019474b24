import type { Rows } from '@softgrad/core';
import { at } from '../at.js';
import { largestOf } from '../compare.js';
import { lossFactors } from '../cotangents.js';
import { candidate } from '../define-form.js';
import { jacobianEntries, vjp } from '../derivatives.js';
import type { Candidate, Form, Kind, Mistake } from '../form.js';
import { dividedBy } from '../formula.js';
import { eachEntry, innerProducts, rowSums, softmaxRows } from '../host-softmax.js';
import { everyLayer } from '../input.js';
import { byIndex, each, entries } from '../numbers.js';
import type { Problem } from '../problem.js';
import { rightJacobian, rightProduct } from './right.js';
import { rightLoss } from './right-loss.js';

/** The correct formula along the wrong dimension, or with dimensions in the wrong order. */

interface Wrong {
  readonly along: string;
  readonly rows: Rows;
}

/**
 * The wrong choices of the softmax dimensions of an (n, f) matrix: each batch dimension, adjacent dimensions together (ONNX's
 * softmax before opset 13 flattens all dimensions from its axis on), and, for more than one row, the whole array.
 */
function wrongRows({ batch, n, f, axis }: Problem): Wrong[] {
  const sizes = [...batch, f];
  const names = [...batch.map((_, d) => (d < axis ? d : d + 1)), axis];
  const found: Wrong[] = [];
  for (let first = 0; first < sizes.length; first++) {
    for (let end = first + 1; end <= sizes.length; end++) {
      const classes = product(sizes.slice(first, end));
      const rows = { outer: product(sizes.slice(0, first)), classes, inner: product(sizes.slice(end)) };
      const whole = first === 0 && end === sizes.length;
      const right = rows.inner === 1 && classes === f;
      if (right || (whole && n === 1) || (classes === 1 && n > 1)) continue;
      const along = names.slice(first, end).sort((a, b) => a - b);
      const axes = along.length === 1 ? `axis ${along[0]}` : `axes ${along.join(' and ')} together`;
      found.push({ along: whole ? 'the whole array' : axes, rows });
    }
  }
  return found;
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((all, size) => all * size, 1);
}

const wrongAxis: Mistake = {
  id: 'wrong-axis',
  name: 'wrong axis',
  what: 'the derivative along another dimension than the one that adds up to 1 (or over the whole array)',
  why: 'Softmax, its ⟨s, g⟩ and its Jacobian all run over the classes of one sample: s.sum(axis) must be 1 for every row. A sum without an axis, or over axis 0, mixes samples.',
  forms: [
    {
      kind: 'gradient',
      ofBatch: true,
      expressions: [
        's * (g - (s * g).sum())',
        's * (g - (s * g).sum(axis=0))',
        's * (g - (s * g).sum(axis=0, keepdims=True))',
        'np.exp(x) / np.sum(np.exp(x))',
        'np.exp(x - np.max(x)) / np.sum(np.exp(x - np.max(x)))',
        'np.exp(x) / np.sum(np.exp(x), axis=0)',
        'np.exp(x) / np.sum(np.exp(x), axis=0, keepdims=True)',
        'np.exp(x - np.max(x)) / np.sum(np.exp(x - np.max(x)), axis=0)',
      ],
      caveats: {
        'np.exp(x) / np.sum(np.exp(x))':
          'Of one row alone the axis is no matter; what is missing then is the shift by the maximum.',
        'np.exp(x - np.max(x)) / np.sum(np.exp(x - np.max(x)))': 'Of one row alone it is right.',
        's * (g - (s * g).sum())': 'Of one row alone it is right.',
        's * (g - (s * g).sum(axis=0))': 'Of one row alone, or of classes along axis 0, it is right.',
        'np.exp(x) / np.sum(np.exp(x), axis=0, keepdims=True)':
          'Of classes along axis 0 the axis is right; what is missing then is the shift by the maximum.',
        'np.exp(x) / np.sum(np.exp(x), axis=0)':
          'Of one row alone, or of classes along axis 0, the axis is right; what is missing then is the shift by the maximum.',
        'np.exp(x - np.max(x)) / np.sum(np.exp(x - np.max(x)), axis=0)':
          'Of one row alone it is right; of classes along axis 0 the shift must be the maximum along it.',
        's * (g - (s * g).sum(axis=0, keepdims=True))':
          'Of classes that are along axis 0 it is right: then give the axis as well.',
      },
      gives: (problem) => wrongRows(problem).flatMap((wrong) => alongWrongRows(problem, wrong)),
    },
    {
      kind: 'jacobian',
      expressions: [],
      gives: (problem) => {
        const { x, temperature } = problem;
        if (!x) return [];
        return wrongRows(problem).map(({ along, rows }) => {
          // The probabilities of one sample do not add up to 1 here.
          const wrong = softmaxRows(x, rows, temperature);
          const values = entries(
            problem,
            (i, j, same) => ((same ? at(wrong, i) : 0) - at(wrong, i) * at(wrong, j)) / temperature,
          );
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
        for (let k = 0; k < n * f; k++) transposed[(k % f) * n + Math.floor(k / f)] = at(other, k);
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
    const values = (k: number) => ((at(wrong, k) - at(y, k)) * factor) / temperature;
    found.push(candidate(`${dividedBy('s − y', over)} with softmax along ${along}`, values));
  }
  return found;
}

function productAlong(problem: Problem, s: Float64Array, g: Float64Array, rows: Rows, formula: string): Candidate {
  const { temperature } = problem;
  const { inner, absolute } = summedAlong(s, g, rows);
  return {
    formula,
    values: (k) => (at(s, k) * (at(g, k) - inner(k))) / temperature,
    terms: (k) => (at(s, k) * (Math.abs(at(g, k)) + absolute(k))) / temperature,
  };
}

/** Σ s g and Σ s |g| over the row of each entry. */
function summedAlong(s: Float64Array, g: Float64Array, rows: Rows) {
  const { outer, classes, inner } = rows;
  const sums = new Float64Array(outer * inner);
  const sizes = new Float64Array(outer * inner);
  eachEntry(rows, (k, row) => {
    sums[row] = at(sums, row) + at(s, k) * at(g, k);
    sizes[row] = at(sizes, row) + at(s, k) * Math.abs(at(g, k));
  });
  const rowOf = (k: number) => Math.floor(k / (classes * inner)) * inner + (k % inner);
  return { inner: (k: number) => at(sums, rowOf(k)), absolute: (k: number) => at(sizes, rowOf(k)) };
}

const transposed: Mistake = {
  id: 'transposed',
  layers: everyLayer,
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
        ofBatch: true,
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

/** The matrix transposed in the caller's layout and reshaped to its original shape, with classes last. */
function reshaped(values: Candidate['values'], { n, f, axis }: Problem): (k: number) => number {
  const valueAt = byIndex(values);
  return (k) => valueAt(axis === 1 ? (k % n) * f + Math.floor(k / n) : (k % f) * n + Math.floor(k / f));
}

/** Row sums without keepdims: NumPy broadcasts the shape (n,) along the classes. */
const keepdimsMissing: Mistake = {
  id: 'keepdims-missing',
  name: 'keepdims missing',
  what: 'a sum over the classes without keepdims: it has the shape (n,), and broadcasting lays it along the classes, not along the rows',
  why: 'A sum over axis 1 is one number a row; to subtract it from that row, or divide the row by it, it must have the shape (n, 1): keepdims=True. Without it the line fails unless n = f (or there is one row), and then row k uses the sums of all rows.',
  forms: [
    {
      kind: 'gradient',
      ofBatch: true,
      expressions: ['s * (g - (s * g).sum(axis=1))', 'np.exp(x) / np.exp(x).sum(axis=1)'],
      gives: (problem) => {
        const { n, f, s, x, g, y, shape } = problem;
        if (n !== f || n === 1 || shape.length !== 2) return [];
        const found: Candidate[] = [];
        const byColumn = (sums: Float64Array) => Float64Array.from({ length: n * f }, (_, k) => at(sums, k % f));
        if (g) {
          const inner = byColumn(innerProducts(s, g, n, f));
          const values = each(problem, (k) => (at(s, k) * (at(g, k) - at(inner, k))) / problem.temperature);
          found.push(candidate('s ⊙ (g − ⟨s, g⟩) with the sums of other rows', values));
        }
        if (!x) return found;
        const largest = largestOf(x);
        const e = x.map((value) => Math.exp((value - largest) / problem.temperature));
        const sums = byColumn(rowSums(e, n, f));
        const wrong = e.map((value, k) => value / at(sums, k));
        if (g) found.push(candidate('s ⊙ (g − ⟨s, g⟩), s divided by the sums of other rows', vjp(problem, g, wrong)));
        for (const { factor, over } of lossFactors(problem)) {
          if (!y) continue;
          const values = each(problem, (k) => ((at(wrong, k) - at(y, k)) * factor) / problem.temperature);
          found.push(candidate(`${dividedBy('s − y', over)}, s divided by the sums of other rows`, values));
        }
        return found;
      },
    },
  ],
};

export const layouts: readonly Mistake[] = [wrongAxis, keepdimsMissing, transposed];
