import type { Rows } from '@softgrad/core';
import { centredMean, type Pair, productError, sumError } from '../pair.js';
import { type FloatArray, scratch } from '../storage.js';
import { inverseTemperature } from '../temperature.js';
import { forEachTile, gather, scatter, tileLength } from '../tiles.js';
import { mostConstant, vjpWideRow } from './vjp-wide.js';

const probabilityScratch = scratch();
const cotangentScratch = scratch();
const rowMean: Pair = { high: 0, low: 0 };

/** `out = s ⊙ (g − ⟨s, g⟩) / temperature` over each row. */
export function vjp(
  out: FloatArray,
  probabilities: FloatArray,
  cotangent: FloatArray,
  rows: Rows,
  temperature: number,
): void {
  const { outer, classes } = rows;
  const isSingle = out instanceof Float32Array;
  if (rows.inner === 1) {
    vjpRows(out, probabilities, cotangent, outer, classes, temperature, isSingle);
    return;
  }
  const s = probabilityScratch(tileLength(rows));
  const g = cotangentScratch(tileLength(rows));
  forEachTile(rows, (tile) => {
    gather(s, probabilities, tile, classes);
    gather(g, cotangent, tile, classes);
    vjpRows(g, s, g, tile.count, classes, temperature, isSingle);
    scatter(out, g, tile, classes);
  });
}

/**
 * ⟨s, g⟩ of a row where one probability is nearly 1 cancels against that entry's own g, the more so as Σ s of stored probabilities is not
 * exactly 1. Subtracting a constant from g does not change the result, because J's rows add up to 0: where a probability is above ½ the
 * constant is that entry's g. Rows of two and three have their differences written out.
 */
function vjpRows(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  outer: number,
  classes: number,
  temperature: number,
  isSingle: boolean,
): void {
  const length = outer * classes;
  // float64 is divided by T, since a rounded 1/T alone costs an ULP.
  const factor = isSingle ? inverseTemperature(temperature) : 1;
  if (!isSingle && Math.abs(temperature) < leastTemperature) {
    for (let start = 0; start < length; start += classes) vjpWideRow(out, s, g, start, start + classes, temperature);
  } else if (classes === 2 || (classes === 3 && (isSingle || temperature === 1))) {
    (classes === 2 ? vjpPairs : vjpTriples)(out, s, g, length, factor);
    if (!isSingle) divide(out, 0, length, temperature);
  } else if (isSingle) {
    (classes < leastSearched && isLinear(factor) ? vjpSingleShort : vjpSingle)(out, s, g, length, classes, factor);
  } else {
    const isOrdinary = Math.log2(Math.abs(temperature)) < mostExponent;
    const divisor = divisorOf(isOrdinary ? temperature : 1);
    (classes < leastSearched ? vjpDoubleShort : vjpDouble)(out, s, g, length, classes, divisor);
    if (!isOrdinary) divide(out, 0, length, temperature);
  }
}

/** Below this temperature a result of float64 may be an ordinary number even if its product before the division is subnormal. */
const leastTemperature = 2 ** -64;

/** Of temperatures beyond 2^960, 1 / T or what it is split into may lose bits. */
const mostExponent = 960;

function divide(out: FloatArray, start: number, end: number, temperature: number): void {
  if (temperature !== 1) for (let k = start; k < end; k++) out[k] /= temperature;
}

/** With the difference of halves, which does not overflow. */
function vjpPairs(out: FloatArray, s: FloatArray, g: FloatArray, length: number, factor: number): void {
  for (let k = 0; k < length; k += 2) {
    const l = (k + 1) | 0;
    const first = 2 * s[k] * s[l] * (g[k] / 2 - g[l] / 2) * factor;
    out[k] = first;
    out[l] = 0 - first;
  }
}

/** `out_i = s_i Σ_j s_j (g_i − g_j)`, with differences of quarters, whose sums do not overflow even if s is not a softmax. */
function vjpTriples(out: FloatArray, s: FloatArray, g: FloatArray, length: number, factor: number): void {
  for (let k = 0; k < length; k += 3) {
    const l = (k + 1) | 0;
    const m = (k + 2) | 0;
    const s0 = s[k];
    const s1 = s[l];
    const s2 = s[m];
    const g0 = g[k] / 4;
    const g1 = g[l] / 4;
    const g2 = g[m] / 4;
    const g01 = g0 - g1;
    const g12 = g1 - g2;
    const g20 = g2 - g0;
    out[k] = 4 * s0 * (s1 * g01 - s2 * g20) * factor;
    out[l] = 4 * s1 * (s2 * g12 - s0 * g01) * factor;
    out[m] = 4 * s2 * (s0 * g20 - s1 * g12) * factor;
  }
}

/** float32 elements whose products are added up on their own, so that the rounding errors of long rows do not add up. */
export const blockElements = 128;

/** Σ (s_k + s_k+1)² of rows that are searched for a probability above ½, as every one of 15/16 or more makes it. */
export const leastSquares = (15 / 16) ** 2;

/** What is left of ⟨s, g⟩ when a multiple of Σ s is taken off has the bits of a float32 if it is a larger share of both. */
const leastShare = 2 ** -18;

/**
 * float64 arithmetic has 25 bits to spare for sums of float32, as many as cotangents that differ can have in common, if g is multiplied by Σ s.
 * So only probabilities that are much nearer to 1 than ½ need the second pass.
 */
function vjpSingle(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  length: number,
  classes: number,
  factor: number,
): void {
  for (let start = 0; start < length; start += classes) {
    const end = (start + classes) | 0;
    let mean = 0;
    let squares = 0;
    let total = 0;
    let k = start;
    while (k < end) {
      // Not k + blockElements, which overflows where the row ends at 2^31.
      const last = end - k > blockElements ? (k + blockElements) | 0 : end;
      const lastFour = (last - 3) | 0;
      let sum0 = 0;
      let sum1 = 0;
      let squares0 = 0;
      let squares1 = 0;
      let total0 = 0;
      let total1 = 0;
      for (; k < lastFour; k += 4) {
        const k1 = (k + 1) | 0;
        const k2 = (k + 2) | 0;
        const k3 = (k + 3) | 0;
        const s0 = s[k];
        const s1 = s[k1];
        const s2 = s[k2];
        const s3 = s[k3];
        sum0 += s0 * g[k] + s1 * g[k1];
        sum1 += s2 * g[k2] + s3 * g[k3];
        const first = s0 + s1;
        const second = s2 + s3;
        squares0 += first * first;
        squares1 += second * second;
        total0 += first;
        total1 += second;
      }
      for (; k < last; k++) {
        sum0 += s[k] * g[k];
        squares0 += s[k] * s[k];
        total0 += s[k];
      }
      mean += sum0 + sum1;
      squares += squares0 + squares1;
      total += total0 + total1;
    }
    let origin = 0;
    if (squares > leastSquares) {
      const top = indexAboveHalf(s, start, end);
      if (top >= 0) {
        origin = g[top];
        const moved = mean - origin * total;
        const isPrecise = Math.abs(moved) > leastShare * (Math.abs(mean) + Math.abs(origin));
        mean = isPrecise ? moved : meanCotangent(s, g, start, end, origin);
      }
    }
    if (origin === 0 && isLinear(factor)) scaleLinear(out, s, g, start, end, total * factor, mean * factor);
    else scaleShifted(out, s, g, start, end, origin, total, mean, factor);
  }
}

/** Rows shorter than this have the probability above ½ found without a branch, which is unpredictable. */
export const leastSearched = 16;

/** 1.5 · 2^52, beside which a float64 has no bits below 1: adding and subtracting it rounds to an integer. */
const integers = 1.5 * 2 ** 52;

/** `vjpSingle` with the cotangent of a probability above ½ taken off in all rows: Σ s g with each probability rounded to 0 or 1. */
function vjpSingleShort(
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
    const isPrecise = Math.abs(moved) >= leastShare * (Math.abs(mean) + Math.abs(origin));
    const slope = total * factor;
    const constant = (isPrecise ? moved : meanCotangent(s, g, start, end, origin)) * factor;
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

/** Whether products of float32 numbers and 1 / T are finite in float64. */
function isLinear(factor: number): boolean {
  return Math.abs(factor) < 2 ** 800;
}

/** `out = s ⊙ (slope · g − constant)`. */
function scaleLinear(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  start: number,
  end: number,
  slope: number,
  constant: number,
): void {
  const lastFour = (end - 3) | 0;
  let k = start;
  for (; k < lastFour; k += 4) {
    const k1 = (k + 1) | 0;
    const k2 = (k + 2) | 0;
    const k3 = (k + 3) | 0;
    const dx0 = s[k] * (g[k] * slope - constant);
    const dx1 = s[k1] * (g[k1] * slope - constant);
    const dx2 = s[k2] * (g[k2] * slope - constant);
    const dx3 = s[k3] * (g[k3] * slope - constant);
    out[k] = dx0;
    out[k1] = dx1;
    out[k2] = dx2;
    out[k3] = dx3;
  }
  for (; k < end; k++) out[k] = s[k] * (g[k] * slope - constant);
}

/** `out = s ⊙ ((g − origin) · total − mean) · factor`. */
function scaleShifted(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  start: number,
  end: number,
  origin: number,
  total: number,
  mean: number,
  factor: number,
): void {
  const lastFour = (end - 3) | 0;
  let k = start;
  for (; k < lastFour; k += 4) {
    const k1 = (k + 1) | 0;
    const k2 = (k + 2) | 0;
    const k3 = (k + 3) | 0;
    const dx0 = s[k] * ((g[k] - origin) * total - mean) * factor;
    const dx1 = s[k1] * ((g[k1] - origin) * total - mean) * factor;
    const dx2 = s[k2] * ((g[k2] - origin) * total - mean) * factor;
    const dx3 = s[k3] * ((g[k3] - origin) * total - mean) * factor;
    out[k] = dx0;
    out[k1] = dx1;
    out[k2] = dx2;
    out[k3] = dx3;
  }
  for (; k < end; k++) out[k] = s[k] * ((g[k] - origin) * total - mean) * factor;
}

/** Σ s of probabilities that are rounded to float64 is nearer to 1, and is taken for 1. */
const leastExcess = 2 ** -40;

/**
 * ⟨s, g⟩ is summed in float64 by eights whose sum is compensated, since a sum that is rounded at each term is off by several ULP where one
 * term is most of it. Rows with a probability above ½, which is sought among the eight whose sum is above ½, are summed again without that entry's
 * cotangent. If T = 1, a difference or two and a product follow; quotients by T take more care: see `scalePrecisely`.
 */
function vjpDouble(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  length: number,
  classes: number,
  divisor: Divisor,
): void {
  for (let start = 0; start < length; start += classes) {
    const end = (start + classes) | 0;
    const lastEight = (end - 7) | 0;
    let mean = 0;
    let low = 0;
    let total = 0;
    let peak = -1;
    let k = start;
    for (; k < lastEight; k += 8) {
      const k1 = (k + 1) | 0;
      const k2 = (k + 2) | 0;
      const k3 = (k + 3) | 0;
      const s0 = s[k];
      const s1 = s[k1];
      const s2 = s[k2];
      const s3 = s[k3];
      const firstProducts = s0 * g[k] + s1 * g[k1] + (s2 * g[k2] + s3 * g[k3]);
      const firstFour = s0 + s1 + (s2 + s3);
      const k4 = (k + 4) | 0;
      const k5 = (k + 5) | 0;
      const k6 = (k + 6) | 0;
      const k7 = (k + 7) | 0;
      const s4 = s[k4];
      const s5 = s[k5];
      const s6 = s[k6];
      const s7 = s[k7];
      const products = firstProducts + (s4 * g[k4] + s5 * g[k5] + (s6 * g[k6] + s7 * g[k7]));
      const eight = firstFour + (s4 + s5 + (s6 + s7));
      const next = mean + products;
      low += sumError(mean, products, next);
      mean = next;
      if (eight > 0.5) peak = k;
      total += eight;
    }
    for (; k < end; k++) {
      const product = s[k] * g[k];
      const next = mean + product;
      low += sumError(mean, product, next);
      mean = next;
      if (s[k] > 0.5) peak = k;
      total += s[k];
    }
    const top = peak < 0 ? -1 : indexAboveHalf(s, peak, end);
    const origin = top < 0 ? 0 : g[top];
    if (top >= 0) {
      centredMean(rowMean, s, g, start, end, origin);
      mean = rowMean.high;
      low = rowMean.low;
    }
    scaleRow(out, s, g, start, end, origin, mean, low, total, divisor);
  }
}

/** `vjpDouble` with the cotangent of a probability above ½ taken off from the start, found as in `vjpSingleShort`. */
function vjpDoubleShort(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  length: number,
  classes: number,
  divisor: Divisor,
): void {
  for (let start = 0; start < length; start += classes) {
    const end = (start + classes) | 0;
    const lastTwo = (end - 1) | 0;
    let origin0 = 0;
    let origin1 = 0;
    let total0 = 0;
    let total1 = 0;
    let k = start;
    for (; k < lastTwo; k += 2) {
      const l = (k + 1) | 0;
      const s0 = s[k];
      const s1 = s[l];
      origin0 += (s0 + integers - integers) * g[k];
      origin1 += (s1 + integers - integers) * g[l];
      total0 += s0;
      total1 += s1;
    }
    if (k < end) {
      origin0 += (s[k] + integers - integers) * g[k];
      total0 += s[k];
    }
    const origin = origin0 + origin1;
    // centredMean written out: as a call it takes as long as the rest of a row of ten.
    let mean0 = 0;
    let mean1 = 0;
    let low0 = 0;
    let low1 = 0;
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
    const mean = mean0 + mean1;
    const low = sumError(mean0, mean1, mean) + low0 + low1;
    scaleRow(out, s, g, start, end, origin, mean, low, total0 + total1, divisor);
  }
}

/** `out = s ⊙ (g − origin − mean − low) / T`, g − origin times Σ s = `total` unless that is 1 as far as its rounding tells. */
function scaleRow(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  start: number,
  end: number,
  origin: number,
  mean: number,
  low: number,
  total: number,
  { temperature, factor, inexact }: Divisor,
): void {
  if (!(Math.abs(mean) + Math.abs(origin) < mostConstant)) {
    vjpWideRow(out, s, g, start, end, temperature);
  } else if (!(Math.abs(total - 1) < leastExcess)) {
    scaleShifted(out, s, g, start, end, origin, total, mean + low, factor);
  } else if (inexact === 0) {
    // Multiplying by 1 or another power of 2 does not round.
    scaleShifted(out, s, g, start, end, origin, 1, mean + low, factor);
  } else {
    const constant = origin + mean;
    scalePrecisely(out, s, g, start, end, constant, sumError(origin, mean, constant) + low, factor, inexact);
  }
}

/** A temperature T, 1 / T as rounded, and (1 / T − factor) T. */
interface Divisor {
  readonly temperature: number;
  readonly factor: number;
  readonly inexact: number;
}

function divisorOf(temperature: number): Divisor {
  const factor = 1 / temperature;
  const product = factor * temperature;
  return { temperature, factor, inexact: 1 - product - productError(factor, temperature, product) };
}

/** `out = s ⊙ (g − constant − rest) · factor (1 + inexact)`, in which the difference and both products round once each. */
function scalePrecisely(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  start: number,
  end: number,
  constant: number,
  rest: number,
  factor: number,
  inexact: number,
): void {
  const lastTwo = (end - 1) | 0;
  let k = start;
  for (; k < lastTwo; k += 2) {
    const l = (k + 1) | 0;
    const moved0 = g[k] - constant;
    const moved1 = g[l] - constant;
    const dx0 = s[k] * (moved0 + (sumError(g[k], -constant, moved0) - rest + inexact * moved0)) * factor;
    const dx1 = s[l] * (moved1 + (sumError(g[l], -constant, moved1) - rest + inexact * moved1)) * factor;
    out[k] = dx0;
    out[l] = dx1;
  }
  if (k < end) {
    const moved = g[k] - constant;
    out[k] = s[k] * (moved + (sumError(g[k], -constant, moved) - rest + inexact * moved)) * factor;
  }
}

/** The index of the probability above ½, or −1. */
function indexAboveHalf(s: FloatArray, start: number, end: number): number {
  for (let k = start; k < end; k++) if (s[k] > 0.5) return k;
  return -1;
}

/** Σ s (g − origin) of float32, for which a plain sum in float64 has bits enough. */
function meanCotangent(s: FloatArray, g: FloatArray, start: number, end: number, origin: number): number {
  const lastTwo = (end - 1) | 0;
  let sum0 = 0;
  let sum1 = 0;
  let k = start;
  for (; k < lastTwo; k += 2) {
    const k1 = (k + 1) | 0;
    sum0 += s[k] * (g[k] - origin);
    sum1 += s[k1] * (g[k1] - origin);
  }
  if (k < end) sum0 += s[k] * (g[k] - origin);
  return sum0 + sum1;
}
