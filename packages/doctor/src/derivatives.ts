import { at, isSet } from './at.js';
import type { Cotangent } from './cotangents.js';
import { candidate } from './define-form.js';
import type { Candidate } from './form.js';
import { overTemperature } from './formula.js';
import { rowSums, vjpRows } from './host-softmax.js';
import { openJacobian, openProduct } from './input-rounding.js';
import { each, entries, scaled } from './numbers.js';
import type { Problem } from './problem.js';

/** The derivatives of the layer, and of the softmax and log-softmax that stand in for it in mistakes. */

/** s ⊙ (g − ⟨s, g⟩) / T: the vector-Jacobian product of softmax, also if the layer is another one. */
export function vjp(problem: Problem, g: Float64Array, s: Float64Array = problem.s): Float64Array {
  const rows = { outer: problem.n, classes: problem.f, inner: 1 };
  return scaled(vjpRows(s, g, rows), 1 / problem.temperature);
}

/** The Jacobian's entries (s_i δ_ij − s_i s_j) / T. */
export function jacobianEntries(problem: Problem, s: Float64Array = problem.s): (k: number) => number {
  const { f, temperature } = problem;
  // Compute 1 − s_i as the sum of the other probabilities, which avoids cancellation where s is nearly one-hot.
  const others = s.map((value) => 1 - value);
  // Of a sigmoid's rows, which do not add up to 1, the sum of the others is no 1 − s_i.
  for (let first = problem.layer === 'sigmoid' ? s.length : 0; first < s.length; first += f) {
    // The sums before and after each entry are computed once.
    const end = first + f;
    if (!s.subarray(first, end).some((value) => value >= 0.5)) continue;
    let sum = 0;
    for (let k = first; k < end; sum += at(s, k++)) if (at(s, k) >= 0.5) others[k] = sum;
    sum = 0;
    for (let k = end - 1; k >= first; sum += at(s, k--)) if (at(s, k) >= 0.5) others[k] = at(others, k) + sum;
  }
  return entries(problem, (i, j, same) => (same ? at(s, i) * at(others, i) : -at(s, i) * at(s, j)) / temperature);
}

/** (g − s Σ g) / T: the vector-Jacobian product of log-softmax, also if the layer is another one. */
export function vjpOfLogSoftmax(problem: Problem, g: Float64Array): Float64Array {
  const { s, n, f, temperature } = problem;
  const kept = ofKept(problem, g);
  const sums = rowSums(kept, n, f);
  return each(problem, (k, row) => (at(kept, k) - at(s, k) * at(sums, row)) / temperature);
}

/** The entries (δ_ij − s_j) / T of the Jacobian of log-softmax, also if the layer is another one. */
export function jacobianOfLogSoftmax(problem: Problem): (k: number) => number {
  const { s, temperature } = problem;
  const ones = ofKept(problem, new Float64Array(s.length).fill(1));
  return entries(problem, (i, j, same) => (at(ones, i) * ((same ? 1 : 0) - at(s, j))) / temperature);
}

/** Values of entries, 0 where the mask takes an entry out: log-softmax is −Infinity there, whatever the logit is. */
export function ofKept({ masked }: Problem, values: Float64Array): Float64Array {
  return masked ? values.map((value, k) => (isSet(masked.keep, k) ? value : 0)) : values;
}

/** The vector-Jacobian product of the layer. */
export function throughLayer(problem: Problem, g: Cotangent, ofCotangent: Float64Array | null = null): Candidate {
  const { s, n, f, temperature, layer } = problem;
  const over = overTemperature(problem);
  const open = openProduct(problem, g, ofCotangent);
  if (layer === 'sigmoid') {
    const values = s.map((value, k) => (at(g.values, k) * value * (1 - value)) / temperature);
    // 1 − σ is rounded relative to 1.
    const sizes = s.map((value, k) => (Math.abs(at(g.values, k)) * value) / temperature);
    return { formula: `g ⊙ σ ⊙ (1 − σ)${over}`, values, terms: sizes, open };
  }
  if (layer === 'log-softmax') {
    const sizes = ofKept(problem, g.values).map(Math.abs);
    const sums = rowSums(sizes, n, f);
    return {
      formula: over ? `(g − s Σ g)${over}` : 'g − s Σ g',
      values: vjpOfLogSoftmax(problem, g.values),
      terms: each(problem, (k, row) => (at(sizes, k) + at(s, k) * at(sums, row)) / temperature),
      open,
    };
  }
  return { formula: `s ⊙ (g − ⟨s, g⟩)${over}`, values: vjp(problem, g.values), terms: g.terms, open };
}

/** The layer's own Jacobian. */
export function layerJacobian(problem: Problem): Candidate {
  return { ...exactJacobian(problem), open: openJacobian(problem) };
}

function exactJacobian(problem: Problem): Candidate {
  const { s, temperature, layer } = problem;
  const over = overTemperature(problem);
  if (layer === 'sigmoid') {
    const slope = (i: number) => (at(s, i) * (1 - at(s, i))) / temperature;
    return candidate(
      `diag(σ ⊙ (1 − σ))${over}`,
      entries(problem, (i, _, same) => (same ? slope(i) : 0)),
    );
  }
  if (layer === 'log-softmax') {
    return candidate(over ? `(δ_ij − s_j)${over}` : 'δ_ij − s_j', jacobianOfLogSoftmax(problem));
  }
  return candidate(over ? `(diag(s) − s sᵀ)${over}` : 'diag(s) − s sᵀ', jacobianEntries(problem));
}

/** The gradient of the summed losses, (s Σy − y) / T: s − y for a target that adds up to 1. Of a sigmoid, (σ − y) / T. */
export function lossGradient(problem: Problem, y: Float64Array): Float64Array {
  const { s, n, f, temperature, layer } = problem;
  const sums = layer === 'sigmoid' ? new Float64Array(n).fill(1) : rowSums(y, n, f);
  return each(problem, (k, row) => (at(s, k) * at(sums, row) - at(y, k)) / temperature);
}
