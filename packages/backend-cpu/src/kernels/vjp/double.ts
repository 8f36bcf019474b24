import { centredMean, type Pair, productError, sumError } from '../../pair.js';
import type { FloatArray } from '../../storage.js';
import { indexAboveHalf, isNearMean, mayBeNear, scaleShifted } from './origin.js';
import { mayOverflow, vjpWideRow } from './wide.js';

const rowMean: Pair = { high: 0, low: 0 };

/** Σ s of probabilities that are rounded to float64 is nearer to 1, and is taken for 1. */
const leastExcess = 2 ** -40;

function isSoftmax(total: number): boolean {
  return Math.abs(total - 1) < leastExcess;
}

/**
 * ⟨s, g⟩ is summed in float64 by eights whose sum is compensated, since a sum that is rounded at each term is off by several ULP where one
 * term is most of it. Rows with a probability above ½, which is sought among the eight whose sum is above ½, are summed again without that entry's
 * cotangent, and those whose cotangents have a large constant in common without their mean, which has the rounding error of that constant. If T = 1, a difference or two and a product follow; quotients by T take more care: see `scalePrecisely`.
 */
export function vjpDouble(
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
    let origin = top < 0 ? 0 : g[top];
    const isNear = mayBeNear(g[start], mean) && isSoftmax(total) && isNearMean(s, g, start, end, mean);
    if (top >= 0 || isNear) {
      if (top < 0) origin = mean;
      centredMean(rowMean, s, g, start, end, origin);
      mean = rowMean.high;
      low = rowMean.low;
    }
    scaleRow(out, s, g, start, end, origin, mean, low, total, divisor);
  }
}

/** `out = s ⊙ (g − origin − mean − low) / T`, g − origin times Σ s = `total` unless that is 1 as far as its rounding tells. */
export function scaleRow(
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
  if (mayOverflow(mean, origin)) {
    vjpWideRow(out, s, g, start, end, temperature);
  } else if (!isSoftmax(total)) {
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
export interface Divisor {
  readonly temperature: number;
  readonly factor: number;
  readonly inexact: number;
}

export function divisorOf(temperature: number): Divisor {
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
