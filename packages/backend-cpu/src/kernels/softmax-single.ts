import { blockElements, rowsPerBlock, scale } from '../blocks.js';
import { expAndSum, expOfSteps, keptExpAndSum, leastSteps, mostSteps, stepsPerUnit, unitOf } from '../exp-single.js';
import { scratch, singleScratch } from '../storage.js';
import type { Keep } from '../tiles.js';

/** Rows longer than this have their exponentials taken twice rather than stored. */
export const longRow = 2 ** 17;
/** Rows shorter than this have the exponentials of a block taken in one loop: theirs is too short to start one each. */
export const shortRow = 32;

const expScratch = scratch();
const logitScratch = singleScratch();
/** Of one length for good: an array that the compiler knows it need not load the length of, which makes short rows an eighth faster. */
const blockScratch = new Float64Array(blockElements);

/** Softmax of contiguous rows of float32, logits/temperature over the entries kept; `out` may be the logits. */
export function softmaxSingle(
  out: Float32Array,
  logits: Float32Array,
  outer: number,
  classes: number,
  temperature: number,
  keep: Keep | null,
): void {
  if (keep) maskedRows(out, logits, outer, classes, temperature, keep);
  else if (classes > longRow) longRows(out, logits, outer, classes, temperature);
  else if (classes < shortRow) shortRows(out, logits, outer, classes, temperature);
  else rows(out, logits, outer, classes, temperature);
}

function rows(out: Float32Array, x: Float32Array, outer: number, classes: number, temperature: number): void {
  const unit = unitOf(temperature);
  const exp = expScratch(classes);
  const end = outer * classes;
  for (let start = 0; start < end; start += classes) {
    let total = expAndSum(exp, x, start, classes, unit);
    if (total < 0) total = hardExpAndSum(exp, 0, x, start, classes, temperature);
    scale(out, exp, start, 0, classes, 1 / total);
  }
}

function shortRows(out: Float32Array, x: Float32Array, outer: number, classes: number, temperature: number): void {
  const unit = unitOf(temperature);
  const end = outer * classes;
  const perBlock = rowsPerBlock(classes) * classes;
  const exp = blockScratch;
  for (let start = 0; start < end; start += perBlock) {
    const length = Math.min(perBlock, end - start);
    if (expAndSum(exp, x, start, length, unit) < 0) {
      for (let k = 0; k < length; k += classes) hardExpAndSum(exp, k, x, start + k, classes, temperature);
    }
    scaleShort(out, start, length, classes);
  }
}

/**
 * Divides each row of `blockScratch` by its sum, into `out` from `start` on: one loop, since a call for each would cost more than it does. Too
 * long for V8 to inline it (460 bytes of bytecode), which matters: among all that a caller inlines its loops ran out of registers.
 */
function scaleShort(out: Float32Array, start: number, length: number, classes: number): void {
  const exp = blockScratch;
  if (classes === 3) {
    for (let first = 0; first < length; first += 3) {
      const target = (start + first) | 0;
      const e0 = exp[first];
      const e1 = exp[(first + 1) | 0];
      const e2 = exp[(first + 2) | 0];
      const factor = 1 / (e0 + e1 + e2);
      out[target] = e0 * factor;
      out[(target + 1) | 0] = e1 * factor;
      out[(target + 2) | 0] = e2 * factor;
    }
    return;
  }
  for (let first = 0; first < length; first += classes) {
    const last = (first + classes) | 0;
    const lastFour = (last - 3) | 0;
    const lastTwo = (last - 1) | 0;
    let sum0 = 0;
    let sum1 = 0;
    let k = first;
    for (; k < lastFour; k += 4) {
      sum0 += exp[k] + exp[(k + 1) | 0];
      sum1 += exp[(k + 2) | 0] + exp[(k + 3) | 0];
    }
    if (k < lastTwo) {
      sum0 += exp[k] + exp[(k + 1) | 0];
      k += 2;
    }
    if (k < last) sum1 += exp[k];
    const factor = 1 / (sum0 + sum1);
    for (k = first; k < lastFour; k += 4) {
      const target = (start + k) | 0;
      out[target] = exp[k] * factor;
      out[(target + 1) | 0] = exp[(k + 1) | 0] * factor;
      out[(target + 2) | 0] = exp[(k + 2) | 0] * factor;
      out[(target + 3) | 0] = exp[(k + 3) | 0] * factor;
    }
    if (k < lastTwo) {
      const target = (start + k) | 0;
      out[target] = exp[k] * factor;
      out[(target + 1) | 0] = exp[(k + 1) | 0] * factor;
      k += 2;
    }
    if (k < last) out[(start + k) | 0] = exp[k] * factor;
  }
}

/** Rows whose exponentials would fill the cache: once for their sum, once more for the probabilities. */
function longRows(out: Float32Array, x: Float32Array, outer: number, classes: number, temperature: number): void {
  const unit = unitOf(temperature);
  const exp = expScratch(longRow);
  const end = outer * classes;
  for (let start = 0; start < end; start += classes) {
    let total = 0;
    for (let k = 0; k < classes && total >= 0; k += longRow) {
      const part = expAndSum(exp, x, start + k, Math.min(longRow, classes - k), unit);
      total = part < 0 ? part : total + part;
    }
    if (total < 0) {
      const whole = expScratch(classes);
      total = hardExpAndSum(whole, 0, x, start, classes, temperature);
      scale(out, whole, start, 0, classes, 1 / total);
      continue;
    }
    for (let k = 0; k < classes; k += longRow) {
      const length = Math.min(longRow, classes - k);
      expAndSum(exp, x, start + k, length, unit);
      scale(out, exp, start + k, 0, length, 1 / total);
    }
  }
}

/** Least total of a row for which what `clampedExpAndSum` leaves out, e^−177 each at most, is less than a float32 has. */
export const leastTotal = Math.exp(-60);

/** `exp[to + k]` and their sum, to a common factor, for a row with entries that exp would leave the table for. */
function hardExpAndSum(
  exp: Float64Array,
  to: number,
  x: Float32Array,
  start: number,
  classes: number,
  temperature: number,
): number {
  const total = clampedExpAndSum(exp, to, x, start, classes, stepsPerUnit / temperature);
  return total < 0 ? shiftedExpAndSum(exp, to, x, start, classes, temperature) : total;
}

/**
 * Still without a shift, for rows whose only large entries are −Infinity or −1e9, as additive masks have them: they get 0. Returns
 * −1 where an entry is too large or NaN, or all are so small that what is left out counts.
 */
function clampedExpAndSum(
  exp: Float64Array,
  to: number,
  x: Float32Array,
  start: number,
  classes: number,
  stepsPerLogit: number,
): number {
  let total = 0;
  for (let k = 0; k < classes; k++) {
    const steps = x[(start + k) | 0] * stepsPerLogit;
    if (!(steps < mostSteps)) return -1;
    const e = steps < leastSteps ? 0 : expOfSteps(steps);
    exp[(to + k) | 0] = e;
    total += e;
  }
  return total > leastTotal ? total : -1;
}

/**
 * `exp[to + k] = exp((x[start + k] − max) / T)` and their sum, where x / T is largest at max. NaN for a row
 * with NaN, with +Infinity, or with only −Infinity: there x − max is NaN. Numbers too small for a float32 become 0.
 */
function shiftedExpAndSum(
  exp: Float64Array,
  to: number,
  x: Float32Array,
  start: number,
  classes: number,
  temperature: number,
): number {
  const sign = temperature < 0 ? -1 : 1;
  const end = start + classes;
  let max = Number.NEGATIVE_INFINITY;
  for (let k = start; k < end; k++) {
    const value = x[k] * sign;
    if (value > max) max = value;
  }
  let total = 0;
  const unit = stepsPerUnit / Math.abs(temperature);
  for (let k = 0; k < classes; k++) {
    const steps = (x[(start + k) | 0] * sign - max) * unit;
    // The smallest give e^−177.
    const e = expOfSteps(Math.max(steps, leastSteps));
    exp[(to + k) | 0] = e;
    total += e;
  }
  return total;
}

/** Rows of which a mask keeps some entries: those it does not keep get 0, even in a row that is otherwise NaN. */
function maskedRows(
  out: Float32Array,
  x: Float32Array,
  outer: number,
  classes: number,
  temperature: number,
  { buffer: keep, rows }: Keep,
): void {
  const exp = expScratch(classes);
  const unit = unitOf(temperature);
  for (let row = 0; row < outer; row++) {
    const start = row * classes;
    const mask = (row % rows) * classes;
    let total = keptExpAndSum(exp, x, start, classes, unit, keep, mask);
    const isHard = total < 0;
    if (isHard)
      total = hardExpAndSum(exp, 0, keptLogits(x, start, classes, temperature, keep, mask), 0, classes, temperature);
    // Nothing is kept where the total is 0.
    scale(out, exp, start, 0, classes, total === 0 ? 0 : 1 / total);
    if (isHard) for (let k = 0; k < classes; k++) if (keep[mask + k] === 0) out[start + k] = 0;
  }
}

/** A row of logits whose masked entries are the ones of probability 0. */
function keptLogits(
  x: Float32Array,
  start: number,
  classes: number,
  temperature: number,
  keep: Uint8Array,
  mask: number,
): Float32Array {
  const kept = logitScratch(classes);
  for (let k = 0; k < classes; k++) kept[k] = keep[mask + k] === 0 ? -Infinity * temperature : x[start + k];
  return kept;
}
