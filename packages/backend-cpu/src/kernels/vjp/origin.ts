import type { FloatArray } from '../../storage.js';

/** The index of the probability above ½, or −1. */
export function indexAboveHalf(s: FloatArray, start: number, end: number): number {
  for (let k = start; k < end; k++) if (s[k] > 0.5) return k;
  return -1;
}

/** How many entries of a row are compared with its mean. */
const sampled = 4;

/** False for an infinite mean. */
function isNear(entry: number, mean: number): boolean {
  return Math.abs(entry - mean) < Math.abs(mean) / 4;
}

/** Whether an entry may be one of those: the first one decides for most rows. An entry of 0 may be masked. */
export function mayBeNear(entry: number, mean: number): boolean {
  return isNear(entry, mean) || entry === 0;
}

/**
 * Whether the first entries are so near the row's mean that most of the mean is a constant that entries have in common. Entries of
 * probability 0 are left out, because they may be masked.
 */
export function isNearMean(s: FloatArray, v: FloatArray, start: number, end: number, mean: number): boolean {
  let left = sampled;
  for (let k = start; k < end && left > 0; k++) {
    if (s[k] === 0) continue;
    if (!isNear(v[k], mean)) return false;
    left--;
  }
  return mean !== 0;
}

/** `out = s ⊙ ((g − origin) · total − mean) · factor`. */
export function scaleShifted(
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
