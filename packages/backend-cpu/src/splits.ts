import { head, type Pair, sumError } from './pair.js';

/**
 * Sums and quotients of exponentials that are split in a head and a rest (see `expSplits`). With 1 / sum split in the same way the
 * product of the heads is exact and all that is added to it small, so that a probability is rounded once.
 */

/** Elements whose rests are summed before they are added to the total; with more, rounding errors would be visible. */
export const blockElements = 1024;

/** The sum of `exp[k] + rests[k]`. */
export function sumSplits(total: Pair, exp: Float64Array, rests: Float64Array, length: number): void {
  total.high = 0;
  total.low = 0;
  addSplits(total, exp, rests, length);
}

/** Adds `exp[k] + rests[k]` to the total, compensated (Knuth's TwoSum), in two chains. */
export function addSplits(total: Pair, exp: Float64Array, rests: Float64Array, length: number): void {
  for (let first = 0; first < length; first += blockElements) {
    addBlock(total, exp, rests, first, Math.min(length, first + blockElements));
  }
}

function addBlock(total: Pair, exp: Float64Array, rests: Float64Array, from: number, to: number): void {
  let sum0 = total.high;
  let sum1 = 0;
  let low0 = 0;
  let low1 = 0;
  let k = from;
  for (; k < to - 1; k += 2) {
    const l = (k + 1) | 0;
    const e0 = exp[k];
    const e1 = exp[l];
    const next0 = sum0 + e0;
    const next1 = sum1 + e1;
    const added0 = next0 - sum0;
    const added1 = next1 - sum1;
    low0 += sum0 - (next0 - added0) + (e0 - added0) + rests[k];
    low1 += sum1 - (next1 - added1) + (e1 - added1) + rests[l];
    sum0 = next0;
    sum1 = next1;
  }
  if (k < to) {
    const next0 = sum0 + exp[k];
    low0 += sumError(sum0, exp[k], next0) + rests[k];
    sum0 = next0;
  }
  const high = sum0 + sum1;
  const low = sumError(sum0, sum1, high) + (low0 + low1) + total.low;
  // The low part is made less than half an ULP of the high one.
  total.high = high + low;
  total.low = sumError(high, low, total.high);
}

/** `out[to + k] = (exp[k] + rests[k]) / total`. */
export function divide(
  out: Float64Array,
  to: number,
  exp: Float64Array,
  rests: Float64Array,
  length: number,
  { high, low }: Pair,
): void {
  const inverse = 1 / high;
  const inverseHead = head(inverse);
  const inverseRest = restOfInverse(inverse, inverseHead, high, low);
  let k = 0;
  for (; k < length - 3; k += 4) {
    const target = (to + k) | 0;
    const k1 = (k + 1) | 0;
    const k2 = (k + 2) | 0;
    const k3 = (k + 3) | 0;
    // All loads come before the stores, because stores that may alias delay later loads.
    const e0 = exp[k];
    const e1 = exp[k1];
    const e2 = exp[k2];
    const e3 = exp[k3];
    const rest0 = rests[k];
    const rest1 = rests[k1];
    const rest2 = rests[k2];
    const rest3 = rests[k3];
    out[target] = e0 * inverseHead + (e0 * inverseRest + rest0 * inverse);
    out[(target + 1) | 0] = e1 * inverseHead + (e1 * inverseRest + rest1 * inverse);
    out[(target + 2) | 0] = e2 * inverseHead + (e2 * inverseRest + rest2 * inverse);
    out[(target + 3) | 0] = e3 * inverseHead + (e3 * inverseRest + rest3 * inverse);
  }
  for (; k < length; k++) out[to + k] = exp[k] * inverseHead + (exp[k] * inverseRest + rests[k] * inverse);
}

/** Divides each row of `classes` elements by its sum, into `out` from `to` on. One loop, because a call for each row would cost more than the division. */
export function divideShort(
  out: Float64Array,
  to: number,
  exp: Float64Array,
  rests: Float64Array,
  length: number,
  classes: number,
): void {
  for (let first = 0; first < length; first += classes) {
    const last = (first + classes) | 0;
    let sum = exp[first];
    let low = rests[first];
    for (let k = (first + 1) | 0; k < last; k++) {
      const e = exp[k];
      const next = sum + e;
      const added = next - sum;
      low += sum - (next - added) + (e - added) + rests[k];
      sum = next;
    }
    const high = sum + low;
    const inverse = 1 / high;
    const inverseHead = head(inverse);
    const inverseRest = restOfInverse(inverse, inverseHead, high, sum - high + low);
    for (let k = first; k < last; k++) {
      const e = exp[k];
      out[(to + k) | 0] = e * inverseHead + (e * inverseRest + rests[k] * inverse);
    }
  }
}

/** `1 / (high + low) − inverseHead`. */
function restOfInverse(inverse: number, inverseHead: number, high: number, low: number): number {
  const highHead = head(high);
  return inverse * (1 - inverseHead * highHead - inverseHead * (high - highHead) - inverseHead * low);
}
