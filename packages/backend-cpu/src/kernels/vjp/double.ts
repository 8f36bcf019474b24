import { productError, sumError } from '../../pair.js';
import type { FloatArray } from '../../storage.js';
import { indexAboveHalf, isNearMean, mayBeNear, scaleShifted } from './origin.js';
import { mayOverflow, vjpWideRow } from './wide.js';

/** Σ s of probabilities that are rounded to float64 is nearer to 1, and is taken for 1. */
const leastExcess = 2 ** -40;

export function isSoftmax(total: number): boolean {
  return Math.abs(total - 1) < leastExcess;
}

/**
 * ⟨s, g⟩ is summed in float64 by fours whose sum is compensated, since a sum that is rounded at each term is off by several ULP where one
 * term is most of it. Rows with a probability above ½, which is sought among the four whose sum is above ½, are summed again without that entry's
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
  const isOne = divisor.temperature === 1;
  for (let start = 0; start < length; start += classes) {
    const end = (start + classes) | 0;
    const lastFour = (end - 3) | 0;
    let peak = -1;
    let origin = 0;
    let total = 0;
    let mean = 0;
    let low = 0;
    let k = start;
    for (; k < lastFour; k += 4) {
      const k1 = (k + 1) | 0;
      const k2 = (k + 2) | 0;
      const k3 = (k + 3) | 0;
      const s0 = s[k];
      const s1 = s[k1];
      const s2 = s[k2];
      const s3 = s[k3];
      const g0 = g[k];
      const g1 = g[k1];
      const g2 = g[k2];
      const g3 = g[k3];
      const products = s0 * g0 + s1 * g1 + (s2 * g2 + s3 * g3);
      const next = mean + products;
      low += sumError(mean, products, next);
      mean = next;
      const four = s0 + s1 + (s2 + s3);
      peak = four > 0.5 ? k : peak;
      total += four;
    }
    for (; k < end; k++) {
      const product = s[k] * g[k];
      const next = mean + product;
      low += sumError(mean, product, next);
      mean = next;
      peak = s[k] > 0.5 ? k : peak;
      total += s[k];
    }
    // From `peak` on are four entries whose sum is above ½, or one that is.
    const top = peak < 0 ? -1 : indexAboveHalf(s, peak, peak + 4);
    if (top >= 0) origin = g[top];
    else if (mayBeNear(g[start], mean) && isNearMean(s, g, start, end, mean)) origin = mean;
    if (origin !== 0) {
      // The same sums of g − origin.
      mean = 0;
      low = 0;
      for (k = start; k < lastFour; k += 4) {
        const k1 = (k + 1) | 0;
        const k2 = (k + 2) | 0;
        const k3 = (k + 3) | 0;
        const four =
          s[k] * (g[k] - origin) + s[k1] * (g[k1] - origin) + (s[k2] * (g[k2] - origin) + s[k3] * (g[k3] - origin));
        const next = mean + four;
        low += sumError(mean, four, next);
        mean = next;
      }
      for (; k < end; k++) {
        const term = s[k] * (g[k] - origin);
        const next = mean + term;
        low += sumError(mean, term, next);
        mean = next;
      }
    }
    if (!isOne || mayOverflow(mean, origin) || !isSoftmax(total)) {
      scaleRow(out, s, g, start, end, origin, mean, low, total, divisor);
      continue;
    }
    // scaleRow of ordinary rows, written out: where T = 1 nothing is multiplied by 1.
    const constant = mean + low;
    for (k = start; k < lastFour; k += 4) {
      const k1 = (k + 1) | 0;
      const k2 = (k + 2) | 0;
      const k3 = (k + 3) | 0;
      const dx0 = s[k] * (g[k] - origin - constant);
      const dx1 = s[k1] * (g[k1] - origin - constant);
      const dx2 = s[k2] * (g[k2] - origin - constant);
      const dx3 = s[k3] * (g[k3] - origin - constant);
      out[k] = dx0;
      out[k1] = dx1;
      out[k2] = dx2;
      out[k3] = dx3;
    }
    for (; k < end; k++) out[k] = s[k] * (g[k] - origin - constant);
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
