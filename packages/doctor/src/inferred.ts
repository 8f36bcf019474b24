import { at, isSet } from './at.js';
import { rangeOf } from './compare.js';
import { lossGradient } from './derivatives.js';
import {
  byIndex,
  type Candidate,
  dividedBy,
  each,
  type Goal,
  lossFactors,
  type Mistake,
  type Numbers,
  overTemperature,
  scaled,
} from './form.js';
import { softmaxRows } from './host-softmax.js';
import { openLoss } from './input-rounding.js';
import { rightProduct } from './mistakes/right.js';
import { followsUpstream, rightLoss } from './mistakes/right-loss.js';
import { rowsRescaled, rowsSkipped } from './mistakes/rows.js';
import { labelOf, type Problem } from './problem.js';
import { smooth } from './target.js';

/** Options of a loss that were fitted to the numbers. */
export interface FoundOptions {
  readonly labelSmoothing?: number;
  /** One weight for each class; null if some classes have no rows, or there are too many classes to print. */
  readonly weight?: readonly number[] | null;
  readonly mask?: FoundMask;
  /** What the code with these options computes, if that is not what other numbers of this problem call for. */
  readonly goal?: Goal;
}

/** A mask as an array that broadcasts to the logits; null if that is too long for a line of code. */
export type FoundMask = readonly MaskEntry[] | null;
export type MaskEntry = boolean | readonly MaskEntry[];

/** A gradient of a loss with options that the caller did not pass. */
export interface Inferred extends Candidate {
  /** The options that were found, where code with them computes the numbers. */
  readonly options?: FoundOptions | undefined;
  /** The mistake that gives the same numbers, if there is one. */
  readonly mistake?: Mistake;
  /** True if the options that were passed rule out the loss, so that only the mistake is left. */
  readonly ruledOut?: boolean;
  /** The same for numbers in full precision only: rounding may hide that the rows of a class have the same factor. */
  readonly ruledOutInFullPrecision?: boolean;
  /** True if the loss is a likelier explanation than the mistake. */
  readonly lossIsLikelier?: boolean;
  /** True if it must fit in every row, because its parameters belong to groups of rows. */
  readonly inEveryRow?: boolean;
  /** True if it is evidence only for numbers in full precision: there are few more numbers than parameters. */
  readonly inFullPrecision?: boolean;
}

/**
 * Correct gradients of losses with options that the caller did not pass: label smoothing, weighted rows, a mask. Their
 * parameters are fitted to the numbers, so they are candidates only if there are many more numbers than parameters. Calls `onFit` after
 * each of these options.
 */
export function* inferredRights(
  problem: Problem,
  data: Float64Array,
  onFit: () => void = () => {},
): Generator<Inferred> {
  for (const fitted of [smoothedLosses, weightedRows, maskedEntries]) {
    yield* fitted(problem, data);
    onFit();
  }
}

/** The least number of degrees of freedom that must remain after fitting. */
const enough = 4;

/** The same for label smoothing, if the numbers are in full precision: ε is fitted to one of them, and another one checks it. */
const enoughInFullPrecision = 2;

/** With an ε near 1 hardly anything is left of the target, and zeros would be right of probabilities that are all alike. */
const mostSmoothing = 0.9;

/** s − y with label smoothing, whose ε is fitted to the numbers by least squares. */
function smoothedLosses(problem: Problem, data: Float64Array): Inferred[] {
  const { y, s, n, f, target, temperature, layer } = problem;
  if (!y || !target || followsUpstream(problem) || layer === 'sigmoid') return [];
  if (target.labelSmoothing !== null || target.weight || n * (f - 1) < enoughInFullPrecision) return [];
  const inFullPrecision = n * (f - 1) < enough;
  const spread = smooth(y, 1, { keep: problem.masked?.keep ?? null, counted: target.counted, f });
  return lossFactors(problem).flatMap(({ factor, over, reduction, unusual }) => {
    // data = (s − (1 − ε) y − ε u) factor / T, which is linear in ε.
    let product = 0;
    let square = 0;
    data.forEach((value, k) => {
      if (!Number.isFinite(value)) return;
      const direction = at(y, k) - at(spread, k);
      product += direction * ((value * temperature) / factor - (at(s, k) - at(y, k)));
      square += direction * direction;
    });
    const epsilon = product / square;
    if (!(epsilon > 1e-3 && epsilon <= mostSmoothing) || data.every((value) => value === 0)) return [];
    const smoothed = y.map((value, k) => (1 - epsilon) * value + epsilon * at(spread, k));
    const labelSmoothing = Number(epsilon.toPrecision(4));
    const written = `${dividedBy('s − y', over + overTemperature(problem))}, y smoothed with ε = ${labelSmoothing}`;
    const values = scaled(lossGradient(problem, smoothed), factor);
    return [
      {
        formula: written,
        values,
        terms: termsOf(problem, factor),
        open: openLoss(problem, smoothed, factor),
        reduction,
        unusual,
        options: unusual ? undefined : { labelSmoothing },
        inFullPrecision,
      },
    ];
  });
}

function termsOf({ s, y, temperature }: Problem, factor: number): Float64Array {
  return s.map((value, k) => ((value + at(y ?? s, k)) * factor) / temperature);
}

/**
 * The gradient with some rows replaced by zeros, as of a loss that leaves these rows out, or of a computation that skips them. Nothing is
 * fitted. Those that the given options allow come first.
 */
export function leftOutRows(problem: Problem, data: Float64Array): readonly Inferred[] {
  const { n, f, target } = problem;
  if (!data.includes(0)) return [];
  const zero = Array.from({ length: n }, (_, row) =>
    data.subarray(row * f, (row + 1) * f).every((value) => value === 0),
  );
  const counted = zero.filter((left) => !left).length;
  if (counted === n || counted * (f - 1) < enough) return [];
  return summedLoss(problem).flatMap((all) => {
    const valueAt = byIndex(all.values);
    const sizes = Float64Array.from(zero, (_, row) => sizeOfRow(valueAt, row * f, (row + 1) * f));
    // Rows whose gradient is 0 are no discovery: their target is `ignoreIndex`, or its weight is 0.
    const rows = zero.flatMap((left, row) => (left && at(sizes, row) > 0 ? [row] : []));
    if (rows.length === 0) return [];
    const named = `${rows.length === 1 ? 'row' : 'rows'} ${some(rows.map(String))} left out`;
    return divisorsOf(problem, zero, sizes).map(({ divisor, isMean, allowed }) => ({
      ...rowByRow(
        problem,
        all,
        `${divisor === 1 ? all.formula : dividedBy(all.formula, ` / ${Number(divisor.toPrecision(6))}`)}, ${named}`,
        (row) => (zero[row] ? 0 : 1 / divisor),
      ),
      mistake: rowsSkipped,
      ruledOut: !allowed || target?.ignoreGiven === true,
      lossIsLikelier: isMean,
    }));
  });
}

/** A candidate whose rows are multiplied by factors of their own. */
function rowByRow(problem: Problem, all: Candidate, formula: string, factorOf: (row: number) => number): Candidate {
  const times = (numbers: Numbers) => {
    const numberAt = byIndex(numbers);
    return each(problem, (k, row) => numberAt(k) * factorOf(row));
  };
  return { formula, values: times(all.values), terms: times(all.terms), open: all.open && times(all.open) };
}

function summedLoss(problem: Problem): readonly Candidate[] {
  return followsUpstream(problem) ? [] : rightLoss.gives({ ...problem, reduction: 'sum' });
}

interface Divisor {
  readonly divisor: number;
  /** True for the mean over the rows that are not left out. */
  readonly isMean: boolean;
  /** False if the given reduction has another divisor. */
  readonly allowed: boolean;
}

/** Possible divisors of the summed loss, those that the given reduction allows first: 1, and the rows that are kept or all rows, or the sum of their weights. */
function divisorsOf({ n, f, y, layer, reduction, target }: Problem, zero: readonly boolean[], sizes: Float64Array) {
  const { weight, given, counted, indices } = target ?? {};
  const entries = layer === 'sigmoid' ? f : 1;
  const weightOf = (row: number) => {
    if (!weight || !given || !y || !indices) return 1;
    return counted && !isSet(counted, row) ? 0 : at(weight, Math.max(0, labelOf(given, row, f)));
  };
  const total = (rows: (row: number) => boolean) =>
    entries * zero.reduce((sum, _, row) => sum + (rows(row) ? weightOf(row) : 0), 0);
  const isKept = (row: number) => !zero[row];
  // The gradient of a row that is kept may be so small that it was rounded to 0.
  const small = roundedTo0 * rangeOf(sizes).most;
  const ofKept = [total(isKept), total((row) => isKept(row) || at(sizes, row) <= small)];
  const ofOthers = [total(() => true), zero.filter((left) => !left).length, n, n * entries];
  const found: Divisor[] = [
    ...ofKept.map((divisor) => ({ divisor, isMean: true, allowed: reduction !== 'sum' })),
    { divisor: 1, isMean: false, allowed: reduction !== 'mean' },
    ...ofOthers.map((divisor) => ({ divisor, isMean: false, allowed: reduction === null })),
  ];
  found.sort((a, b) => Number(b.allowed) - Number(a.allowed));
  return found.filter(({ divisor }, k) => divisor > 0 && found.findIndex((one) => one.divisor === divisor) === k);
}

/** A row whose gradient is below this share of the largest may have been rounded to 0. */
const roundedTo0 = 1e-2;

function sizeOfRow(valueAt: (k: number) => number, start: number, end: number): number {
  let most = 0;
  for (let k = start; k < end; k++) most = Math.max(most, Math.abs(valueAt(k)));
  return most;
}

/** Each row of the gradient of the loss times a fitted factor, as with class weights or sample weights. */
function weightedRows(problem: Problem, data: Float64Array): Inferred[] {
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
/** More weights than these are not printed in code. */
const mostInCode = 10;

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

function some(texts: readonly string[]): string {
  return `${texts.slice(0, 6).join(', ')}${texts.length > 6 ? ' …' : ''}`;
}

/** The correct gradient if the entries whose gradient is exactly 0 were masked out. */
function maskedEntries(problem: Problem, data: Float64Array): Inferred[] {
  const { x, n, f, temperature, masked, layer, y } = problem;
  if (!x || masked || layer === 'sigmoid' || !data.includes(0)) return [];
  const keep = Uint8Array.from(data, (value) => (value === 0 ? 0 : 1));
  const removed = keep.reduce((count, kept) => count + 1 - kept, 0);
  const rows = Array.from({ length: n }, (_, row) => keep.subarray(row * f, (row + 1) * f)).filter((row) =>
    row.includes(1),
  );
  const kept = rows.reduce((count, row) => count + row.reduce((sum, one) => sum + one, 0) - 1, 0);
  // A row that is 0 throughout shows no mask: it may never have been written.
  if (rows.every((row) => !row.includes(0)) || kept < enough) return [];
  const logits = x.map((value, k) => (isSet(keep, k) ? value : Number.NEGATIVE_INFINITY));
  const s = softmaxRows(logits, { outer: n, classes: f, inner: 1 }, temperature);
  // Rows in which every entry is masked do not contribute to the loss.
  const target = y?.map((value, k) => (keep.subarray(k - (k % f), k - (k % f) + f).includes(1) ? value : 0)) ?? null;
  if (target?.some((value, k) => value > 0 && !isSet(keep, k))) return [];
  const other: Problem = { ...problem, x: logits, s, y: target, masked: { keep, x } };
  const losses = followsUpstream(other) ? [] : rightLoss.gives(other);
  const mask = maskInCode(problem, keep);
  const withMask = (found: Candidate, goal: Goal): Inferred => ({
    ...found,
    formula: `${found.formula}, with the ${removed} entries masked whose gradient is 0`,
    options: found.unusual ? undefined : { mask, goal },
  });
  return [
    ...rightProduct.gives(other).map((found) => withMask(found, 'product')),
    ...losses.map((found) => withMask(found, 'loss')),
  ];
}

/**
 * The mask as it is written in code; null if it is too long, or if a row is 0 throughout that is no ignored row: the gradient of a row of which
 * one class is kept is 0, whichever that is.
 */
function maskInCode({ n, f, shape, axis, target }: Problem, keep: Uint8Array): FoundMask {
  const rows = Array.from({ length: n }, (_, row) => Array.from(keep.subarray(row * f, (row + 1) * f), Boolean));
  const isIgnored = (row: number) => target?.counted != null && !isSet(target.counted, row);
  if (rows.some((row, k) => !row.includes(true) && !isIgnored(k))) return null;
  const [first, ...others] = rows.filter((_, row) => !isIgnored(row));
  if (!first || f > mostInCode) return null;
  if (others.every((row) => row.join() === first.join())) {
    const nested = (entry: MaskEntry, depth: number): MaskEntry => (depth === 0 ? entry : nested([entry], depth - 1));
    return first.map((entry) => nested(entry, shape.length - 1 - axis));
  }
  return shape.length === 2 && axis === 1 && keep.length <= mostInCode && others.length === n - 1 ? rows : null;
}
