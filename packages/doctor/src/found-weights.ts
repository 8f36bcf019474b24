import { at } from './at.js';
import { rangeOf } from './compare.js';
import { enough, type Inferred, mostInCode } from './found-options.js';
import { labelOf } from './labels.js';
import { rowsRescaled } from './mistakes/rows.js';
import { byIndex } from './numbers.js';
import type { Problem } from './problem.js';
import { rowByRow, sizeOfRow, some, summedLoss } from './rows-of-loss.js';

/** Each row of the gradient of the loss times a fitted factor, as with class weights or sample weights. */
export function weightedRows(problem: Problem, data: Float64Array): Inferred[] {
  const { n, f, y, target, upstreamOfRows } = problem;
  if (n < 2) return [];
  return summedLoss(problem).flatMap((all): Inferred[] => {
    const valueAt = byIndex(all.values);
    const factors = new Float64Array(n);
    // Rows in which the gradient is 0 have no factor.
    const sizes = Float64Array.from(factors, (_, row) => sizeOfRow(valueAt, row * f, (row + 1) * f));
    const counts = Array.from(sizes, (size) => size > 0);
    for (let row = 0; row < n; row++) {
      const factor = factorOf(data, valueAt, row * f, (row + 1) * f);
      if (!Number.isFinite(factor)) return [];
      factors[row] = factor;
    }
    const others = factors.filter((factor, row) => counts[row] && factor !== 0);
    if (others.length * (f - 2) < enough) return [];
    // A factor that is the same in all rows is the explanation 'scaled'.
    const { least, most } = rangeOf(others);
    if (most - least <= 2e-2 * Math.max(most, -least)) return [];
    const labels = Array.from({ length: n }, (_, row) => (y ? labelOf(target?.given ?? y, row, f) : -1));
    const isSkipped = factors.some((factor, row) => counts[row] && factor === 0);
    const ofLoss = (formula: string, own: ArrayLike<number>) => rowByRow(problem, all, formula, (row) => own[row] ?? 0);
    const start = `w (${all.formula}), w = `;
    const ofRows = `${start}${some(Array.from(factors, (factor) => `${rounded(factor)}`))} for the rows`;
    const classes = classWeightsOf(labels, factors, sizes);
    const byClass = classes && inWords(problem, all.formula, classes);
    // Class weights that were given are in the loss already.
    if (target?.weight) {
      return [
        {
          ...ofLoss(classes?.agree ? `${start}${wordsOf(classes, 1)}` : ofRows, factors),
          mistake: rowsRescaled,
          ruledOutInFullPrecision: true,
        },
      ];
    }
    if (byClass && classes.agree) {
      if (classes.several) return [{ ...ofLoss(byClass.formula, factors), ...byClass }];
      // If each class has one row, weights of the classes and factors of the rows are the same numbers. Beside an upstream gradient of the losses they show nothing.
      return upstreamOfRows ? [] : [{ ...ofLoss(ofRows, factors), mistake: rowsRescaled }];
    }
    // An upstream gradient of the losses of the rows has their weights.
    const ruledOutInFullPrecision = upstreamOfRows !== null || (isSkipped && target?.ignoreGiven === true);
    return [
      ...(byClass ? [{ ...ofLoss(byClass.formula, classes.factors), ...byClass, inEveryRow: true }] : []),
      { ...ofLoss(ofRows, factors), mistake: rowsRescaled, ruledOutInFullPrecision },
    ];
  });
}

function rounded(factor: number): number {
  return Number(factor.toPrecision(3));
}

/** The sum of the factors of the rows of a mean is 1 within this, which few digits leave. */
const sumOfMean = 5e-3;
/** Weights are those of a sum if three digits of each leave no more than this. */
const niceWithin = 1e-3;

/**
 * The formula of a loss with class weights, and the options that compute it. Of a mean, which divides by the sum of the weights, they are known
 * but for a constant factor, as they are if the losses were divided by something else: such weights are relative to the first.
 */
function inWords(
  problem: Problem,
  formula: string,
  classes: ClassWeights,
): Pick<Inferred, 'formula' | 'reduction' | 'options'> {
  const { f, layer, reduction, target, upstreamOfRows } = problem;
  const { weights, agree, total } = classes;
  const ofIndices = target?.indices === true && layer !== 'sigmoid' && !upstreamOfRows;
  const first = weights.find(({ weight }) => weight > 0)?.weight ?? 1;
  const isMean = ofIndices && reduction !== 'sum' && Math.abs(total - 1) <= sumOfMean;
  const isNice = weights.every(({ weight }) => Math.abs(weight - rounded(weight)) <= niceWithin * weight);
  const isSum = !isMean && (isNice || !agree || rounded(first) === 1);
  const unit = isSum ? 1 : first;
  const all = weights.map(({ weight }) => rounded(weight / unit));
  const weight = weights.length === f && f <= mostInCode ? all : null;
  const start = isMean ? `w (${formula}) / Σw` : isSum ? `w (${formula})` : `${rounded(first)} w (${formula})`;
  return {
    formula: `${start}, w = ${wordsOf(classes, unit)}`,
    ...(isMean ? { reduction: 'mean', options: { weight } } : {}),
    ...(isSum && ofIndices && reduction !== 'mean' ? { reduction: 'sum', options: { weight } } : {}),
  };
}

function wordsOf({ weights }: ClassWeights, unit: number): string {
  return some(weights.map(({ weight, label }) => `${rounded(weight / unit)} for class ${label}`));
}

interface ClassWeights {
  /** For each row the mean of the factors of its class; small rows, of which rounding leaves less, count less. */
  readonly factors: readonly number[];
  /** In the order of the classes, those that have rows. */
  readonly weights: readonly { readonly label: number; readonly weight: number }[];
  /** The sum of the factors of the rows. */
  readonly total: number;
  /** True if the factors of the rows of each class are the same within a hundredth. */
  readonly agree: boolean;
  /** True if a class has more than one row. */
  readonly several: boolean;
}

/** One weight for each class of the target, each a mean of the factors of its rows; null if the target has no classes, or a factor is negative. */
function classWeightsOf(labels: readonly number[], factors: Float64Array, sizes: Float64Array): ClassWeights | null {
  const counts = Array.from(sizes, (size) => size > 0);
  const sums = new Map<number, { readonly sum: number; readonly squares: number; readonly first: number }>();
  for (const [row, label] of labels.entries()) {
    if (!counts[row]) continue;
    const factor = at(factors, row);
    if (label < 0 || factor < 0) return null;
    const square = at(sizes, row) ** 2;
    const { sum, squares, first } = sums.get(label) ?? { sum: 0, squares: 0, first: factor };
    sums.set(label, { sum: sum + factor * square, squares: squares + square, first });
  }
  const meanOf = (label: number) => {
    const { sum, squares } = sums.get(label) ?? { sum: 0, squares: 1 };
    return sum / squares;
  };
  const agree = labels.every((label, row) => {
    const first = sums.get(label)?.first ?? 0;
    return !counts[row] || Math.abs(first - at(factors, row)) <= 1e-2 * first;
  });
  const sorted = [...sums.keys()].sort((a, b) => a - b);
  return {
    factors: labels.map(meanOf),
    weights: sorted.map((label) => ({ label, weight: agree ? (sums.get(label)?.first ?? 0) : meanOf(label) })),
    total: factors.reduce((sum, factor, row) => sum + (counts[row] ? factor : 0), 0),
    agree,
    several: sorted.length < counts.filter(Boolean).length,
  };
}

/** The least-squares factor between two slices; 0 if the values are all 0. */
function factorOf(data: Float64Array, valueAt: (k: number) => number, start: number, end: number): number {
  let product = 0;
  let square = 0;
  for (let k = start; k < end; k++) {
    const value = valueAt(k);
    product += at(data, k) * value;
    square += value * value;
  }
  return square === 0 ? 0 : product / square;
}
