import { sumError } from '../../pair.js';
import type { FloatArray } from '../../storage.js';
import { type Divisor, isSoftmax, scaleRow } from './double.js';
import { indexAboveHalf, isNearMean, mayBeNear } from './origin.js';
import { isImprecise, meanCotangent } from './single.js';
import { mayOverflow } from './wide.js';

/** Rows of float32 shorter than this have the probability above ½ found without a branch, which is unpredictable. */
export const leastSearched = 16;

/** 1.5 · 2^52, beside which a float64 has no bits below 1: adding and subtracting it rounds to an integer. */
const integers = 1.5 * 2 ** 52;

/** `vjpSingle` with the cotangent of a probability above ½ taken off in all rows: Σ s g with each probability rounded to 0 or 1. */
export function vjpSingleShort(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  length: number,
  classes: number,
  factor: number,
): void {
  for (let start = 0; start < length; start += classes) {
    const end = (start + classes) | 0;
    const lastTwo = (end - 1) | 0;
    let mean0 = 0;
    let mean1 = 0;
    let total0 = 0;
    let total1 = 0;
    let origin0 = 0;
    let origin1 = 0;
    let k = start;
    for (; k < lastTwo; k += 2) {
      const l = (k + 1) | 0;
      const s0 = s[k];
      const s1 = s[l];
      mean0 += s0 * g[k];
      mean1 += s1 * g[l];
      total0 += s0;
      total1 += s1;
      origin0 += (s0 + integers - integers) * g[k];
      origin1 += (s1 + integers - integers) * g[l];
    }
    if (k < end) {
      mean0 += s[k] * g[k];
      total0 += s[k];
      origin0 += (s[k] + integers - integers) * g[k];
    }
    const origin = origin0 + origin1;
    const total = total0 + total1;
    const mean = mean0 + mean1;
    const moved = mean - origin * total;
    const slope = total * factor;
    const constant = (isImprecise(moved, mean, origin) ? meanCotangent(s, g, start, end, origin) : moved) * factor;
    for (k = start; k < lastTwo; k += 2) {
      const l = (k + 1) | 0;
      const dx0 = s[k] * ((g[k] - origin) * slope - constant);
      const dx1 = s[l] * ((g[l] - origin) * slope - constant);
      out[k] = dx0;
      out[l] = dx1;
    }
    if (k < end) out[k] = s[k] * ((g[k] - origin) * slope - constant);
  }
}

/**
 * `vjpDouble` with the error of each term, since few terms are not off by more than their sum's rounding then. Whether a row has a probability above ½ is found
 * without a branch for each pair: that one rounds to 1 and the others to 0, so that the differences of pairs add up to 0 only if there is none.
 */
export function vjpDoubleShort(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  length: number,
  classes: number,
  divisor: Divisor,
): void {
  const isOne = divisor.temperature === 1;
  for (let start = 0; start < length; start += classes) {
    const end = (start + classes) | 0;
    const lastTwo = (end - 1) | 0;
    let rounded = 0;
    let origin = 0;
    let total = 0;
    let mean0 = 0;
    let mean1 = 0;
    let low0 = 0;
    let low1 = 0;
    let k = start;
    for (; k < lastTwo; k += 2) {
      const l = (k + 1) | 0;
      const s0 = s[k];
      const s1 = s[l];
      const term0 = s0 * g[k];
      const term1 = s1 * g[l];
      const next0 = mean0 + term0;
      const next1 = mean1 + term1;
      low0 += sumError(mean0, term0, next0);
      low1 += sumError(mean1, term1, next1);
      mean0 = next0;
      mean1 = next1;
      rounded += s0 + integers - (s1 + integers);
      total += s0 + s1;
    }
    if (k < end) {
      const term = s[k] * g[k];
      const next = mean0 + term;
      low0 += sumError(mean0, term, next);
      mean0 = next;
      rounded += s[k] + integers - integers;
      total += s[k];
    }
    let mean = mean0 + mean1;
    const top = rounded === 0 ? -1 : indexAboveHalf(s, start, end);
    if (top >= 0) origin = g[top];
    else if (mayBeNear(g[start], mean) && isNearMean(s, g, start, end, mean)) origin = mean;
    if (origin !== 0) {
      // The same sums of g − origin: centredMean, which as a call takes as long as the rest of a row of ten.
      mean0 = 0;
      mean1 = 0;
      low0 = 0;
      low1 = 0;
      for (k = start; k < lastTwo; k += 2) {
        const l = (k + 1) | 0;
        const term0 = s[k] * (g[k] - origin);
        const term1 = s[l] * (g[l] - origin);
        const next0 = mean0 + term0;
        const next1 = mean1 + term1;
        low0 += sumError(mean0, term0, next0);
        low1 += sumError(mean1, term1, next1);
        mean0 = next0;
        mean1 = next1;
      }
      if (k < end) {
        const term = s[k] * (g[k] - origin);
        const next = mean0 + term;
        low0 += sumError(mean0, term, next);
        mean0 = next;
      }
      mean = mean0 + mean1;
    }
    const low = sumError(mean0, mean1, mean) + low0 + low1;
    if (!isOne || mayOverflow(mean, origin) || !isSoftmax(total)) {
      scaleRow(out, s, g, start, end, origin, mean, low, total, divisor);
      continue;
    }
    // scaleRow of ordinary rows, written out: where T = 1 nothing is multiplied by 1.
    const constant = mean + low;
    for (k = start; k < lastTwo; k += 2) {
      const l = (k + 1) | 0;
      const dx0 = s[k] * (g[k] - origin - constant);
      const dx1 = s[l] * (g[l] - origin - constant);
      out[k] = dx0;
      out[l] = dx1;
    }
    if (k < end) out[k] = s[k] * (g[k] - origin - constant);
  }
}
