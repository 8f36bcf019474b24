import type { FloatArray } from '../../storage.js';
import { indexAboveHalf, scaleShifted } from './origin.js';

/** float32 elements whose products are added up on their own, so that the rounding errors of long rows do not add up. */
export const blockElements = 128;

/** What is left of ⟨s, g⟩ when a multiple of Σ s is taken off has the bits of a float32 if it is at least this share of both. */
const leastShare = 2 ** -18;

/** False where the mean or the cotangent is not finite: the result is then that of the formula. */
export function isImprecise(moved: number, mean: number, origin: number): boolean {
  return Math.abs(moved) < leastShare * (Math.abs(mean) + Math.abs(origin));
}

/**
 * float64 arithmetic has bits to spare for sums of float32, if g is multiplied by Σ s. So rows with a probability above ½ need a second pass only
 * where ⟨s, g⟩ is nearly that entry's cotangent: where it is nearly 1, or has its cotangent in common with all others but tiny ones.
 */
export function vjpSingle(
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
    let total = 0;
    let peak = -1;
    let k = start;
    while (k < end) {
      // Not k + blockElements, which overflows where the row ends at 2^31.
      const last = end - k > blockElements ? (k + blockElements) | 0 : end;
      const lastFour = (last - 3) | 0;
      let sum0 = 0;
      let sum1 = 0;
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
        peak = first + second > 0.5 ? k : peak;
        total0 += first;
        total1 += second;
      }
      for (; k < last; k++) {
        sum0 += s[k] * g[k];
        if (s[k] > 0.5) peak = k;
        total0 += s[k];
      }
      mean += sum0 + sum1;
      total += total0 + total1;
    }
    // From `peak` on are four entries whose sum is above ½, or one that is.
    const top = peak < 0 ? -1 : indexAboveHalf(s, peak, peak + 4);
    let origin = 0;
    if (top >= 0 && isImprecise(mean - g[top] * total, mean, g[top])) {
      origin = g[top];
      mean = meanCotangent(s, g, start, end, origin);
    }
    if (origin === 0) scaleLinear(out, s, g, start, end, total * factor, mean * factor);
    else scaleShifted(out, s, g, start, end, origin, total, mean, factor);
  }
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

/** Σ s (g − origin) of float32, for which a plain sum in float64 has bits enough. */
export function meanCotangent(s: FloatArray, g: FloatArray, start: number, end: number, origin: number): number {
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
