import { at } from '../at.js';
import { type Given, measure, noiseLevels, relativeErrors } from '../compare.js';
import { cotangent, type LossFactor, lossFactors } from '../cotangents.js';
import { candidate, gradient, jacobian, loss, product } from '../define-form.js';
import { jacobianOfLogSoftmax, layerJacobian, lossGradient, ofKept, vjp } from '../derivatives.js';
import type { Candidate, Mistake } from '../form.js';
import { everyLayer, ofCrossEntropy } from '../input.js';
import { inEachLayer, productOf } from '../layer-formulas.js';
import { byIndex, each, entries, lazily } from '../numbers.js';
import { batchSize, type Problem } from '../problem.js';
import { rightJacobian, rightProduct } from './right.js';
import { followsUpstream, rightLoss } from './right-loss.js';

/** Mistakes in the product with the upstream gradient: left out, applied twice, or with part of the formula missing. */

/** Of a softmax. */
const vjpFormula = `dx = Jᵀ g = ${productOf.softmax}`;

/** The magnitude of the terms of formulas without the factor s: the largest |g| of the row. */
function cotangentTerms(problem: Problem, g: Float64Array): Float64Array {
  const { n, f, temperature } = problem;
  const largest = new Float64Array(n);
  for (let k = 0; k < n * f; k++) {
    const row = Math.floor(k / f);
    largest[row] = Math.max(at(largest, row), Math.abs(at(g, k)));
  }
  return each(problem, (_k, row) => at(largest, row) / temperature);
}

const upstreamMissing: Mistake = {
  id: 'upstream-missing',
  name: 'upstream gradient missing',
  layers: everyLayer,
  what: inEachLayer(
    (of) =>
      `a derivative without the upstream gradient, or with it on the target alone: that of the layer on its own, or of the ${of.nameOfLoss} of the target`,
  ),
  why: inEachLayer(
    (of) =>
      `The chain rule multiplies by the gradient that arrives from the loss: dx = Jᵀ g = ${of.product}. J alone, (n, f, f), or one of its rows says how the output moves, not how the loss does; and ${of.error} is the gradient of the ${of.nameOfLoss} only.`,
  ),
  forms: [
    {
      kind: 'jacobian',
      expressions: [],
      gives: (problem) =>
        problem.g || problem.y
          ? rightJacobian
              .gives(problem)
              .map((found) => ({ ...found, formula: `${found.formula}, not multiplied by g` }))
          : [],
    },
    gradient('∂s_t/∂x, t the target', ['J[np.arange(n), target]', 's[t] * (y - s)'], (problem) =>
      ofTargetClass(problem),
    ),
    {
      kind: 'gradient',
      expressions: [],
      gives: (problem) =>
        [...lossOtherThanUpstream(problem), ...lossWithoutRows(problem)].map((found) => ({
          ...found,
          formula: `${found.formula}, without the upstream gradient`,
        })),
    },
    loss('s − g y, the upstream gradient of the losses on the target alone', [], (problem, y) =>
      lossWithoutRows(problem).length > 0
        ? problem.s.map((value, k) => (value - at(y, k)) / problem.temperature)
        : null,
    ),
  ],
};

function ofTargetClass(problem: Problem): Float64Array | null {
  const { y, layer } = problem;
  return y && layer !== 'sigmoid' && layer !== 'log-softmax' ? vjp(problem, y) : null;
}

/** The gradients of the target's cross-entropy, if the upstream gradient is that of another loss; otherwise none. */
export function lossOtherThanUpstream(problem: Problem): readonly Candidate[] {
  if (!followsUpstream(problem)) return [];
  const through = rightProduct.gives(problem).map((found) => measure(valuesOf(problem, found)));
  const all = rightLoss.gives({ ...problem, g: null });
  return agreesWithOneOf(problem, all, through) ? [] : all;
}

/** The gradients of the cross-entropy without the upstream gradient of its losses, if that was given and makes a difference. */
function lossWithoutRows(problem: Problem): readonly Candidate[] {
  const { target, upstreamOfRows, layer } = problem;
  if (!target || !upstreamOfRows || layer === 'sigmoid') return [];
  const own = rightLoss.gives(problem).map((found) => measure(valuesOf(problem, found)));
  const all = rightLoss.gives({ ...problem, y: target.y, upstreamOfRows: null });
  return agreesWithOneOf(problem, all, own) ? [] : all;
}

function agreesWithOneOf(problem: Problem, all: readonly Candidate[], given: readonly Given[]): boolean {
  const [level] = noiseLevels(problem.f, true).slice(-1);
  return (
    level !== undefined &&
    all.some((found) => given.some((one) => (relativeErrors(one, found, [level])[0] ?? 1) <= alike))
  );
}

function valuesOf(problem: Problem, { values }: Candidate): Float64Array {
  const valueAt = byIndex(values);
  return each(problem, valueAt);
}

/** Gradients with a smaller relative difference are of the same loss, with few digits. */
const alike = 1e-2;

const jacobianSkipped: Mistake = {
  id: 'jacobian-skipped',
  layers: everyLayer,
  name: 'passed on without the Jacobian',
  what: inEachLayer(
    (of) =>
      `the upstream gradient itself (for the ${of.nameOfLoss}: ${of.upstream}), handed on as if the layer were not there`,
  ),
  why: inEachLayer(
    (of) =>
      `The gradient in the output of the layer still has to go through the layer: dx = Jᵀ g = ${of.product}. With g = ${of.upstream} that is ${of.error}.`,
  ),
  forms: [
    product('g', ['g', '-y / s', '-y / s / n'], (_, g) => g.values),
    // Of another layer than a softmax it is not the gradient of the cross-entropy in the output.
    loss('−y / s', [], ({ s, f, layer }, y) =>
      f > 1 && (layer === 'log-softmax' || layer === 'sigmoid') && !s.includes(0)
        ? s.map((value, k) => -at(y, k) / value)
        : null,
    ),
  ],
};

/** softmax.vjp(s, s − y), which has the Jacobian of softmax written out. */
export const errorThroughSoftmax = 's * ((s - y) - (s * (s - y)).sum(axis=1, keepdims=True))';

/** J (s − y), which is also the gradient of ½‖s − y‖². */
export const jacobianOfError: readonly string[] = [
  'J @ (s - y)',
  'J.T @ (s - y)',
  '(s - y) @ J',
  "np.einsum('nij,nj->ni', J, s - y)",
  "np.einsum('nij,ni->nj', J, s - y)",
  errorThroughSoftmax,
];

const jacobianTwice: Mistake = {
  id: 'jacobian-twice',
  layers: ofCrossEntropy,
  name: 'multiplied by the Jacobian again',
  what: "the right gradient multiplied by the Jacobian once more; the cross-entropy's s − y has been through the layer already",
  why: {
    softmax:
      's − y is ∂L/∂x, in the logits: J is in it (Jᵀ (−y / s) = s − y). Passing it through J again gives J (s − y), which also vanishes where s is nearly one-hot.',
    'log-softmax':
      's − y is ∂L/∂x, in the logits: J is in it (Jᵀ (−y) = s − y). Passing it through J again gives J (s − y), which is (s − y) − ⟨s, s − y⟩.',
  },
  forms: [
    // Of a log-softmax, whose Jacobian is not symmetric.
    loss('J (s − y)', [], (problem, y) => {
      if (problem.layer !== 'log-softmax' || problem.f < 2) return null;
      const error = lossGradient(problem, y);
      const { inner } = cotangent(problem, '', error);
      return each(problem, (k, row) => (at(error, k) - at(inner, row)) / problem.temperature);
    }),
    {
      kind: 'gradient',
      expressions: jacobianOfError,
      gives: (problem) => {
        const { y, layer } = problem;
        // Of layer 'softmax' it is the gradient of the loss ½‖s − y‖².
        if (!y || layer === 'softmax' || layer === 'log-softmax') return [];
        const { terms, values } = cotangent(problem, '', lossGradient(problem, y));
        const unscaled = vjp(problem, values);
        return anyReduction(problem).map(({ factor, over }) => ({
          formula: `J (s − y)${over}`,
          values: lazily(unscaled, factor),
          terms: lazily(terms, factor),
        }));
      },
    },
    product('J J g', ['J @ J @ g'], (problem, g) =>
      g.symbol === 'g' && problem.layer !== 'log-softmax' ? vjp(problem, vjp(problem, g.values)) : null,
    ),
  ],
};

/** Sum and mean, whichever reduction was given, and the divisor of a weighted mean. */
function anyReduction(problem: Problem): readonly Pick<LossFactor, 'factor' | 'over'>[] {
  const all = [{ factor: 1, over: '' }, { factor: 1 / batchSize(problem), over: ' / n' }, ...lossFactors(problem)];
  return all.filter(({ factor }, k) => all.findIndex((other) => other.factor === factor) === k);
}

const upstreamTwice: Mistake = {
  id: 'upstream-twice',
  name: 'multiplied by the upstream twice',
  what: 'the right gradient multiplied by the upstream gradient once more, elementwise',
  why: `${vjpFormula} has the upstream in it already; a layer that multiplies what backward returns by the upstream applies it twice.`,
  forms: [
    product(
      'g ⊙ s ⊙ (g − ⟨s, g⟩)',
      ['g * s * (g - (s * g).sum(axis=1, keepdims=True))'],
      (problem, g) => vjp(problem, g.values).map((value, k) => value * at(g.values, k)),
      (_, g) => {
        const termAt = byIndex(g.terms);
        return (k) => termAt(k) * Math.abs(at(g.values, k));
      },
    ),
  ],
};

const notContracted: Mistake = {
  id: 'not-contracted',
  layers: everyLayer,
  name: 'multiplied by the upstream without summing',
  what: 'the Jacobian multiplied by the upstream gradient elementwise, not yet added up over the classes',
  why: inEachLayer(
    (of) =>
      `A matrix times a vector adds up: ${of.sums}. J * g keeps all f × f products. In one step: dx = Jᵀ g = ${of.product}.`,
  ),
  forms: [
    {
      kind: 'jacobian',
      expressions: ['J * g[:, None, :]', 'J * g[:, :, None]', 'J * g'],
      caveats: { 'J * g': 'One row only, J (f, f) and g (f,): of a batch the shapes do not fit, unless n = f.' },
      gives: (problem) => {
        const { g } = problem;
        if (!g) return [];
        const entry = byIndex(layerJacobian(problem).values);
        const { f } = problem;
        const byColumn = (k: number) => entry(k) * at(g, Math.floor(k / (f * f)) * f + (k % f));
        const byRow = (k: number) => entry(k) * at(g, Math.floor(k / f));
        return [candidate('J_ij g_j', byColumn), candidate('J_ij g_i', byRow)];
      },
    },
  ],
};

const probabilitiesMissing: Mistake = {
  id: 'probabilities-missing',
  name: 'not multiplied by s',
  what: 'g − ⟨s, g⟩, without the factor s in front',
  why: `${vjpFormula}: the difference is multiplied by the probabilities.`,
  forms: [
    product(
      'g − ⟨s, g⟩',
      ['g - (s * g).sum(axis=1, keepdims=True)'],
      (problem, g) => each(problem, (k, row) => (at(g.values, k) - at(g.inner, row)) / problem.temperature),
      (problem, g) => cotangentTerms(problem, g.values),
    ),
  ],
};

const innerProductMissing: Mistake = {
  id: 'inner-product-missing',
  name: '⟨s, g⟩ not subtracted',
  what: 's ⊙ g (as a matrix: diag(s)), without the part that comes from the sum under the fraction',
  why: `The denominator Σ exp x depends on every logit too, which gives −s sᵀ: ${vjpFormula}.`,
  forms: [
    product('s ⊙ g', ['s * g', '-y'], (problem, g) =>
      each(problem, (k) => (at(problem.s, k) * at(g.values, k)) / problem.temperature),
    ),
    jacobian('diag(s)', ['np.diag(s)'], (problem) =>
      entries(problem, (i, _, same) => (same ? at(problem.s, i) / problem.temperature : 0)),
    ),
  ],
};

const diagonalMissing: Mistake = {
  id: 'diagonal-missing',
  name: 'diagonal missing',
  what: 'the part off the diagonal alone, −s sᵀ (multiplied by the upstream: −s ⟨s, g⟩)',
  why: `J = diag(s) − s sᵀ: the diagonal is s_i (1 − s_i), so the product is ${vjpFormula}.`,
  forms: [
    // With g = −y / s this is s, which is the mistake 'target-missing'.
    product('−s ⟨s, g⟩', ['-s * (s * g).sum(axis=1, keepdims=True)'], (problem, g) =>
      g.symbol === 'g' ? each(problem, (k, row) => (-at(problem.s, k) * at(g.inner, row)) / problem.temperature) : null,
    ),
    product('−s ⊙ (⟨s, g⟩ − s ⊙ g)', [], (problem, g) =>
      each(problem, (k, row) => {
        const { s, temperature } = problem;
        return (-at(s, k) * (at(g.inner, row) - at(s, k) * at(g.values, k))) / temperature;
      }),
    ),
    jacobian('−s sᵀ', ['-np.outer(s, s)'], (problem) =>
      entries(problem, (i, j) => (-at(problem.s, i) * at(problem.s, j)) / problem.temperature),
    ),
    jacobian('−s sᵀ with a diagonal of 0', [], (problem) =>
      entries(problem, (i, j, same) => (same ? 0 : (-at(problem.s, i) * at(problem.s, j)) / problem.temperature)),
    ),
  ],
};

const outerProductAdded: Mistake = {
  id: 'outer-product-added',
  name: 's sᵀ added',
  what: 'diag(s) + s sᵀ: the outer product with the wrong sign, in all entries or in those off the diagonal',
  why: `J = diag(s) − s sᵀ: a class that gains takes from the others. ${vjpFormula}.`,
  forms: [
    product('s ⊙ (g + ⟨s, g⟩)', ['s * (g + (s * g).sum(axis=1, keepdims=True))'], (problem, g) =>
      each(problem, (k, row) => (at(problem.s, k) * (at(g.values, k) + at(g.inner, row))) / problem.temperature),
    ),
    product('s ⊙ ((1 − 2 s) ⊙ g + ⟨s, g⟩)', [], (problem, g) =>
      each(problem, (k, row) => {
        const own = at(problem.s, k);
        return (own * ((1 - 2 * own) * at(g.values, k) + at(g.inner, row))) / problem.temperature;
      }),
    ),
    jacobian('s_i (1 − s_i) on the diagonal, s_i s_j off it', [], (problem) =>
      entries(
        problem,
        (i, j, same) => (at(problem.s, i) * (same ? 1 - at(problem.s, i) : at(problem.s, j))) / problem.temperature,
      ),
    ),
    jacobian('diag(s) + s sᵀ', ['np.diag(s) + np.outer(s, s)'], (problem) =>
      entries(
        problem,
        (i, j, same) => ((same ? at(problem.s, i) : 0) + at(problem.s, i) * at(problem.s, j)) / problem.temperature,
      ),
    ),
  ],
};

const kroneckerMissing: Mistake = {
  id: 'kronecker-missing',
  name: 's_i (1 − s_j) everywhere',
  what: 's_i (1 − s_j) in all entries, where the 1 belongs on the diagonal only',
  why: `∂s_i/∂x_j = s_i (δ_ij − s_j): δ_ij is 1 only for i = j. ${vjpFormula}.`,
  forms: [
    product('s ⊙ (Σ g − ⟨s, g⟩)', [], (problem, g) => {
      const { s, n, f, temperature } = problem;
      const sums = new Float64Array(n);
      for (let row = 0; row < n; row++)
        for (let k = row * f; k < (row + 1) * f; k++) sums[row] = at(sums, row) + at(g.values, k);
      return each(problem, (k, row) => (at(s, k) * (at(sums, row) - at(g.inner, row))) / temperature);
    }),
    jacobian('s_i (1 − s_j)', ['np.outer(s, 1 - s)', 's[:, :, None] * (1 - s[:, None, :])'], (problem) =>
      entries(problem, (i, j) => (at(problem.s, i) * (1 - at(problem.s, j))) / problem.temperature),
    ),
  ],
};

const jacobianTransposed: Mistake = {
  id: 'jacobian-transposed',
  layers: ['log-softmax'],
  name: 'Jacobian not transposed',
  what: "the product with log-softmax's Jacobian as it stands, J g, or that Jacobian with its rows and columns exchanged",
  why: 'J_ij = ∂y_i/∂x_j = δ_ij − s_j is not symmetric, as that of softmax is. Backpropagation multiplies by its transpose, Jᵀ g = g − s Σ g; J g = g − ⟨s, g⟩ is the forward derivative along g.',
  forms: [
    product(
      'J g = g − ⟨s, g⟩',
      [],
      (problem, g) => {
        if (problem.f < 2) return null;
        const values = each(problem, (k, row) => (at(g.values, k) - at(g.inner, row)) / problem.temperature);
        return ofKept(problem, values);
      },
      (_, g) => g.values.map(Math.abs),
    ),
    jacobian('δ_ij − s_i', [], (problem) => {
      const { f } = problem;
      const valueAt = jacobianOfLogSoftmax(problem);
      if (f < 2) return null;
      // Entry (row, i, j) is that of (row, j, i).
      return (k) => valueAt(k + (f - 1) * ((k % f) - (Math.floor(k / f) % f)));
    }),
  ],
};

export const products: readonly Mistake[] = [
  upstreamMissing,
  jacobianSkipped,
  jacobianTwice,
  jacobianTransposed,
  upstreamTwice,
  notContracted,
  probabilitiesMissing,
  innerProductMissing,
  diagonalMissing,
  outerProductAdded,
  kroneckerMissing,
];
