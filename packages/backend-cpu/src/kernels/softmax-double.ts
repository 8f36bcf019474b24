import { expPair } from '../exp.js';
import { type Pair, reciprocal } from '../pair.js';
import { scratch } from '../storage.js';

/** Elements whose exponentials are taken at once: both their parts stay in the first-level cache until they are scaled. */
const blockElements = 1024;
/** Rows longer than this have their exponentials taken twice rather than stored. */
const longRow = 2 ** 17;
/** Bound on the sum of squares of four logits that are exponentiated unshifted. */
const mostSquares = 680 ** 2;

const highScratch = scratch();
const lowScratch = scratch();

/**
 * Softmax of contiguous rows of float64. Each exponential is kept as an unevaluated sum `high + low`, so is the row's total and its
 * reciprocal: what is rounded are only the product and the last sum, and the result is within 1.1 ULP. With the exponentials
 * rounded first it would be 3, since an error of ½ ULP of a number just above a power of 2 is one of 1 ULP just below it.
 *
 * @param shiftRows computes those of the rows whose exponentials could overflow: `count` of them from element `start` on
 */
export function softmaxDouble(
  out: Float64Array,
  logits: Float64Array,
  outer: number,
  classes: number,
  shiftRows: (start: number, count: number) => void,
): void {
  const perBlock = Math.max(1, Math.floor(blockElements / classes));
  const length = Math.min(longRow, classes * Math.min(perBlock, outer));
  const high = highScratch(length);
  const low = lowScratch(length);
  const total: Pair = { high: 0, low: 0 };
  for (let row = 0; row < outer; row += perBlock) {
    const count = Math.min(perBlock, outer - row);
    const start = row * classes;
    if (classes > longRow) {
      if (!softmaxLong(out, logits, start, classes, high, low)) shiftRows(start, 1);
    } else if (expPairs(high, low, logits, start, count * classes)) {
      for (let first = 0; first < count * classes; first += classes) {
        total.high = 0;
        total.low = 0;
        addPairs(total, high, low, first, classes);
        scalePairs(out, high, low, start + first, first, classes, reciprocal(total));
      }
    } else {
      shiftRows(start, count);
    }
  }
}

/** `high[k] + low[k] = exp(x[start + k])`, or false where an x is too large for that. */
function expPairs(high: Float64Array, low: Float64Array, x: Float64Array, start: number, length: number): boolean {
  let k = 0;
  for (; k < length - 3; k += 4) {
    const x0 = x[start + k];
    const x1 = x[start + k + 1];
    const x2 = x[start + k + 2];
    const x3 = x[start + k + 3];
    if (!(x0 * x0 + x1 * x1 + (x2 * x2 + x3 * x3) < mostSquares)) return false;
    low[k] = expPair(high, k, x0, 0);
    low[k + 1] = expPair(high, k + 1, x1, 0);
    low[k + 2] = expPair(high, k + 2, x2, 0);
    low[k + 3] = expPair(high, k + 3, x3, 0);
  }
  for (; k < length; k++) {
    const x0 = x[start + k];
    if (!(x0 * x0 < mostSquares)) return false;
    low[k] = expPair(high, k, x0, 0);
  }
  return true;
}

/** Adds by Knuth's TwoSum (The Art of Computer Programming, 4.2.2): unshifted exponentials come in any order of size. */
function addPairs(total: Pair, high: Float64Array, low: Float64Array, from: number, length: number): void {
  let sum = total.high;
  let rest = total.low;
  for (let k = from; k < from + length; k++) {
    const term = high[k];
    const next = sum + term;
    const added = next - sum;
    rest += sum - (next - added) + (term - added) + low[k];
    sum = next;
  }
  total.high = sum;
  total.low = rest;
}

/** `out[to + k] = (high[from + k] + low[from + k]) · (factor.high + factor.low)`. */
function scalePairs(
  out: Float64Array,
  high: Float64Array,
  low: Float64Array,
  to: number,
  from: number,
  length: number,
  factor: Pair,
): void {
  const { high: factorHigh, low: factorLow } = factor;
  for (let k = 0; k < length; k++) {
    const e = high[from + k];
    out[to + k] = e * factorHigh + (e * factorLow + low[from + k] * factorHigh);
  }
}

/** A row whose exponentials would fill the cache: once for their sum, once more for the probabilities. */
function softmaxLong(
  out: Float64Array,
  x: Float64Array,
  start: number,
  classes: number,
  high: Float64Array,
  low: Float64Array,
): boolean {
  const total: Pair = { high: 0, low: 0 };
  for (let k = 0; k < classes; k += longRow) {
    const length = Math.min(longRow, classes - k);
    if (!expPairs(high, low, x, start + k, length)) return false;
    addPairs(total, high, low, 0, length);
  }
  const factor = reciprocal(total);
  for (let k = 0; k < classes; k += longRow) {
    const length = Math.min(longRow, classes - k);
    expPairs(high, low, x, start + k, length);
    scalePairs(out, high, low, start + k, 0, length, factor);
  }
  return true;
}
