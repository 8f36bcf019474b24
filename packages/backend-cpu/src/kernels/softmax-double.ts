import { doubleLimit, expPair } from '../exp.js';
import { type Pair, sumError } from '../pair.js';
import { scratch } from '../storage.js';

/** Rows longer than this have their exponentials taken twice rather than stored. */
const longRow = 2 ** 17;
/** Rows shorter than this have the exponentials of a block taken in one loop: theirs is too short to start one each. */
const shortRow = 16;
/** Elements of a block of short rows, whose exponentials and their rests stay in the first-level cache until they are scaled. */
const blockElements = 1024;
/** Bound on the sum of squares of four logits that are exponentiated unshifted. */
const mostSquares = doubleLimit ** 2;

const expScratch = scratch();
const restScratch = scratch();

/** Computes `count` rows from element `start` on, whose exponentials could overflow. */
type ShiftRows = (start: number, count: number) => void;

/**
 * Softmax of contiguous rows of float64, within 1.1 ULP. Exponentials, their sum and a quotient that are rounded each would add up
 * to 3, since half an ULP of a number just above a power of 2 is a whole one just below it. So each exponential keeps what rounding
 * took off it, so does their sum, and the quotient is corrected by both: rounded are it and the result.
 */
export function softmaxDouble(
  out: Float64Array,
  logits: Float64Array,
  outer: number,
  classes: number,
  shiftRows: ShiftRows,
): void {
  if (classes < shortRow) shortRows(out, logits, outer, classes, shiftRows);
  else rows(out, logits, outer, classes, shiftRows);
}

function rows(out: Float64Array, x: Float64Array, outer: number, classes: number, shiftRows: ShiftRows): void {
  const part = Math.min(longRow, classes);
  const exp = expScratch(part);
  const rests = restScratch(part);
  const total: Pair = { high: 0, low: 0 };
  const end = outer * classes;
  for (let start = 0; start < end; start += classes) {
    total.high = 0;
    total.low = 0;
    let safe = true;
    for (let k = 0; safe && k < classes; k += part) {
      safe = expAndSum(total, exp, rests, x, start + k, Math.min(part, classes - k));
    }
    if (!safe) {
      shiftRows(start, 1);
      continue;
    }
    const { high, low } = total;
    if (part === classes) {
      divide(out, exp, rests, start, classes, high, low);
      continue;
    }
    for (let k = 0; k < classes; k += part) {
      const length = Math.min(part, classes - k);
      expWithRests(exp, rests, x, start + k, length);
      divide(out, exp, rests, start + k, length, high, low);
    }
  }
}

/** `exp[k] + rests[k] = exp(x[start + k])`, added to the total, or false where an x is too large for that. */
function expAndSum(
  total: Pair,
  exp: Float64Array,
  rests: Float64Array,
  x: Float64Array,
  start: number,
  length: number,
): boolean {
  let { high, low } = total;
  let k = 0;
  for (; k < length - 3; k += 4) {
    const x0 = x[start + k];
    const x1 = x[start + k + 1];
    const x2 = x[start + k + 2];
    const x3 = x[start + k + 3];
    if (!(x0 * x0 + x1 * x1 + (x2 * x2 + x3 * x3) < mostSquares)) return false;
    rests[k] = expPair(exp, k, x0, 0);
    rests[k + 1] = expPair(exp, k + 1, x1, 0);
    rests[k + 2] = expPair(exp, k + 2, x2, 0);
    rests[k + 3] = expPair(exp, k + 3, x3, 0);
    const high0 = high + exp[k];
    const high1 = high0 + exp[k + 1];
    const high2 = high1 + exp[k + 2];
    const high3 = high2 + exp[k + 3];
    low += sumError(high, exp[k], high0) + rests[k];
    low += sumError(high0, exp[k + 1], high1) + rests[k + 1];
    low += sumError(high1, exp[k + 2], high2) + rests[k + 2];
    low += sumError(high2, exp[k + 3], high3) + rests[k + 3];
    high = high3;
  }
  for (; k < length; k++) {
    const x0 = x[start + k];
    if (!(x0 * x0 < mostSquares)) return false;
    rests[k] = expPair(exp, k, x0, 0);
    const next = high + exp[k];
    low += sumError(high, exp[k], next) + rests[k];
    high = next;
  }
  total.high = high;
  total.low = low;
  return true;
}

/** `out[to + k] = (exp[k] + rests[k]) / (high + low)`. */
function divide(
  out: Float64Array,
  exp: Float64Array,
  rests: Float64Array,
  to: number,
  length: number,
  high: number,
  low: number,
): void {
  const factor = 1 / high;
  let k = 0;
  for (; k < length - 3; k += 4) {
    const target = (to + k) | 0;
    const k1 = (k + 1) | 0;
    const k2 = (k + 2) | 0;
    const k3 = (k + 3) | 0;
    out[target] = corrected(exp[k] / high, rests[k], low, factor);
    out[(target + 1) | 0] = corrected(exp[k1] / high, rests[k1], low, factor);
    out[(target + 2) | 0] = corrected(exp[k2] / high, rests[k2], low, factor);
    out[(target + 3) | 0] = corrected(exp[k3] / high, rests[k3], low, factor);
  }
  for (; k < length; k++) out[to + k] = corrected(exp[k] / high, rests[k], low, factor);
}

/** A quotient with what the rests of its dividend and its divisor add to it. `factor` is 1 / divisor, as rounded. */
function corrected(quotient: number, rest: number, divisorRest: number, factor: number): number {
  return quotient + (rest - quotient * divisorRest) * factor;
}

function shortRows(out: Float64Array, x: Float64Array, outer: number, classes: number, shiftRows: ShiftRows): void {
  const perBlock = Math.floor(blockElements / classes) * classes;
  const end = outer * classes;
  const length = Math.min(perBlock, end);
  const exp = expScratch(length);
  const rests = restScratch(length);
  for (let start = 0; start < end; start += perBlock) {
    const count = Math.min(perBlock, end - start);
    if (expWithRests(exp, rests, x, start, count)) scaleShort(out, exp, rests, start, count, classes);
    else shiftRows(start, count / classes);
  }
}

/** `exp[k] + rests[k] = exp(x[start + k])`, or false where an x is too large for that. */
function expWithRests(exp: Float64Array, rests: Float64Array, x: Float64Array, start: number, length: number): boolean {
  let k = 0;
  for (; k < length - 3; k += 4) {
    const x0 = x[start + k];
    const x1 = x[start + k + 1];
    const x2 = x[start + k + 2];
    const x3 = x[start + k + 3];
    if (!(x0 * x0 + x1 * x1 + (x2 * x2 + x3 * x3) < mostSquares)) return false;
    rests[k] = expPair(exp, k, x0, 0);
    rests[k + 1] = expPair(exp, k + 1, x1, 0);
    rests[k + 2] = expPair(exp, k + 2, x2, 0);
    rests[k + 3] = expPair(exp, k + 3, x3, 0);
  }
  for (; k < length; k++) {
    const x0 = x[start + k];
    if (!(x0 * x0 < mostSquares)) return false;
    rests[k] = expPair(exp, k, x0, 0);
  }
  return true;
}

function scaleShort(
  out: Float64Array,
  exp: Float64Array,
  rests: Float64Array,
  start: number,
  length: number,
  classes: number,
): void {
  for (let first = 0; first < length; first += classes) {
    const last = (first + classes) | 0;
    let high = exp[first];
    let low = rests[first];
    for (let k = first + 1; k < last; k++) {
      const next = high + exp[k];
      low += sumError(high, exp[k], next) + rests[k];
      high = next;
    }
    const factor = 1 / high;
    for (let k = first; k < last; k++) out[(start + k) | 0] = corrected(exp[k] / high, rests[k], low, factor);
  }
}
