import { doubleLimit, expSplit } from '../exp-double.js';
import { type Pair, productError, quotientError, reciprocal, sumError } from '../pair.js';
import { divide, sumSplits } from '../splits.js';
import { scratch } from '../storage.js';
import type { Keep } from '../tiles.js';

/** The exp of smaller numbers is negligible compared with that of any logit in a row that is not shifted. */
export const vanishing = -1500;
/** exp of what is smaller is 0. */
export const leastExponent = -746;

const expScratch = scratch();
const restScratch = scratch();

/** Rows with a mask, a temperature or entries of −Infinity or −1e9, as additive masks have them: unshifted if they can, or shifted. */
export function hardRows(
  out: Float64Array,
  x: Float64Array,
  first: number,
  count: number,
  classes: number,
  temperature: number,
  keep: Keep | null,
): void {
  const exp = expScratch(classes);
  const rests = restScratch(classes);
  const inverse = reciprocal(temperature);
  const total: Pair = { high: 0, low: 0 };
  for (let row = first; row < first + count; row++) {
    const start = row * classes;
    const mask = keep ? (row % keep.rows) * classes : 0;
    if (hardExpAndSum(total, exp, rests, x, start, classes, inverse, keep, mask)) {
      divide(out, start, exp, rests, classes, total);
    } else if (shiftedExpAndSum(total, exp, rests, x, start, classes, temperature, keep, mask)) {
      divide(out, start, exp, rests, classes, total);
    } else {
      out.fill(Number.NaN, start, start + classes);
    }
    // Also in a row that is otherwise NaN, and where nothing is kept.
    if (keep && !(total.high > 0))
      for (let k = 0; k < classes; k++) if (keep.buffer[mask + k] === 0) out[start + k] = 0;
  }
}

/** `expAndSum` of x/T over the entries kept, the others 0. False also where nothing is left. */
function hardExpAndSum(
  total: Pair,
  exp: Float64Array,
  rests: Float64Array,
  x: Float64Array,
  start: number,
  classes: number,
  inverse: Pair,
  keep: Keep | null,
  mask: number,
): boolean {
  const factor = inverse.high;
  for (let k = 0; k < classes; k++) {
    const value = x[(start + k) | 0];
    const quotient = value * factor;
    if ((keep && keep.buffer[(mask + k) | 0] === 0) || quotient < vanishing) {
      exp[k] = 0;
      rests[k] = 0;
      continue;
    }
    if (!(Math.abs(quotient) < doubleLimit)) return false;
    rests[k] = expSplit(exp, k, quotient, productRest(value, inverse, quotient));
  }
  sumSplits(total, exp, rests, classes);
  return total.high > 0;
}

/**
 * `exp[k] + rests[k] = exp((x − max) / T)` of the entries kept, and their sum; false where none is finite. x − max is rounded, at a
 * gap of 40 by up to 32 ULP of its exp, so the rounding error is kept.
 */
function shiftedExpAndSum(
  total: Pair,
  exp: Float64Array,
  rests: Float64Array,
  x: Float64Array,
  start: number,
  classes: number,
  temperature: number,
  keep: Keep | null,
  mask: number,
): boolean {
  const sign = temperature < 0 ? -1 : 1;
  const divisor = Math.abs(temperature);
  const isOne = divisor === 1;
  let max = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < classes; k++) {
    if (keep && keep.buffer[(mask + k) | 0] === 0) continue;
    const value = x[(start + k) | 0] * sign;
    if (value > max) max = value;
  }
  for (let k = 0; k < classes; k++) {
    const value = x[(start + k) | 0] * sign;
    const difference = value - max;
    const quotient = isOne ? difference : difference / divisor;
    if ((keep && keep.buffer[(mask + k) | 0] === 0) || quotient < leastExponent) {
      exp[k] = 0;
      rests[k] = 0;
      continue;
    }
    const error = sumError(value, -max, difference);
    rests[k] = expSplit(exp, k, quotient, isOne ? error : quotientError(difference, error, divisor, quotient));
  }
  sumSplits(total, exp, rests, classes);
  return Number.isFinite(max);
}

/** What `quotient`, x · factor as rounded, lacks of x / T. Splitting x does not overflow: x is less than `doubleLimit` times T. */
function productRest(x: number, { high, low }: Pair, quotient: number): number {
  return high === 1 ? 0 : productError(x, high, quotient) + x * low;
}
