import { doubleLimit, expSplit } from '../exp-double.js';
import { type Pair, productError, reciprocal, sumError } from '../pair.js';
import { divide, sumSplits } from '../splits.js';
import { scratch } from '../storage.js';
import type { Keep } from '../tiles.js';

/** exp of what is smaller vanishes beside that of any logit of which exp is taken unshifted. */
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
    } else if (shiftedExpAndSum(total, exp, rests, x, start, classes, inverse, keep, mask)) {
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
    rests[k] = expSplit(exp, k, quotient, quotientRest(value, inverse, quotient));
  }
  sumSplits(total, exp, rests, classes);
  return total.high > 0;
}

/**
 * `exp[k] + rests[k] = exp(x/T − max)` of the entries kept, and their sum; false where none is finite. x/T − max is rounded, at a
 * gap of 40 by up to 32 ULP of its exp, so the rounding error goes along.
 */
function shiftedExpAndSum(
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
  let max = Number.NEGATIVE_INFINITY;
  let top = start;
  for (let k = 0; k < classes; k++) {
    const quotient = x[(start + k) | 0] * factor;
    if (quotient > max && !(keep && keep.buffer[(mask + k) | 0] === 0)) {
      max = quotient;
      top = start + k;
    }
  }
  const maxRest = quotientRest(x[top], inverse, max);
  for (let k = 0; k < classes; k++) {
    const value = x[(start + k) | 0];
    const quotient = value * factor;
    const difference = quotient - max;
    if ((keep && keep.buffer[(mask + k) | 0] === 0) || difference < leastExponent) {
      exp[k] = 0;
      rests[k] = 0;
      continue;
    }
    const rest = sumError(quotient, -max, difference) + (quotientRest(value, inverse, quotient) - maxRest);
    rests[k] = expSplit(exp, k, difference, rest);
  }
  sumSplits(total, exp, rests, classes);
  return Number.isFinite(max);
}

/** What `quotient`, x · factor as rounded, lacks of x / T. Not finite, and of no matter, where x is so large that splitting overflows. */
function quotientRest(x: number, { high, low }: Pair, quotient: number): number {
  if (high === 1) return 0;
  const rest = productError(x, high, quotient) + x * low;
  return Number.isFinite(rest) ? rest : 0;
}
