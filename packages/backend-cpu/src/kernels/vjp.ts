import type { Rows } from '@softgrad/core';
import { type FloatArray, scratch } from '../storage.js';
import { inverseTemperature } from '../temperature.js';
import { forEachTile, gather, scatter, tileLength } from '../tiles.js';

const probabilityScratch = scratch();
const cotangentScratch = scratch();

/**
 * Bound on Σ s² of rows whose ⟨s, g⟩ is taken as it is. float64 arithmetic has bits to spare for float32: there only 20 lost ones would show,
 * as long as g is multiplied by Σ s, which the probabilities as stored miss 1 by.
 */
export const mostSquaresSingle = 1 - 2 ** -20;
export const mostSquaresDouble = 0.5;

/** `out = s ⊙ (g − ⟨s, g⟩) / temperature` over each row. */
export function vjp(
  out: FloatArray,
  probabilities: FloatArray,
  cotangent: FloatArray,
  rows: Rows,
  temperature: number,
): void {
  const { outer, classes } = rows;
  const factor = inverseTemperature(temperature);
  const isSingle = out instanceof Float32Array;
  if (rows.inner === 1) {
    vjpRows(out, probabilities, cotangent, outer, classes, factor, isSingle);
    return;
  }
  const s = probabilityScratch(tileLength(rows));
  const g = cotangentScratch(tileLength(rows));
  forEachTile(rows, (tile) => {
    gather(s, probabilities, tile, classes);
    gather(g, cotangent, tile, classes);
    vjpRows(g, s, g, tile.count, classes, factor, isSingle);
    scatter(out, g, tile, classes);
  });
}

/**
 * ⟨s, g⟩ of a row where one probability is nearly 1 cancels against that entry's own g. A constant can be taken off the cotangent
 * for nothing, J (g − c) = J g, because J's rows add up to 0: such rows, whose Σ s² is above a bound, take that entry's g.
 * Σ s² costs nothing beside the loads; looking for the entry in every row is a branch that nobody foresees. Rows of two and three
 * have their differences written out.
 */
function vjpRows(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  outer: number,
  classes: number,
  factor: number,
  isSingle: boolean,
): void {
  const length = outer * classes;
  if (classes === 2) vjpPairs(out, s, g, length, factor);
  else if (classes === 3) vjpTriples(out, s, g, length, factor);
  else vjpLonger(out, s, g, length, classes, factor, isSingle);
}

function vjpPairs(out: FloatArray, s: FloatArray, g: FloatArray, length: number, factor: number): void {
  for (let k = 0; k < length; k += 2) {
    const l = (k + 1) | 0;
    const first = s[k] * s[l] * (g[k] - g[l]) * factor;
    out[k] = first;
    out[l] = 0 - first;
  }
}

/** `out_i = s_i Σ_j s_j (g_i − g_j)`. */
function vjpTriples(out: FloatArray, s: FloatArray, g: FloatArray, length: number, factor: number): void {
  for (let k = 0; k < length; k += 3) {
    const l = (k + 1) | 0;
    const m = (k + 2) | 0;
    const s0 = s[k];
    const s1 = s[l];
    const s2 = s[m];
    const g01 = g[k] - g[l];
    const g12 = g[l] - g[m];
    const g20 = g[m] - g[k];
    out[k] = s0 * (s1 * g01 - s2 * g20) * factor;
    out[l] = s1 * (s2 * g12 - s0 * g01) * factor;
    out[m] = s2 * (s0 * g20 - s1 * g12) * factor;
  }
}

/** Elements whose products are added up on their own, so that the rounding errors of long rows do not add up. */
export const blockElements = 128;

function vjpLonger(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  length: number,
  classes: number,
  factor: number,
  isSingle: boolean,
): void {
  const mostSquares = isSingle ? mostSquaresSingle : mostSquaresDouble;
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
        squares0 += s0 * s0 + s1 * s1;
        squares1 += s2 * s2 + s3 * s3;
        total0 += s0 + s1;
        total1 += s2 + s3;
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
    if (squares > mostSquares) {
      total = 1;
      origin = g[indexOfLargest(s, start, end)];
      mean = meanCotangent(s, g, start, end, origin);
    }
    // In float64 rows are shifted before what Σ s misses 1 by would show.
    if (!isSingle) total = 1;
    const lastFour = (end - 3) | 0;
    for (k = start; k < lastFour; k += 4) {
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
}

function indexOfLargest(s: FloatArray, start: number, end: number): number {
  let top = start;
  for (let k = start; k < end; k++) if (s[k] > s[top]) top = k;
  return top;
}

/** Σ s (g − origin). */
function meanCotangent(s: FloatArray, g: FloatArray, start: number, end: number, origin: number): number {
  let mean = 0;
  for (let first = start; first < end; first += blockElements) {
    const last = Math.min(end, first + blockElements);
    let sum = 0;
    for (let k = first; k < last; k++) sum += s[k] * (g[k] - origin);
    mean += sum;
  }
  return mean;
}
