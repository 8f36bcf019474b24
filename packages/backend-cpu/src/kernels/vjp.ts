import type { Rows } from '@softgrad/core';
import { forEachTile, gather, scatter, tileLength } from '../rows.js';
import { type FloatArray, scratch } from '../storage.js';

const probabilityScratch = scratch();
const cotangentScratch = scratch();

/** `out = s ⊙ (g − ⟨s, g⟩) / temperature` over each row. */
export function vjp(
  out: FloatArray,
  probabilities: FloatArray,
  cotangent: FloatArray,
  rows: Rows,
  temperature: number,
): void {
  const { outer, classes } = rows;
  if (rows.inner === 1) {
    for (let row = 0; row < outer; row++) vjpRow(out, probabilities, cotangent, row * classes, classes, temperature);
    return;
  }
  const s = probabilityScratch(tileLength(rows));
  const g = cotangentScratch(tileLength(rows));
  forEachTile(rows, (tile) => {
    gather(s, probabilities, tile, classes);
    gather(g, cotangent, tile, classes);
    for (let row = 0; row < tile.count; row++) vjpRow(g, s, g, row * classes, classes, temperature);
    scatter(out, g, tile, classes);
  });
}

/**
 * ⟨s, g⟩ of a row where one probability is nearly 1 cancels against that entry's own g, so there the entry's g is
 * taken off the cotangent first: J (g − g_top) = J g, because J's rows add up to 0.
 */
function vjpRow(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  start: number,
  classes: number,
  temperature: number,
): void {
  const top = indexAboveHalf(s, start, classes);
  const origin = top < 0 ? 0 : g[top];
  const mean = meanCotangent(s, g, start, classes, origin);
  const end = start + classes;
  let k = start;
  if (temperature === 1) {
    for (; k < end - 3; k += 4) {
      out[k] = s[k] * (g[k] - origin - mean);
      out[k + 1] = s[k + 1] * (g[k + 1] - origin - mean);
      out[k + 2] = s[k + 2] * (g[k + 2] - origin - mean);
      out[k + 3] = s[k + 3] * (g[k + 3] - origin - mean);
    }
  }
  for (; k < end; k++) out[k] = (s[k] * (g[k] - origin - mean)) / temperature;
}

/** The index of the probability above 1/2, or −1. At most one is. */
function indexAboveHalf(s: FloatArray, start: number, classes: number): number {
  const end = start + classes;
  let k = start;
  for (; k < end - 3; k += 4) {
    if (s[k] > 0.5) return k;
    if (s[k + 1] > 0.5) return k + 1;
    if (s[k + 2] > 0.5) return k + 2;
    if (s[k + 3] > 0.5) return k + 3;
  }
  for (; k < end; k++) if (s[k] > 0.5) return k;
  return -1;
}

/** Σ s (g − origin), in blocks so that the rounding errors of long rows do not add up. */
function meanCotangent(s: FloatArray, g: FloatArray, start: number, classes: number, origin: number): number {
  const end = start + classes;
  let mean = 0;
  for (let first = start; first < end; first += 128) {
    const last = Math.min(end, first + 128);
    let sum0 = 0;
    let sum1 = 0;
    let k = first;
    for (; k < last - 3; k += 4) {
      sum0 += s[k] * (g[k] - origin) + s[k + 1] * (g[k + 1] - origin);
      sum1 += s[k + 2] * (g[k + 2] - origin) + s[k + 3] * (g[k + 3] - origin);
    }
    for (; k < last; k++) sum0 += s[k] * (g[k] - origin);
    mean += sum0 + sum1;
  }
  return mean;
}
