import type { Rows } from '@softgrad/core';
import { forEachTile, gather, scatter, tileLength } from '../rows.js';
import { type FloatArray, scratch } from '../storage.js';

const probabilityScratch = scratch();
const cotangentScratch = scratch();

/** Rows shorter than this do without a branch on their largest entry. */
const shortRow = 32;

/** `out = s ⊙ (g − ⟨s, g⟩) / temperature` over each row. */
export function vjp(
  out: FloatArray,
  probabilities: FloatArray,
  cotangent: FloatArray,
  rows: Rows,
  temperature: number,
): void {
  const { outer, classes } = rows;
  // A probability of 0 times Infinity is no number.
  const factor = Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, 1 / temperature));
  if (rows.inner === 1) {
    vjpRows(out, probabilities, cotangent, outer, classes, factor);
    return;
  }
  const s = probabilityScratch(tileLength(rows));
  const g = cotangentScratch(tileLength(rows));
  forEachTile(rows, (tile) => {
    gather(s, probabilities, tile, classes);
    gather(g, cotangent, tile, classes);
    vjpRows(g, s, g, tile.count, classes, factor);
    scatter(out, g, tile, classes);
  });
}

/**
 * ⟨s, g⟩ of a row where one probability is nearly 1 cancels against that entry's own g. A constant can be taken off the cotangent
 * for nothing, J (g − c) = J g, because J's rows add up to 0: long rows take that entry's g. Where rows are short, looking for it is
 * a branch that nobody foresees, so they take ⟨s, g⟩ as it came out and sum once more, and rows of two and three have their
 * differences written out.
 */
function vjpRows(out: FloatArray, s: FloatArray, g: FloatArray, outer: number, classes: number, factor: number): void {
  const length = outer * classes;
  if (classes === 2) vjpPairs(out, s, g, length, factor);
  else if (classes === 3) vjpTriples(out, s, g, length, factor);
  else if (classes < shortRow) vjpShort(out, s, g, length, classes, factor);
  else for (let start = 0; start < length; start += classes) vjpRow(out, s, g, start, classes, factor);
}

function vjpPairs(out: FloatArray, s: FloatArray, g: FloatArray, length: number, factor: number): void {
  for (let k = 0; k < length; k += 2) {
    const l = (k + 1) | 0;
    const first = s[k] * s[l] * (g[k] - g[l]) * factor;
    out[k] = first;
    out[l] = -first;
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

function vjpShort(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  length: number,
  classes: number,
  factor: number,
): void {
  for (let start = 0; start < length; start += classes) {
    const end = (start + classes) | 0;
    const origin = sumOfShort(s, g, start, end, 0);
    const mean = sumOfShort(s, g, start, end, origin);
    let k = start;
    for (; k < end - 3; k += 4) {
      out[k] = s[k] * (g[k] - origin - mean) * factor;
      out[k + 1] = s[k + 1] * (g[k + 1] - origin - mean) * factor;
      out[k + 2] = s[k + 2] * (g[k + 2] - origin - mean) * factor;
      out[k + 3] = s[k + 3] * (g[k + 3] - origin - mean) * factor;
    }
    for (; k < end; k++) out[k] = s[k] * (g[k] - origin - mean) * factor;
  }
}

/** Σ s (g − origin). */
function sumOfShort(s: FloatArray, g: FloatArray, start: number, end: number, origin: number): number {
  let sum0 = 0;
  let sum1 = 0;
  let k = start;
  for (; k < end - 3; k += 4) {
    sum0 += s[k] * (g[k] - origin) + s[k + 1] * (g[k + 1] - origin);
    sum1 += s[k + 2] * (g[k + 2] - origin) + s[k + 3] * (g[k + 3] - origin);
  }
  for (; k < end; k++) sum0 += s[k] * (g[k] - origin);
  return sum0 + sum1;
}

function vjpRow(out: FloatArray, s: FloatArray, g: FloatArray, start: number, classes: number, factor: number): void {
  const end = (start + classes) | 0;
  let top = -1;
  let mean = 0;
  // In blocks, so that the rounding errors of long rows do not add up.
  for (let first = start; first < end; first += 128) {
    const last = Math.min(end, first + 128);
    let sum0 = 0;
    let sum1 = 0;
    let k = first;
    for (; k < last - 3; k += 4) {
      const s0 = s[k];
      const s1 = s[k + 1];
      const s2 = s[k + 2];
      const s3 = s[k + 3];
      // Only where the four are more than 1/2 together can one of them be.
      if (s0 + s1 + (s2 + s3) > 0.5) top = indexAboveHalf(s, k, 4, top);
      sum0 += s0 * g[k] + s1 * g[k + 1];
      sum1 += s2 * g[k + 2] + s3 * g[k + 3];
    }
    top = indexAboveHalf(s, k, last - k, top);
    for (; k < last; k++) sum0 += s[k] * g[k];
    mean += sum0 + sum1;
  }
  const origin = top < 0 ? 0 : g[top];
  if (top >= 0) mean = meanCotangent(s, g, start, end, origin);
  let k = start;
  for (; k < end - 3; k += 4) {
    out[k] = s[k] * (g[k] - origin - mean) * factor;
    out[k + 1] = s[k + 1] * (g[k + 1] - origin - mean) * factor;
    out[k + 2] = s[k + 2] * (g[k + 2] - origin - mean) * factor;
    out[k + 3] = s[k + 3] * (g[k + 3] - origin - mean) * factor;
  }
  for (; k < end; k++) out[k] = s[k] * (g[k] - origin - mean) * factor;
}

/** The index of the probability above 1/2 of `count`, at most one of which is, or `otherwise`. */
function indexAboveHalf(s: FloatArray, start: number, count: number, otherwise: number): number {
  for (let k = start; k < start + count; k++) if (s[k] > 0.5) return k;
  return otherwise;
}

/** Σ s (g − origin), in blocks too. */
function meanCotangent(s: FloatArray, g: FloatArray, start: number, end: number, origin: number): number {
  let mean = 0;
  for (let first = start; first < end; first += 128) {
    mean += sumOfShort(s, g, first, Math.min(end, first + 128), origin);
  }
  return mean;
}
