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
  temperature = 1,
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
 * ⟨s, g⟩ of a row where one probability is nearly 1 cancels against that entry's own g, so the entry's g is
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
  const end = start + classes;
  let top = -1;
  for (let k = start; k < end; k++) if (s[k] > 0.5) top = k;
  const origin = top < 0 ? 0 : g[top];
  // In blocks, so that the rounding errors of long rows do not add up.
  let mean = 0;
  for (let first = start; first < end; first += 128) {
    const last = Math.min(end, first + 128);
    let even = 0;
    let odd = 0;
    let k = first;
    for (; k < last - 1; k += 2) {
      even += s[k] * (g[k] - origin);
      odd += s[k + 1] * (g[k + 1] - origin);
    }
    if (k < last) even += s[k] * (g[k] - origin);
    mean += even + odd;
  }
  if (temperature === 1) for (let k = start; k < end; k++) out[k] = s[k] * (g[k] - origin - mean);
  else for (let k = start; k < end; k++) out[k] = (s[k] * (g[k] - origin - mean)) / temperature;
}
