import { at } from './at.js';
import { fitFactor, largestOf, measure, rangeOf } from './compare.js';
import { saturatedRows } from './condition.js';
import { lossGradient } from './derivatives.js';
import type { Form, Mistake } from './form.js';
import { hasFewNumbers } from './found-options.js';
import { functionOf } from './input.js';
import { labelOf } from './labels.js';
import { productOf } from './layer-formulas.js';
import { clippedGradient } from './mistakes/clipped.js';
import { binaryThroughSoftmax } from './mistakes/loss.js';
import { right } from './mistakes/right.js';
import { oneClassLower } from './mistakes/target.js';
import { type Precision, precisionOf } from './precision.js';
import type { Problem } from './problem.js';
import type { Reading } from './reading.js';
import { targetFrom1 } from './report.js';
import { isNoiseOfSums, isTellingSum, isWithinDouble } from './row-sum.js';

/**
 * Checks whether numbers that a mistake explains could still be correct. If the upstream gradient is unknown, every gradient
 * whose rows add up to 0 is correct for some loss, so a mistake is the only explanation just if too many digits agree with it
 * for a coincidence.
 */

/** Below this probability, an agreement with one of the explanations is no coincidence. */
const chance = 1e-5;
/** The same for 'scaled', which is tried alone, after all others. */
const chanceOfOne = 1e-3;
/** The assumed relative rounding error of numbers whose precision is unknown. */
const unrounded = 1e-6;
/** The norm of a gradient that was clipped to 1 differs from it by at most this in float32; PyTorch divides by the norm + 1e-6. */
const clipping = 4e-6;
/** How many roundings of the final precision to allow for, because intermediate results may have been rounded too. */
const roundings = 3;

/** An explanation that fits, its error, and the precision of the numbers if they were treated as rounded. */
export interface Agreement {
  readonly id: string;
  readonly error: number;
  readonly precision: Precision | null;
  /** True if it fits only with the rounding of every operation. */
  readonly computed?: boolean | undefined;
}

export interface OpenRight {
  readonly mistake: Mistake;
  readonly formula: string;
}

/** The gradient of a loss that is divided by the norm of its gradient. */
export const ofUnitNorm = '(s − y) / ‖s − y‖';

/** The gradient of a loss that has the factor in it. */
export const ofScaledLoss = 'the right gradient of a loss that has this factor';

/** A correct gradient that the numbers can be as well as the mistake that fits; null if the numbers rule that out. */
export function rightLeftOpen(problem: Problem, { kind, data }: Reading, agreement: Agreement): OpenRight | null {
  if (kind !== 'gradient' || !data.every(Number.isFinite)) return null;
  const as = (formula: string): OpenRight => ({ mistake: right, formula });
  if (agreement.id === 'scaled' && hasFewNumbers(problem)) return as(ofScaledLoss);
  if (problem.g) return null;
  if (isMultiple(problem, data, agreement)) {
    const label = onlyClass(problem, data);
    if (label !== null) return as(`w (s − y) with a weight w of class ${label}, the only one of the rows that count`);
    if (targetsAlike(problem, data, agreement))
      return as('(s − y) times what another loss of the same probability of each target gives');
    if (isClipped(data)) return as(ofUnitNorm);
  }
  // The loss is said.
  if (problem.layer === 'cross-entropy' && problem.y) return null;
  const product = productOf[functionOf(problem.layer)];
  if (agreement.id === 'row-sum' && agreement.computed && !isTellingSum(problem, data))
    return as(`${product} with the g of another loss`);
  if (ofWholeNumbers(problem, data, agreement)) return as(`${product} with whole numbers in g`);
  return ofAnotherLoss(problem, data, agreement) ? as(`${product} with the g of another loss`) : null;
}

/** The correct gradient that a gradient with all labels one too low is if the given target counts from 1; null if it has a class 0. */
export function rightOfTargetFrom1({ target, n, f }: Problem, form: Form | null, formula: string): OpenRight | null {
  if (form !== oneClassLower || !target?.indices) return null;
  const labels = Array.from({ length: n }, (_, row) => labelOf(target.given, row, f));
  return labels.includes(0) ? null : { mistake: right, formula: `${formula}${targetFrom1}` };
}

/**
 * The correct gradient that one with the labels of the other of two classes is: that of the unlikelihood loss −log(1 − s_t), because 1 − s_t is the
 * probability of the other class. Null where the layer says that the loss is another one.
 */
export function rightOfUnlikelihood({ f, layer }: Problem, form: Form | null, formula: string): OpenRight | null {
  if (form !== oneClassLower || f !== 2 || layer === 'cross-entropy' || layer === 'sigmoid') return null;
  return { mistake: right, formula: `${formula}, of the unlikelihood loss −log(1 − s_t)` };
}

/** The correct gradient of the binary cross-entropy of the probabilities. Null where the layer says that the loss is another one. */
export function rightOfBinary({ layer }: Problem, form: Form | null, formula: string): OpenRight | null {
  if (form !== binaryThroughSoftmax || layer === 'cross-entropy') return null;
  return { mistake: right, formula: `${formula}, of the binary cross-entropy of the probabilities` };
}

/** Below this probability, it is no coincidence that all numbers are whole. */
const chanceOfWhole = 1e-2;

/**
 * True if the upstream gradient that gives these numbers has whole numbers only, or their n-th part, as that of a sum or a
 * difference of probabilities: these are the losses whose gradients formulas without an upstream gradient give by chance.
 */
function ofWholeNumbers(problem: Problem, data: Float64Array, agreement: Agreement): boolean {
  const { s, n, f, layer, temperature } = problem;
  if (layer === 'log-softmax' || layer === 'sigmoid') return ofWholeOutputs(problem, data, agreement);
  if (layer === 'cross-entropy') return false;
  const size = sizeOf(data) * agreement.error;
  return [1, n].some((divisor) => {
    let seen = false;
    let likelihood = 1;
    for (let first = 0; first < n * f; first += f) {
      const own = s.subarray(first, first + f);
      const values = data.subarray(first, first + f);
      const tolerances = tolerancesOf(values, first, size, agreement.precision);
      if (!cancels(values, tolerances, 0)) return false;
      const most = own.indexOf(rangeOf(own).most);
      // g is known but for a constant, which is chosen so that it is 0 at the largest probability.
      const part = (i: number) => (divisor * temperature) / at(own, i);
      for (let i = 0; i < f; i++) {
        const open = at(tolerances, i) * part(i) + at(tolerances, most) * part(most);
        if (i === most || !(open < 0.5)) continue;
        const g = at(values, i) * part(i) - at(values, most) * part(most);
        if (Math.abs(g - Math.round(g)) > open || Math.abs(g) > f) return false;
        seen ||= Math.round(g) !== 0;
        likelihood *= 2 * open;
      }
    }
    return seen && likelihood <= chanceOfWhole;
  });
}

/**
 * The same after a log-softmax, where g_i = dx_i + s_i Σ g with a sum that is whole too, and after a sigmoid. With a target, the gradient of a
 * sigmoid is that of the binary cross-entropy, and −(s − y) a flipped sign.
 */
function ofWholeOutputs(problem: Problem, data: Float64Array, { id, error, precision }: Agreement): boolean {
  const { s, y, n, f, layer, temperature } = problem;
  const isSigmoid = layer === 'sigmoid';
  if (y && (isSigmoid || id === 'sign-flipped')) return false;
  const size = sizeOf(data) * error;
  const sums = isSigmoid ? [0] : Array.from({ length: 2 * f + 1 }, (_, k) => k - f);
  return [1, n, f, n * f].some((divisor) => {
    let seen = false;
    let likelihood = 1;
    for (let first = 0; first < n * f; first += f) {
      const tolerances = tolerancesOf(data.subarray(first, first + f), first, size, precision);
      const part = (i: number) => (divisor * temperature) / (isSigmoid ? at(s, first + i) * (1 - at(s, first + i)) : 1);
      const open = (i: number) => at(tolerances, i) * part(i);
      const of = (i: number, sum: number) => at(data, first + i) * part(i) + sum * at(s, first + i);
      const isWhole = (g: number, i: number) => Math.abs(g - Math.round(g)) <= open(i) && Math.abs(g) <= f + 0.5;
      const all = [...tolerances.keys()];
      const sum = sums.find((one) => all.every((i) => isWhole(of(i, one), i)));
      if (sum === undefined) return false;
      for (const i of all) {
        seen ||= Math.round(of(i, sum)) !== 0;
        likelihood *= Math.min(1, 2 * open(i));
      }
      likelihood *= sums.length;
    }
    return seen && likelihood <= chanceOfWhole;
  });
}

/** Rows that differ from a common multiple by no more than this may be those of a loss of nearly the same probabilities. */
const alikeRows = 2e-2;

/** True if the numbers are nearly a multiple of s − y, by a positive factor, or by a fitted one: a reward may be negative. */
function isMultiple(problem: Problem, data: Float64Array, { id, error, precision }: Agreement): boolean {
  const { y, f } = problem;
  if (!y) return false;
  const loss = lossGradient(problem, y);
  const factor = fitFactor(measure(data), { formula: '', values: loss, terms: loss });
  if (factor === null || (factor <= 0 && id !== 'scaled')) return false;
  const size = sizeOf(data) * error;
  return rowsThatCount(data, f).every((row) => {
    const values = data.subarray(row * f, (row + 1) * f);
    const tolerances = tolerancesOf(values, row * f, size, precision);
    const difference = values.map((value, i) => value - factor * at(loss, row * f + i));
    return sizeOf(difference) <= alikeRows * sizeOf(values) + sizeOf(tolerances);
  });
}

/** Rows below this fraction of the largest number are ignored when factors are compared: a printout leaves them at most one digit. */
const negligible = 2e-3;
/** Probabilities of a row whose relative difference is below this count as equal. */
const alike = 1e-3;

/** The same, as an absolute difference, for the probabilities of the targets in different rows. */
const alikeTargets = 1e-2;

/** The target class, if all rows that are not negligible have the same one and no class weights were passed; null otherwise. */
function onlyClass({ target, f }: Problem, data: Float64Array): number | null {
  if (!target || target.weight) return null;
  const [first = -1, ...others] = rowsThatCount(data, f);
  const label = first < 0 ? -1 : labelOf(target.given, first, f);
  return label >= 0 && others.every((row) => labelOf(target.given, row, f) === label) ? label : null;
}

/** True if the targets of all rows that are not negligible have the same probability: then the gradients of all losses of it differ by a constant factor. */
function targetsAlike(problem: Problem, data: Float64Array, { precision }: Agreement): boolean {
  const { s, target, f } = problem;
  if (!target) return false;
  const places = rowsThatCount(data, f).map((row) => {
    const label = labelOf(target.given, row, f);
    return label < 0 ? -1 : row * f + label;
  });
  if (places.includes(-1)) return false;
  const { least, most } = rangeOf(Float64Array.from(places, (place) => at(s, place)));
  return (
    most - least <= alikeTargets ||
    isOfFocalLoss(
      problem,
      data,
      places,
      tolerancesOf(data, 0, float32Noise * sizeOf(data), precision ?? precisionOf(data)),
    )
  );
}

/**
 * True if the numbers at the targets are those of a focal loss −α (1 − p)^γ log p of their probabilities p, whose factors of s − y may hardly
 * differ between rows.
 */
function isOfFocalLoss(
  { s, n, temperature }: Problem,
  data: Float64Array,
  places: readonly number[],
  tolerances: Float64Array,
): boolean {
  return focusing.some((gamma) =>
    [1, 1 / n].some((share) =>
      balancing.some((alpha) =>
        places.every((place) => {
          const p = at(s, place);
          const slope = (1 - p) ** gamma - gamma * p * (1 - p) ** (gamma - 1) * Math.log(p);
          const expected = ((p - 1) * slope * share * alpha) / temperature;
          return Math.abs(at(data, place) - expected) <= at(tolerances, place);
        }),
      ),
    ),
  );
}

/** What computing in float32 can change, as a fraction of the whole. */
const float32Noise = 1e-6;

/** Common values of γ and of α of the focal loss. */
const focusing = [0.5, 1, 2, 3, 5];
const balancing = [1, 0.25, 0.75];

/** The rows that are not negligible compared with the largest number. */
function rowsThatCount(data: Float64Array, f: number): readonly number[] {
  const most = largestOf(data);
  const isLarge = (row: number) => largestOf(data.subarray(row * f, (row + 1) * f)) > negligible * most;
  return Array.from({ length: data.length / f }, (_, row) => row).filter(isLarge);
}

/** True if the norm of the numbers is 1, but for what their own precision, and computing in it, leave open. */
function isClipped(data: Float64Array): boolean {
  const { unit, slack } = precisionOf(data) ?? { unit: 0, slack: null };
  return Math.abs(sizeOf(data) - 1) <= clipping + 2 * unit + (slack ? sizeOf(slack) : 0);
}

/** True if so few digits agree that the numbers may be the correct gradient of another loss. */
function ofAnotherLoss(problem: Problem, data: Float64Array, { id, error, precision }: Agreement): boolean {
  const { n, f, layer } = problem;
  const free = layer === 'sigmoid';
  const degenerate = indifferentRows(problem);
  if (id === 'row-sum' && degenerate.every(Boolean)) return true;
  const size = sizeOf(data) * error;
  // Numbers too large to be float64 noise are treated as rounded numbers.
  const rounding = precision ?? (id === 'row-sum' && isWithinDouble(problem, data) ? null : precisionOf(data));
  const lost = id === 'row-sum' ? 0 : Math.max(lostBeside1, precisionOf(data)?.unit ?? 0);
  const seen = new Set<string>();
  let likelihood = 1;
  for (let row = 0; row < n; row++) {
    const values = data.subarray(row * f, (row + 1) * f);
    const tolerances = tolerancesOf(values, row * f, size, rounding);
    const lostInRounding = id === 'row-sum' && degenerate[row];
    if (!free && !lostInRounding && !cancels(values, tolerances, lost)) return false;
    if (!degenerate[row]) likelihood *= likelihoodOf(seen, values, tolerances, free);
    if (id !== 'row-sum' && likelihood <= (id === 'scaled' || id === clippedGradient.id ? chanceOfOne : chance))
      return false;
  }
  // Numbers that half precision or a printout rounded to nearly nothing agree with every small gradient.
  return id !== 'row-sum' || precision !== null || !isNoiseOfSums(problem, data);
}

/** True for each row in which many formulas coincide, because all probabilities are equal or one of them is nearly 1. */
function indifferentRows(problem: Problem): readonly boolean[] {
  const { s, n, f } = problem;
  const saturated = saturatedRows(problem);
  return Array.from({ length: n }, (_, row) => {
    const { least, most } = rangeOf(s.subarray(row * f, (row + 1) * f));
    return saturated[row] || most - least <= alike * most;
  });
}

/** The largest possible rounding error of each number of a row. */
function tolerancesOf(values: Float64Array, first: number, error: number, precision: Precision | null): Float64Array {
  return values.map((value, i) => {
    const slack = precision ? roundings * at(precision.slack, first + i) : 0;
    return error + slack + unrounded * Math.abs(value);
  });
}

/** What float32 loses of a probability near 1, and of its derivative. */
const lostBeside1 = 2 ** -24;

function cancels(values: Float64Array, tolerances: Float64Array, rounded: number): boolean {
  return Math.abs(sumOf(values)) <= sumOf(tolerances) + rounded;
}

/**
 * The probability that the numbers of a row agree with an explanation by coincidence. A number that occurred before adds no
 * evidence, and neither does the largest if the row adds up to 0, because it follows from the others.
 */
function likelihoodOf(seen: Set<string>, values: Float64Array, tolerances: Float64Array, free: boolean): number {
  const most = largestOf(values);
  const largest = free ? -1 : values.findIndex((value) => Math.abs(value) === most);
  let likelihood = 1;
  values.forEach((value, i) => {
    const digits = Math.abs(value).toPrecision(4);
    if (value === 0 || i === largest || seen.has(digits)) return;
    seen.add(digits);
    likelihood *= Math.min(1, (2 * at(tolerances, i)) / Math.abs(value));
  });
  return likelihood;
}

function sizeOf(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}
