import { at } from './at.js';
import { largestOf, rangeOf } from './compare.js';
import { saturatedRows } from './condition.js';
import type { Mistake } from './form.js';
import { right } from './mistakes/right.js';
import { type Precision, precisionOf } from './precision.js';
import { labelOf, type Problem } from './problem.js';
import type { Reading } from './reading.js';
import { isNoiseOfSums, isWithinDouble } from './row-sum.js';

/**
 * What the numbers do not rule out. Where the upstream gradient is not known, every gradient whose rows add up to 0 is the
 * right one of some loss. A mistake is named alone only where so many digits agree with it that this is no chance.
 */

/** How likely digits may agree with one of the explanations by chance. */
const chance = 1e-5;
/** The same of one explanation that is looked for after all others. */
const chanceOfOne = 1e-3;
/** Rounding of numbers of which no precision is known, relative to their size. */
const unrounded = 1e-6;
/** How near to 1 the norm of a gradient is that was divided by it. */
const unit = 2 ** -8;
/** Allowance for roundings on the way to the last one. */
const roundings = 3;

/** An explanation that fits, and how the numbers were rounded where that had to be allowed for. */
export interface Agreement {
  readonly id: string;
  readonly error: number;
  readonly precision: Precision | null;
}

export interface OpenRight {
  readonly mistake: Mistake;
  readonly formula: string;
}

/** The right gradient that the numbers may be all the same, beside a mistake that fits; null where they rule it out. */
export function rightLeftOpen(problem: Problem, { kind, data }: Reading, agreement: Agreement): OpenRight | null {
  if (problem.g || kind !== 'gradient' || !data.every(Number.isFinite)) return null;
  const as = (formula: string): OpenRight => ({ mistake: right, formula });
  if (multiples.includes(agreement.id)) {
    const label = onlyClass(problem, data);
    if (label !== null) return as(`w (s − y) with a weight w of class ${label}, the only one of the rows that count`);
    if (targetsAlike(problem, data))
      return as('(s − y) times what another loss of the same probability of each target gives');
    if (Math.abs(sizeOf(data) - 1) <= unit) {
      return as('(s − y) clipped to the norm 1');
    }
  }
  // The loss is said.
  if (problem.layer === 'cross-entropy' && problem.y) return null;
  return ofAnotherLoss(problem, data, agreement) ? as('s ⊙ (g − ⟨s, g⟩) with the g of another loss') : null;
}

/** Explanations that are the right gradient times a factor above 0. */
const multiples: readonly string[] = ['scaled', 'batch-size', 'temperature'];

/** A row below this share of the largest number is none that shows a factor: a printout leaves it a digit at most. */
const negligible = 2e-3;
/** Probabilities that differ by less give factors that differ by little. */
const alike = 1e-3;

/** The same of the targets' probabilities, which losses are functions of, beside 1. */
const alikeTargets = 1e-2;

/** The class of all rows that count, where it is the same and nobody said what it weighs; null otherwise. */
function onlyClass({ y, target, f }: Problem, data: Float64Array): number | null {
  if (!y || !target || target.weight) return null;
  const [first = -1, ...others] = rowsThatCount(data, f);
  const label = first < 0 ? -1 : labelOf(y, first, f);
  return label >= 0 && others.every((row) => labelOf(y, row, f) === label) ? label : null;
}

/** True where the targets of all rows that count have the same probability: losses of it differ by a constant factor. */
function targetsAlike({ s, y, f }: Problem, data: Float64Array): boolean {
  if (!y) return false;
  const found = rowsThatCount(data, f).map((row) => {
    const label = labelOf(y, row, f);
    return label < 0 ? Number.NaN : at(s, row * f + label);
  });
  const { least, most } = rangeOf(found);
  return most - least <= alikeTargets;
}

/** The rows that are not negligible beside the largest number. */
function rowsThatCount(data: Float64Array, f: number): readonly number[] {
  const most = largestOf(data);
  const isLarge = (row: number) => largestOf(data.subarray(row * f, (row + 1) * f)) > negligible * most;
  return Array.from({ length: data.length / f }, (_, row) => row).filter(isLarge);
}

/** True where so few digits agree that the numbers may be the right gradient of any loss. */
function ofAnotherLoss(problem: Problem, data: Float64Array, { id, error, precision }: Agreement): boolean {
  const { n, f, layer } = problem;
  const free = layer === 'sigmoid';
  const degenerate = indifferentRows(problem);
  if (id === 'row-sum' && degenerate.every(Boolean)) return true;
  const size = sizeOf(data) * error;
  // What is too large for the noise of float64 has been rounded like any number.
  const rounding = precision ?? (id === 'row-sum' && !isWithinDouble(problem, data) ? precisionOf(data) : null);
  const seen = new Set<string>();
  let likelihood = 1;
  for (let row = 0; row < n; row++) {
    const values = data.subarray(row * f, (row + 1) * f);
    const tolerances = tolerancesOf(values, row * f, size, rounding);
    if (!free && !cancels(values, tolerances)) return false;
    if (!degenerate[row]) likelihood *= likelihoodOf(seen, values, tolerances, free);
    if (id !== 'row-sum' && likelihood <= (id === 'scaled' ? chanceOfOne : chance)) return false;
  }
  // What is lost in the rounding of a half precision or of a printout agrees with anything that is small.
  return id !== 'row-sum' || precision !== null || !isNoiseOfSums(problem, data);
}

/** True for each row in which many formulas give the same: all probabilities alike, or one of them nearly 1. */
function indifferentRows(problem: Problem): readonly boolean[] {
  const { s, n, f } = problem;
  const saturated = saturatedRows(problem);
  return Array.from({ length: n }, (_, row) => {
    const { least, most } = rangeOf(s.subarray(row * f, (row + 1) * f));
    return saturated[row] || most - least <= alike * most;
  });
}

/** How far each number of a row may be from what it was. */
function tolerancesOf(values: Float64Array, first: number, error: number, precision: Precision | null): Float64Array {
  return values.map((value, i) => {
    const slack = precision ? roundings * at(precision.slack, first + i) : 0;
    return error + slack + unrounded * Math.abs(value);
  });
}

function cancels(values: Float64Array, tolerances: Float64Array): boolean {
  return Math.abs(sumOf(values)) <= sumOf(tolerances);
}

/**
 * How likely the numbers of a row agree with given ones by chance: a number that was seen before says nothing new, and the
 * largest follows from the others where they cancel.
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
