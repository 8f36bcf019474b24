import { at } from './at.js';
import { haveDecimals } from './precision.js';
import type { Problem } from './problem.js';

/** A row is saturated if its Jacobian has no entry above this (1/250 of the possible maximum 1/4). */
export const saturatedBelow = 1e-3;

/** ln 2⁻¹⁵⁰: smaller probabilities round to 0 in float32. */
const underflowsBelow = -150 * Math.LN2;

/** True for each row whose softmax is so close to one-hot that its Jacobian is nearly 0. */
export function saturatedRows({ s, n, f, layer }: Problem): readonly boolean[] {
  if (layer === 'sigmoid' || layer === 'log-softmax') return Array.from({ length: n }, () => false);
  return Array.from({ length: n }, (_, row) => {
    let largest = 0;
    let others = 0;
    let most = 0;
    for (let k = row * f; k < (row + 1) * f; k++) {
      const value = at(s, k);
      others += Math.min(most, value);
      most = Math.max(most, value);
      largest = Math.max(largest, value * (1 - value));
    }
    return f > 1 && Math.min(largest, others) < saturatedBelow;
  });
}

/**
 * True for each row in which all probabilities but one round to 0 in float32 and all given values are exactly 0. Classes
 * that are masked out (logit −Infinity) are ignored.
 */
export function underflowedRows({ x, s, n, f, temperature }: Problem, given: Float64Array): readonly boolean[] {
  const each = given.length / n;
  const logarithms = x ?? s.map(Math.log);
  const scale = x ? temperature : 1;
  return Array.from({ length: n }, (_, row) => {
    let first = Number.NEGATIVE_INFINITY;
    let second = Number.NEGATIVE_INFINITY;
    for (let k = row * f; k < (row + 1) * f; k++) {
      second = Math.max(second, Math.min(first, at(logarithms, k)));
      first = Math.max(first, at(logarithms, k));
    }
    const masked = x !== null && second === Number.NEGATIVE_INFINITY;
    if (f < 2 || masked || (second - first) / scale > underflowsBelow) return false;
    for (let k = row * each; k < (row + 1) * each; k++) if (given[k] !== 0) return false;
    return true;
  });
}

/** Why several explanations give the same numbers for this problem, and which input would distinguish them. */
export function degeneracies(problem: Problem): readonly string[] {
  const { s, g, f, layer } = problem;
  const found: string[] = [];
  const isSigmoid = layer === 'sigmoid';
  const isSoftmax = !isSigmoid && layer !== 'log-softmax';
  if (f === 1 && !isSigmoid)
    found.push('f = 1: the one probability is always 1 and every derivative of it 0; look at two classes or more');
  const one = oneRow(problem);
  if (one) found.push(one);
  if (f === 2 && isSoftmax)
    found.push('f = 2: J is s₀ s₁ times ((1, −1), (−1, 1)), so many formulas coincide; look at three classes or more');
  if (f > 1 && !isSigmoid && everyRow(s, f, 1e-6)) {
    found.push('all probabilities are 1/f, so formulas with s and with 1/f coincide; look at logits that differ');
  }
  if (g && f > 1 && isSoftmax && everyRow(g, f, 1e-12)) {
    found.push(
      'the upstream gradient is the same for all classes of a row, which makes even the right product 0 (probabilities cannot all grow); look at an upstream that differs',
    );
  }
  return found;
}

/** The ambiguity of a batch of one row, in words; null for other batches. */
export function oneRow({ n, shape, layer }: Problem): string | null {
  if (n !== 1 || shape.length < 2 || layer === 'sigmoid') return null;
  return 'n = 1: with one row a sum and a mean over the batch are the same; look at two rows or more';
}

/** True if in each row all entries are equal within `slack`. */
function everyRow(values: Float64Array, f: number, slack: number): boolean {
  return values.every((value, k) => Math.abs(value - at(values, k - (k % f))) <= slack * Math.abs(value));
}

/** True if the logits look like probabilities: all are between 0 and 1, and every row adds up to 1. */
export function looksLikeProbabilities({ x, n, f }: Problem): boolean {
  if (!x || f < 2 || x.some((value) => value < 0 || value > 1)) return false;
  const digits = [3, 4].find((decimals) => haveDecimals(x, decimals));
  // Each number of a printout is off by half of its last decimal at most.
  const slack = Math.max(1e-4, digits === undefined ? 0 : (f * 10 ** -digits) / 2);
  return Array.from({ length: n }).every((_, row) => {
    let sum = 0;
    for (let k = row * f; k < (row + 1) * f; k++) sum += at(x, k);
    return Math.abs(sum - 1) < slack + 1e-9;
  });
}
