import type { Rows } from '@softgrad/core';
import { sumError } from '../pair.js';
import { type FloatArray, scratch } from '../storage.js';
import { inverseTemperature } from '../temperature.js';
import { forEachTile, gather, scatter, tileLength } from '../tiles.js';
import { mostConstant, vjpWideRow } from './vjp-wide.js';

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
 * ⟨s, g⟩ of a row where one probability is nearly 1 cancels against that entry's own g, the more so as Σ s of stored probabilities is not
 * exactly 1. Subtracting a constant from g does not change the result, because J's rows add up to 0: where a probability is above ½ the
 * constant is that entry's g. Rows of two and three have their differences written out.
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
  if (classes === 2 || classes === 3) vjpShort(out, s, g, length, classes, factor);
  else if (isSingle) vjpSingle(out, s, g, length, classes, factor);
  else vjpDouble(out, s, g, length, classes, factor);
}

/** Rows of two and three, and those once more whose differences overflow. */
function vjpShort(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  length: number,
  classes: number,
  factor: number,
): void {
  const isDouble = out instanceof Float64Array;
  const probabilities = isDouble && out === s ? s.slice(0, length) : s;
  const cotangent = isDouble && out === g ? g.slice(0, length) : g;
  const watch = (classes === 2 ? vjpPairs : vjpTriples)(out, probabilities, cotangent, length, factor);
  // Not a number where one of the results is not finite.
  if (watch === 0 || !isDouble) return;
  for (let k = 0; k < length; k += classes) {
    let sum = 0;
    for (let c = k; c < k + classes; c++) sum += out[c] * 0;
    if (sum !== 0) vjpWideRow(out, probabilities, cotangent, k, k + classes, factor);
  }
}

/** The sum of all results times 0: 0 where they are finite. */
function vjpPairs(out: FloatArray, s: FloatArray, g: FloatArray, length: number, factor: number): number {
  let watch = 0;
  for (let k = 0; k < length; k += 2) {
    const l = (k + 1) | 0;
    const first = s[k] * s[l] * (g[k] - g[l]) * factor;
    watch += first * 0;
    out[k] = first;
    out[l] = 0 - first;
  }
  return watch;
}

/** `out_i = s_i Σ_j s_j (g_i − g_j)`; gives the sum of all differences times 0. */
function vjpTriples(out: FloatArray, s: FloatArray, g: FloatArray, length: number, factor: number): number {
  let watch = 0;
  for (let k = 0; k < length; k += 3) {
    const l = (k + 1) | 0;
    const m = (k + 2) | 0;
    const s0 = s[k];
    const s1 = s[l];
    const s2 = s[m];
    const g01 = g[k] - g[l];
    const g12 = g[l] - g[m];
    const g20 = g[m] - g[k];
    watch += (g01 + g12 + g20) * 0;
    out[k] = s0 * (s1 * g01 - s2 * g20) * factor;
    out[l] = s1 * (s2 * g12 - s0 * g01) * factor;
    out[m] = s2 * (s0 * g20 - s1 * g12) * factor;
  }
  return watch;
}

/** Elements whose products are added up on their own, so that the rounding errors of long rows do not add up. */
export const blockElements = 128;

/** Σ s² of rows that are searched for a probability above ½, as every one of 15/16 or more makes it. */
export const leastSquares = (15 / 16) ** 2;

/**
 * float64 arithmetic has 25 bits to spare for sums of float32, as many as cotangents that differ can have in common, if g is multiplied by Σ s.
 * So only probabilities that are much nearer to 1 than ½ need the second pass.
 */
function vjpSingle(
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
    if (squares > leastSquares) {
      const top = indexAboveHalf(s, start, end);
      if (top >= 0) {
        total = 1;
        origin = g[top];
        mean = meanCotangent(s, g, start, end, origin);
      }
    }
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

/**
 * Σ s⁴ of rows that are searched for a probability above ½, as every such one makes it. Σ s⁴ costs nothing beside the loads; a search
 * in every row is an unpredictable branch, and Σ s² is above ¼ in many rows without one.
 */
const leastFourth = (1 / 2) ** 4;

function vjpDouble(
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
    let correction = 0;
    let fourth = 0;
    let k = start;
    while (k < end) {
      // Not k + blockElements, which overflows where the row ends at 2^31.
      const last = end - k > blockElements ? (k + blockElements) | 0 : end;
      const lastFour = (last - 3) | 0;
      let sum0 = 0;
      let sum1 = 0;
      let fourth0 = 0;
      let fourth1 = 0;
      for (; k < lastFour; k += 4) {
        const k1 = (k + 1) | 0;
        const k2 = (k + 2) | 0;
        const k3 = (k + 3) | 0;
        const s0 = s[k];
        const s1 = s[k1];
        const s2 = s[k2];
        const s3 = s[k3];
        const square0 = s0 * s0;
        const square1 = s1 * s1;
        const square2 = s2 * s2;
        const square3 = s3 * s3;
        sum0 += s0 * g[k] + s1 * g[k1];
        sum1 += s2 * g[k2] + s3 * g[k3];
        fourth0 += square0 * square0 + square1 * square1;
        fourth1 += square2 * square2 + square3 * square3;
      }
      for (; k < last; k++) {
        const square = s[k] * s[k];
        sum0 += s[k] * g[k];
        fourth0 += square * square;
      }
      const part = sum0 + sum1;
      const next = mean + part;
      correction += sumError(mean, part, next);
      mean = next;
      fourth += fourth0 + fourth1;
    }
    mean += correction;
    let origin = 0;
    if (fourth > leastFourth) {
      const top = indexAboveHalf(s, start, end);
      if (top >= 0) {
        origin = g[top];
        mean = meanCotangent(s, g, start, end, origin);
      }
    }
    if (!(Math.abs(mean) + Math.abs(origin) < mostConstant)) {
      vjpWideRow(out, s, g, start, end, factor);
      continue;
    }
    const lastFour = (end - 3) | 0;
    for (k = start; k < lastFour; k += 4) {
      const k1 = (k + 1) | 0;
      const k2 = (k + 2) | 0;
      const k3 = (k + 3) | 0;
      const dx0 = s[k] * (g[k] - origin - mean) * factor;
      const dx1 = s[k1] * (g[k1] - origin - mean) * factor;
      const dx2 = s[k2] * (g[k2] - origin - mean) * factor;
      const dx3 = s[k3] * (g[k3] - origin - mean) * factor;
      out[k] = dx0;
      out[k1] = dx1;
      out[k2] = dx2;
      out[k3] = dx3;
    }
    for (; k < end; k++) out[k] = s[k] * (g[k] - origin - mean) * factor;
  }
}

/** The index of the probability above ½, or −1. */
function indexAboveHalf(s: FloatArray, start: number, end: number): number {
  for (let k = start; k < end; k++) if (s[k] > 0.5) return k;
  return -1;
}

/** Σ s (g − origin). */
function meanCotangent(s: FloatArray, g: FloatArray, start: number, end: number, origin: number): number {
  let mean = 0;
  let correction = 0;
  let k = start;
  while (k < end) {
    const last = end - k > blockElements ? (k + blockElements) | 0 : end;
    const lastFour = (last - 3) | 0;
    let sum0 = 0;
    let sum1 = 0;
    for (; k < lastFour; k += 4) {
      const k1 = (k + 1) | 0;
      const k2 = (k + 2) | 0;
      const k3 = (k + 3) | 0;
      sum0 += s[k] * (g[k] - origin) + s[k1] * (g[k1] - origin);
      sum1 += s[k2] * (g[k2] - origin) + s[k3] * (g[k3] - origin);
    }
    for (; k < last; k++) sum0 += s[k] * (g[k] - origin);
    const part = sum0 + sum1;
    const next = mean + part;
    correction += sumError(mean, part, next);
    mean = next;
  }
  return mean + correction;
}
