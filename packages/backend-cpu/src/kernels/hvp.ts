import type { Rows, SoftmaxParameters } from '@softgrad/core';
import { centredMean, corrected, type Pair, productError, sumBut, sumError } from '../pair.js';
import { fillMasked, forEachShiftedRow } from '../shifted.js';
import { type CpuBuffer, type FloatArray, scratch } from '../storage.js';
import { forEachTile, gather, scatter, type Tile, tileLength } from '../tiles.js';
import { exponentiate } from './log-softmax.js';
import { indexAboveHalf } from './vjp/origin.js';

const probabilityScratch = scratch();
const cotangentScratch = scratch();
const tangentScratch = scratch();
const logScratch = scratch();
const cotangentLows = scratch();
const tangentLows = scratch();
const sum: Pair = { high: 0, low: 0 };

/**
 * `out = s ⊙ (a ⊙ b − ⟨s, a ⊙ b⟩) / T²` over each row, `a = g − ⟨s, g⟩` and `b = t − ⟨s, t⟩`: with both centred before they are
 * multiplied, the product at a probability near 1 is of second order, and nothing cancels against it.
 */
export function softmaxHvp(
  out: FloatArray,
  probabilities: FloatArray,
  cotangent: FloatArray,
  tangent: FloatArray,
  rows: Rows,
  temperature: number,
): void {
  const { classes } = rows;
  const isDouble = out instanceof Float64Array;
  const length = tileLength(rows);
  const s = probabilityScratch(length);
  const g = cotangentScratch(length);
  const t = tangentScratch(length);
  const lowOfG = cotangentLows(length);
  const lowOfT = tangentLows(length);
  forEachTile(rows, (tile) => {
    gather(s, probabilities, tile, classes);
    gather(g, cotangent, tile, classes);
    gather(t, tangent, tile, classes);
    for (let start = 0; start < tile.count * classes; start += classes) {
      const end = start + classes;
      const excess = excessOf(s, start, end);
      center(g, lowOfG, s, start, end, excess, isDouble);
      center(t, lowOfT, s, start, end, excess, isDouble);
      let low = 0;
      for (let k = start; k < end; k++) {
        const product = g[k] * t[k];
        if (isDouble) {
          const error = productError(g[k], t[k], product) + (g[k] * lowOfT[k] + lowOfG[k] * t[k]);
          lowOfT[k] = Number.isFinite(error) ? error : 0;
          low += s[k] * lowOfT[k];
        }
        t[k] = product;
      }
      centredMean(sum, s, t, start, end, 0);
      low += sum.low;
      for (let k = start; k < end; k++) {
        const moved = t[k] - sum.high;
        const rest = isDouble ? sumError(t[k], -sum.high, moved) + lowOfT[k] - low : 0;
        t[k] = s[k] * (moved + (rest + excess * t[k]));
      }
      divide(t, start, end, temperature);
    }
    scatter(out, t, tile, classes);
  });
}

/** `out = −Σg · p ⊙ (t − ⟨p, t⟩) / T²` over each row, p = exp(y). */
export function logSoftmaxHvp(
  out: FloatArray,
  logProbabilities: FloatArray,
  cotangent: FloatArray,
  tangent: FloatArray,
  rows: Rows,
  temperature: number,
): void {
  const { classes } = rows;
  const isDouble = out instanceof Float64Array;
  const length = tileLength(rows);
  const y = logScratch(length);
  const p = probabilityScratch(length);
  const g = cotangentScratch(length);
  const t = tangentScratch(length);
  forEachTile(rows, (tile) => {
    gather(y, logProbabilities, tile, classes);
    gather(g, cotangent, tile, classes);
    gather(t, tangent, tile, classes);
    exponentiate(p, y, tile.count * classes, isDouble);
    for (let start = 0; start < tile.count * classes; start += classes) {
      const end = start + classes;
      sumBut(sum, g, start, end, -1);
      const cotangents = 0 - corrected(sum.high, sum.low);
      curvature(t, p, start, end, excessOf(p, start, end), cotangents, temperature, isDouble);
    }
    scatter(out, t, tile, classes);
  });
}

/** `out = g p ⊙ (t − ⟨p, t⟩) / T²` over each row, p = softmax(x/T) of what the mask keeps, g one number a row. */
export function logSumExpHvp(
  out: FloatArray,
  logits: FloatArray,
  cotangent: FloatArray,
  tangent: FloatArray,
  rows: Rows,
  parameters: SoftmaxParameters<CpuBuffer>,
): void {
  const { classes } = rows;
  const t = tangentScratch(tileLength(rows));
  let gathered: Tile | null = null;
  forEachShiftedRow(
    logits,
    rows,
    parameters,
    (row) => {
      const { tile, exp, keep, start } = row;
      const end = start + classes;
      if (gathered !== tile) {
        gather(t, tangent, tile, classes);
        gathered = tile;
      }
      if (keep) for (let k = start; k < end; k++) if (keep[k] === 0) t[k] = 0;
      const total = 1 + row.others;
      for (let k = start; k < end; k++) exp[k] /= total;
      curvature(t, exp, start, end, 0, cotangent[row.row], parameters.temperature, out instanceof Float64Array);
      fillMasked(t, row, classes, 0);
    },
    ({ tile }) => scatter(out, t, tile, classes),
  );
}

/** Σ p − 1: rounded probabilities add up to 1 only as far as they are rounded. */
function excessOf(p: Float64Array, start: number, end: number): number {
  sumBut(sum, p, start, end, -1);
  return sum.high - 1 + sum.low;
}

/** `v = factor · p ⊙ (v Σp − ⟨p, v⟩) / T²` in place. */
function curvature(
  v: Float64Array,
  p: Float64Array,
  start: number,
  end: number,
  excess: number,
  factor: number,
  temperature: number,
  isDouble: boolean,
): void {
  const low = tangentLows(v.length);
  center(v, low, p, start, end, excess, isDouble);
  for (let k = start; k < end; k++) v[k] = factor * (p[k] * (isDouble ? v[k] + low[k] : v[k]));
  divide(v, start, end, temperature);
}

/** `v / T²` in place, without a product or quotient that leaves the range if the result does not. */
function divide(v: Float64Array, start: number, end: number, temperature: number): void {
  if (temperature !== 1) for (let k = start; k < end; k++) v[k] = v[k] / temperature / temperature;
}

/**
 * `v Σp − ⟨p, v⟩` in place, and in `low` what is lost when it is rounded. What all entries of v have in common, near enough to cost no digits of their
 * differences, is subtracted first: v at a probability above ½, whose own difference would cancel otherwise, or the rounded mean.
 */
function center(
  v: Float64Array,
  low: Float64Array,
  p: Float64Array,
  start: number,
  end: number,
  excess: number,
  isDouble: boolean,
): void {
  const top = indexAboveHalf(p, start, end);
  let origin = top < 0 ? 0 : v[top];
  if (top < 0 && isDouble) {
    centredMean(sum, p, v, start, end, 0);
    origin = sum.high;
  }
  centredMean(sum, p, v, start, end, origin);
  const constant = origin + sum.high;
  const rest = sumError(origin, sum.high, constant) + sum.low;
  for (let k = start; k < end; k++) {
    const moved = v[k] - constant;
    const more = excess * (v[k] - origin) - rest;
    low[k] = isDouble ? sumError(v[k], -constant, moved) + more : 0;
    v[k] = isDouble ? moved : moved + more;
  }
}
