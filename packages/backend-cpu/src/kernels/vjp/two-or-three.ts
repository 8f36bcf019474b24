import type { FloatArray } from '../../storage.js';

/** With the difference of halves, which does not overflow. */
export function vjpPairs(out: FloatArray, s: FloatArray, g: FloatArray, length: number, factor: number): void {
  for (let k = 0; k < length; k += 2) {
    const l = (k + 1) | 0;
    const first = 2 * s[k] * s[l] * (g[k] / 2 - g[l] / 2) * factor;
    out[k] = first;
    out[l] = 0 - first;
  }
}

/** `out_i = s_i Σ_j s_j (g_i − g_j)`, with differences of quarters, whose sums do not overflow even if s is not a softmax. */
export function vjpTriples(out: FloatArray, s: FloatArray, g: FloatArray, length: number, factor: number): void {
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
