import { at, isSet } from './at.js';
import { rangeOf } from './compare.js';
import { lossFactors } from './cotangents.js';
import { lossGradient } from './derivatives.js';
import { dividedBy, overTemperature } from './formula.js';
import { maskedEntries } from './found-mask.js';
import { enough, type Inferred } from './found-options.js';
import { atFoundTemperature } from './found-temperature.js';
import { weightedRows } from './found-weights.js';
import { openLoss } from './input-rounding.js';
import { labelOf } from './labels.js';
import { followsUpstream } from './mistakes/right-loss.js';
import { rowsSkipped } from './mistakes/rows.js';
import { byIndex, scaled } from './numbers.js';
import type { Problem } from './problem.js';
import { rowByRow, sizeOfRow, some, summedLoss } from './rows-of-loss.js';
import { smooth } from './target.js';

/**
 * Correct gradients with options that the caller did not pass: label smoothing, a temperature, weighted rows, a mask. Their
 * parameters are fitted to the numbers, so they are candidates only if there are many more numbers than parameters. Calls `onFit` after
 * each of these options.
 */
export function* inferredRights(
  problem: Problem,
  data: Float64Array,
  onFit: () => void = () => {},
): Generator<Inferred> {
  for (const fitted of [smoothedLosses, atFoundTemperature, weightedRows, maskedEntries]) {
    yield* fitted(problem, data);
    onFit();
  }
}

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
