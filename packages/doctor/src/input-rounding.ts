import { at } from './at.js';
import type { Cotangent } from './cotangents.js';
import { innerProducts, rowSums } from './host-softmax.js';
import { each, entries, type Numbers, onFirstUse, scaled } from './numbers.js';
import { oncePerProblem } from './once-per-problem.js';
import { areHalf, type Printout, printoutWithLastDigit } from './precision.js';
import type { Problem } from './problem.js';

/** How far what is known of the computation may be from what it was, because it was printed with few digits. */
export interface InputRounding {
  /** In words: `the logits have 4 decimals`; empty if they are numbers of half precision, which are exact. */
  readonly name: string;
  /** Of each probability. */
  readonly s: Float64Array;
  /** Of each number of the upstream gradient. */
  readonly g: Float64Array | null;
  /** Of each number of the target. */
  readonly y: Float64Array | null;
}

interface Printouts {
  readonly name: string;
  readonly signal: Printout | null;
  readonly upstream: Printout | null;
  readonly target: Printout | null;
}

/** How far the given numbers leave open what they were; null where they have all their digits. */
export const inputRounding = oncePerProblem((problem): InputRounding | null => {
  const { name, signal, upstream, target: soft } = printoutsOf(problem.whole ?? problem);
  if (!signal && !upstream && !soft) return null;
  const { s, g, y, target } = problem;
  return {
    name,
    s: signal ? roundingOfProbabilities(problem, signal) : new Float64Array(s.length),
    g: g && upstream && g.map((value) => upstream.step(value) / 2),
    y:
      y &&
      target &&
      soft &&
      y.map((value, k) => (soft.step(at(target.given, k)) / 2) * shareOf(value, at(target.given, k))),
  };
});

/** The second problem, of which the same numbers are known as of the first: what they were printed with is not looked for again. */
export function withPrintoutsOf(problem: Problem, other: Problem): Problem {
  printoutsOf.share(problem, other);
  return other;
}

/** What smoothing and weights make of a unit of the target. */
function shareOf(value: number, given: number): number {
  return given === 0 ? 1 : value / given;
}

const printoutsOf = oncePerProblem((problem): Printouts => {
  const { x, s, g, target, masked } = problem;
  const upstream = g && printoutWithLastDigit(g);
  // Probabilities of exactly 0 and 1 were rounded, like what was printed beside them.
  const own = masked?.x ?? x ?? s;
  const signal = printoutWithLastDigit(own) ?? (x ? null : upstream);
  const soft = target && !target.indices ? printoutWithLastDigit(target.given) : null;
  const names = [
    ...(signal && !areHalf(own) ? [`the ${x ? 'logits' : 'probabilities'} have ${signal.name}`] : []),
    ...(g && upstream && !areHalf(g) ? [`the upstream gradient has ${upstream.name}`] : []),
    ...(target && soft && !areHalf(target.given) ? [`the target has ${soft.name}`] : []),
  ];
  return { name: names.join(', '), signal, upstream, target: soft };
});

/** ∂s_i/∂x_j = s_i (δ_ij − s_j) / T, with the largest error of every logit. */
function roundingOfProbabilities(problem: Problem, printout: Printout): Float64Array {
  const { x, s, n, f, temperature, layer } = problem;
  if (!x) return s.map((value) => printout.step(value) / 2);
  const ofLogits = x.map((value) => (Number.isFinite(value) ? printout.step(value) / 2 : 0));
  if (layer === 'sigmoid') return s.map((value, k) => (value * (1 - value) * at(ofLogits, k)) / temperature);
  const inner = innerProducts(s, ofLogits, n, f);
  return each(problem, (k, row) => {
    const own = at(ofLogits, k);
    const others = at(inner, row) - at(s, k) * own;
    return (at(s, k) * ((1 - at(s, k)) * own + others)) / temperature;
  });
}

/** Products of two errors, and roundings in the bounds themselves. */
const secondOrder = 1.01;

/**
 * How far each number of the layer's product with a cotangent may be off.
 *
 * @param ofCotangent how far the cotangent itself may be off
 */
export function openProduct(problem: Problem, g: Cotangent, ofCotangent: Float64Array | null): Numbers | undefined {
  const rounding = inputRounding(problem);
  if (!rounding) return undefined;
  const { x, s, n, f, temperature, layer } = problem;
  const dg = ofCotangent ?? new Float64Array(s.length);
  const { s: ds } = rounding;
  if (layer === 'sigmoid') {
    return s.map(
      (value, k) =>
        (secondOrder * (at(dg, k) * value * (1 - value) + Math.abs(at(g.values, k)) * at(ds, k))) / temperature,
    );
  }
  if (layer === 'log-softmax') {
    const [sums, ofSums] = [rowSums(g.values, n, f), rowSums(dg, n, f)];
    return each(
      problem,
      (k, row) =>
        (secondOrder * (at(dg, k) + at(ds, k) * Math.abs(at(sums, row)) + at(s, k) * at(ofSums, row))) / temperature,
    );
  }
  // Errors that come from logits add up to 0 in each row, so that a constant of the cotangent takes no part.
  const centred = each(problem, (k, row) => Math.abs(at(g.values, k) - at(g.inner, row)));
  const sizes = x ? centred : g.values.map(Math.abs);
  const inner = innerProducts(ds, sizes, n, f);
  const ofInner = innerProducts(s, dg, n, f);
  return each(
    problem,
    (k, row) =>
      (secondOrder * (at(ds, k) * at(centred, k) + at(s, k) * (at(dg, k) + at(inner, row) + at(ofInner, row)))) /
      temperature,
  );
}

/** How far each entry of the layer's Jacobian may be off. */
export function openJacobian(problem: Problem): Numbers | undefined {
  const rounding = inputRounding(problem);
  if (!rounding) return undefined;
  const { s, n, f, temperature, layer } = problem;
  const { s: ds } = rounding;
  const factor = secondOrder / temperature;
  if (layer === 'sigmoid') return entries(problem, (i, _, same) => (same ? at(ds, i) * factor : 0));
  if (layer === 'log-softmax') return entries(problem, (_, j) => at(ds, j) * factor);
  const ofRows = rowSums(ds, n, f);
  return entries(problem, (i, j, same) => {
    if (!same) return (at(ds, i) * at(s, j) + at(s, i) * at(ds, j)) * factor;
    // The diagonal is s (1 − s), or s times the sum of the others.
    const ofOthers = Math.max(at(ds, i), at(ofRows, Math.floor(i / f)) - at(ds, i));
    return (at(ds, i) * (1 - at(s, i)) + at(s, i) * ofOthers) * factor;
  });
}

/** How far each number of a cross-entropy's gradient, (s Σy − y) factor / T, may be off. */
export function openLoss(problem: Problem, y: Float64Array, factor: number): Numbers | undefined {
  const rounding = inputRounding(problem);
  if (!rounding) return undefined;
  const scale = (secondOrder * Math.abs(factor)) / problem.temperature;
  return onFirstUse(() => scaled(openOfLoss(problem, rounding, y), scale));
}

function openOfLoss({ s, n, f, layer }: Problem, rounding: InputRounding, y: Float64Array): Float64Array {
  const dy = rounding.y ?? new Float64Array(s.length);
  const sigmoid = layer === 'sigmoid';
  const [sums, ofSums] = [rowSums(y, n, f), rowSums(dy, n, f)];
  return each({ n, f }, (k, row) => {
    const ofSum = sigmoid ? 0 : at(s, k) * at(ofSums, row);
    const ofProbability = at(rounding.s, k) * (sigmoid ? 1 : Math.abs(at(sums, row)));
    return ofProbability + ofSum + at(dy, k);
  });
}
