import {
  add,
  type DoubleDouble,
  difference,
  div,
  exactly,
  exp,
  log,
  log1p,
  nan,
  scaled,
  sub,
  zero,
} from './doubledouble.js';
import {
  divided,
  isMasked,
  type ReferenceParameters,
  type RowEntries,
  sumOf,
  tabulated,
  type Values,
} from './row-entries.js';

/** p for the entries of one row, in double-double: all 0 if the mask keeps nothing. */
export function probabilities(x: Values, at: readonly number[], parameters: ReferenceParameters): RowEntries {
  const row = scaledRow(x, at, parameters);
  if (!row) return () => zero;
  const exponentials = tabulated(at, (i) => exp(row.shifted(i)));
  const sum = sumOf(at, exponentials);
  return (i, c) => (isMasked(parameters, i) ? zero : div(exponentials(i, c), sum));
}

/** √p for the entries of one row, in double-double, as exp(log p / 2). */
export function rootProbabilities(x: Values, at: readonly number[], parameters: ReferenceParameters): RowEntries {
  const log = logProbabilities(x, at, parameters);
  return tabulated(at, (i, c) => exp(scaled(log(i, c), 1 / 2)));
}

/** log p for the entries of one row, in double-double: −Infinity where masked. */
export function logProbabilities(x: Values, at: readonly number[], parameters: ReferenceParameters): RowEntries {
  const row = scaledRow(x, at, parameters);
  if (!row) return () => exactly(Number.NEGATIVE_INFINITY);
  const logarithm = logOfSum(row);
  return (i) => (isMasked(parameters, i) ? row.shifted(i) : sub(row.shifted(i), logarithm));
}

interface ScaledRow {
  readonly at: readonly number[];
  readonly max: DoubleDouble;
  readonly hasNaN: boolean;
  /** x/T − max at a position, −Infinity where masked. */
  readonly shifted: (i: number) => DoubleDouble;
}

/** The row divided by its temperature and shifted by its maximum over the kept entries, or null if the mask keeps none. */
export function scaledRow(x: Values, at: readonly number[], parameters: ReferenceParameters): ScaledRow | null {
  const { temperature = 1 } = parameters;
  const sign = Math.sign(temperature);
  let kept = 0;
  let hasNaN = false;
  let largest = Number.NaN;
  for (const i of at) {
    if (isMasked(parameters, i)) continue;
    const logit = x[i] ?? Number.NaN;
    if (Number.isNaN(logit)) hasNaN = true;
    if (kept === 0 || logit * sign > largest * sign) largest = logit;
    kept++;
  }
  if (kept === 0) return null;
  const undefinedRow = hasNaN || !Number.isFinite(largest);
  const shifted = (i: number) => {
    if (isMasked(parameters, i)) return exactly(Number.NEGATIVE_INFINITY);
    if (undefinedRow) return nan;
    const logit = x[i] ?? Number.NaN;
    if (!Number.isFinite(logit)) return exactly(logit / temperature);
    if (Number.isFinite(logit - largest)) return divided(difference(logit, largest), temperature);
    // Halving is exact here: if the difference overflows, both numbers are so large that neither half is subnormal.
    return scaled(divided(difference(logit / 2, largest / 2), temperature), 2);
  };
  return { at, max: divided(exactly(largest), temperature), hasNaN, shifted };
}

/** log Σ exp(shifted). The term of the maximum is 1, so the others are added by log1p and a tiny sum is not lost. */
export function logOfSum({ at, shifted }: ScaledRow): DoubleDouble {
  let others = zero;
  let hasTop = false;
  for (const i of at) {
    const gap = shifted(i);
    if (!hasTop && gap.hi === 0) hasTop = true;
    else others = add(others, exp(gap));
  }
  return hasTop ? log1p(others) : log(others);
}
