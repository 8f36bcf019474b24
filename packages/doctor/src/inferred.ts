import { at, isSet } from './at.js';
import { rangeOf } from './compare.js';
import { byIndex, type Candidate, each, lossFactors, type Numbers, overTemperature, scaled } from './form.js';
import { softmaxRows } from './host-softmax.js';
import { openLoss } from './input-rounding.js';
import { followsUpstream, lossGradient, rightLoss, rightProduct } from './mistakes/right.js';
import { labelOf, type Problem } from './problem.js';
import { smooth } from './target.js';

/**
 * Correct gradients of losses with options that the caller did not pass: label smoothing, weighted rows, a mask. Their
 * parameters are fitted to the numbers, so they are candidates only if there are many more numbers than parameters. Calls `onFit` after
 * each of these options.
 */
export function* inferredRights(
  problem: Problem,
  data: Float64Array,
  onFit: () => void = () => {},
): Generator<Candidate> {
  for (const fitted of [smoothedLosses, weightedRows, maskedEntries]) {
    yield* fitted(problem, data);
    onFit();
  }
}

/** The least number of degrees of freedom that must remain after fitting. */
const enough = 4;

/** With an ε near 1 hardly anything is left of the target, and zeros would be right of probabilities that are all alike. */
const mostSmoothing = 0.9;

/** s − y with label smoothing, whose ε is fitted to the numbers by least squares. */
function smoothedLosses(problem: Problem, data: Float64Array): Candidate[] {
  const { y, s, n, f, target, temperature, layer } = problem;
  if (!y || !target || followsUpstream(problem) || layer === 'sigmoid') return [];
  if (target.labelSmoothing !== null || target.weight || n * (f - 1) < enough) return [];
  const spread = smooth(y, 1, { keep: problem.masked?.keep ?? null, counted: target.counted, f });
  return lossFactors(problem).flatMap(({ factor, over, reduction }) => {
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
    const written = `(s − y)${over}${overTemperature(problem)}, y smoothed with ε = ${Number(epsilon.toPrecision(4))}`;
    const values = scaled(lossGradient(problem, smoothed), factor);
    return [
      {
        formula: written,
        values,
        terms: termsOf(problem, factor),
        open: openLoss(problem, smoothed, factor),
        reduction,
      },
    ];
  });
}

function termsOf({ s, y, temperature }: Problem, factor: number): Float64Array {
  return s.map((value, k) => ((value + at(y ?? s, k)) * factor) / temperature);
}

/** How the formula of such a gradient ends. */
export const leftOut = ' left out of the loss';

/** Correct gradients with some rows replaced by zeros, as of a loss that ignores these rows. Nothing is fitted. */
export function leftOutRows(problem: Problem, data: Float64Array): readonly Candidate[] {
  const { n, f, target } = problem;
  if (!data.includes(0)) return [];
  const zero = Array.from({ length: n }, (_, row) =>
    data.subarray(row * f, (row + 1) * f).every((value) => value === 0),
  );
  const counted = zero.filter((left) => !left).length;
  if (counted === n || counted * (f - 1) < enough) return [];
  // Rows whose target is `ignoreIndex` are known to be 0 already.
  const ignored = target?.counted;
  if (ignored && zero.every((left, row) => !left || !isSet(ignored, row))) return [];
  const rows = zero.flatMap((left, row) => (left ? [String(row)] : []));
  return summedLoss(problem).flatMap((all) =>
    divisorsOf(problem, counted).map((divisor) =>
      rowByRow(
        problem,
        all,
        `${divisor === 1 ? all.formula : `(${all.formula}) / ${divisor}`}, ${rows.length === 1 ? 'row' : 'rows'} ${some(rows)}${leftOut}`,
        (row) => (zero[row] ? 0 : 1 / divisor),
      ),
    ),
  );
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

/** Possible divisors of the summed loss: 1, the number of rows that are not left out, or the number of all rows. */
function divisorsOf({ n, reduction }: Problem, counted: number): readonly number[] {
  if (reduction === 'sum') return [1];
  return [...(reduction === null ? [1] : []), counted, n].filter((one, k, all) => all.indexOf(one) === k);
}

/** Each row of the gradient of the loss times a fitted factor ≥ 0, as with class weights or sample weights. */
function weightedRows(problem: Problem, data: Float64Array): Candidate[] {
  const { n, f, target, upstreamOfRows } = problem;
  // Weights that were given are in the loss already.
  if (n < 2 || target?.weight || upstreamOfRows) return [];
  return summedLoss(problem).flatMap((all) => {
    const valueAt = byIndex(all.values);
    const factors = new Float64Array(n);
    for (let row = 0; row < n; row++) {
      const factor = factorOf(data, valueAt, row * f, (row + 1) * f);
      if (!(factor >= 0)) return [];
      factors[row] = factor;
    }
    const counted = factors.filter((factor) => factor > 0);
    if (counted.length * (f - 2) < enough) return [];
    // A factor that is the same in all rows is the explanation 'scaled'.
    const { least, most } = rangeOf(counted);
    if (most - least <= 2e-2 * most) return [];
    const formula = `w (${all.formula}), ${weightsInWords(problem, factors)}`;
    return [rowByRow(problem, all, formula, (row) => at(factors, row))];
  });
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

/** Describes the fitted weights: one for each class of the target if that is possible, otherwise one for each row. */
function weightsInWords({ y, n, f }: Problem, factors: Float64Array): string {
  const rounded = factors.map((factor) => Number(factor.toPrecision(3)));
  const classes = Array.from({ length: n }, (_, row) => (y ? labelOf(y, row, f) : -1));
  const weights = new Map<number, number>();
  const byClass = classes.every((label, row) => {
    const weight = weights.get(label) ?? at(rounded, row);
    weights.set(label, weight);
    return label >= 0 && Math.abs(weight - at(rounded, row)) <= 1e-2 * weight;
  });
  if (!byClass || weights.size === n) return `w = ${some(Array.from(rounded, String))} for the rows`;
  const sorted = [...weights].sort(([a], [b]) => a - b).map(([label, weight]) => `${weight} for class ${label}`);
  return `w = ${some(sorted)}`;
}

function some(texts: readonly string[]): string {
  return `${texts.slice(0, 6).join(', ')}${texts.length > 6 ? ' …' : ''}`;
}

/** The correct gradient if the entries whose gradient is exactly 0 were masked out. */
function maskedEntries(problem: Problem, data: Float64Array): Candidate[] {
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
  return [...rightProduct.gives(other), ...losses].map((found) => ({
    ...found,
    formula: `${found.formula}, with the ${removed} entries masked whose gradient is 0`,
  }));
}
