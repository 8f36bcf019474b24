import { sumError } from '../pair.js';
import type { FloatArray } from '../storage.js';

/** Subtracting a constant from a cotangent overflows only if the constant is at least half an ULP of the largest float64: 2^970. */
export const mostConstant = 2 ** 960;

const share = 1 / 4;

/**
 * `out = s ⊙ (g − ⟨s, g⟩) · factor` of one row from a quarter of its cotangent, of which sums and differences are finite. The result is no
 * larger than half of the largest |g|.
 */
export function vjpWideRow(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  start: number,
  end: number,
  factor: number,
): void {
  let top = start;
  for (let k = start; k < end; k++) if (s[k] > s[top]) top = k;
  const origin = g[top] * share;
  let mean = 0;
  let correction = 0;
  for (let k = start; k < end; k++) {
    const term = s[k] * (g[k] * share - origin);
    const next = mean + term;
    correction += sumError(mean, term, next);
    mean = next;
  }
  mean += correction;
  for (let k = start; k < end; k++) out[k] = (s[k] / share) * (g[k] * share - origin - mean) * factor;
}
