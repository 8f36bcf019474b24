import { corrected, sumError } from '../../pair.js';
import type { FloatArray } from '../../storage.js';

/** Subtracting a constant from a cotangent overflows only if the constant is at least half an ULP of the largest float64: 2^970. */
const mostConstant = 2 ** 960;

/** Whether subtracting a + b from a cotangent may overflow, or one of them is NaN. A function: a constant of another module is loaded at each use. */
export function mayOverflow(a: number, b: number): boolean {
  return !(Math.abs(a) + Math.abs(b) < mostConstant);
}

/** The part of huge cotangents of which sums and differences are finite: no row has 2^32 entries. */
const wideShare = 2 ** -34;

/**
 * `out = s ⊙ (g − ⟨s, g⟩) / temperature` of one row of huge cotangents. An infinite g is neither subtracted from the others nor lost in the sum: the result is that of the formula.
 */
export function vjpWideRow(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  start: number,
  end: number,
  temperature: number,
): void {
  let top = start;
  let share = 1;
  for (let k = start; k < end; k++) {
    if (s[k] > s[top]) top = k;
    if (!(Math.abs(g[k]) < mostConstant)) share = wideShare;
  }
  const origin = Number.isFinite(g[top]) ? g[top] * share : 0;
  let mean = 0;
  let correction = 0;
  for (let k = start; k < end; k++) {
    const term = s[k] * (g[k] * share - origin);
    const next = mean + term;
    correction += sumError(mean, term, next);
    mean = next;
  }
  mean = corrected(mean, correction);
  for (let k = start; k < end; k++) {
    const moved = g[k] * share - origin - mean;
    out[k] = (s[k] * moved) / temperature / share;
  }
}
