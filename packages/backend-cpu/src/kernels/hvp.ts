import type { Rows, SoftmaxParameters } from '@softgrad/core';
import { corrected, sumError } from '../pair.js';
import { fillMasked, forEachShiftedRow } from '../shifted.js';
import { type CpuBuffer, type FloatArray, scratch } from '../storage.js';
import { inverseTemperature } from '../temperature.js';
import { forEachTile, gather, scatter, type Tile, tileLength } from '../tiles.js';
import { exponentiate } from './log-softmax.js';

const probabilityScratch = scratch();
const cotangentScratch = scratch();
const tangentScratch = scratch();
const logScratch = scratch();

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
  const factor = inverseTemperature(temperature);
  const isDouble = out instanceof Float64Array;
  const length = tileLength(rows);
  const s = probabilityScratch(length);
  const g = cotangentScratch(length);
  const t = tangentScratch(length);
  forEachTile(rows, (tile) => {
    gather(s, probabilities, tile, classes);
    gather(g, cotangent, tile, classes);
    gather(t, tangent, tile, classes);
    for (let row = 0; row < tile.count; row++) {
      const start = row * classes;
      const end = start + classes;
      const top = indexAboveHalf(s, start, end);
      const ofCotangent = originOf(g, s, start, end, top, isDouble);
      const ofTangent = originOf(t, s, start, end, top, isDouble);
      // Rounded probabilities add up to 1 only as far as they are rounded.
      const total = sumOf(s, start, end);
      center(g, s, start, end, ofCotangent, total);
      center(t, s, start, end, ofTangent, total);
      for (let k = start; k < end; k++) t[k] *= g[k];
      const mean = weightedSum(s, t, start, end);
      for (let k = start; k < end; k++) t[k] = s[k] * (t[k] * total - mean) * factor * factor;
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
  const factor = inverseTemperature(temperature);
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
    for (let row = 0; row < tile.count; row++) {
      const start = row * classes;
      const end = start + classes;
      const cotangents = 0 - sumOf(g, start, end);
      const origin = originOf(t, p, start, end, indexAboveHalf(p, start, end), isDouble);
      center(t, p, start, end, origin, sumOf(p, start, end));
      for (let k = start; k < end; k++) t[k] = cotangents * (p[k] * t[k]) * factor * factor;
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
  const factor = inverseTemperature(parameters.temperature);
  const isDouble = out instanceof Float64Array;
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
      const sum = 1 + row.others;
      for (let k = start; k < end; k++) exp[k] /= sum;
      center(t, exp, start, end, originOf(t, exp, start, end, indexAboveHalf(exp, start, end), isDouble), 1);
      const g = cotangent[row.row];
      for (let k = start; k < end; k++) exp[k] = g * (exp[k] * t[k]) * factor * factor;
      fillMasked(exp, row, classes, 0);
    },
    ({ exp, tile }) => scatter(out, exp, tile, classes),
  );
}

/** The index of the probability above ½, or −1. */
function indexAboveHalf(p: Float64Array, start: number, end: number): number {
  let top = -1;
  for (let k = start; k < end; k++) if (p[k] > 0.5) top = k;
  return top;
}

/**
 * What all entries of v have in common, near enough to cost no digits of their differences: v at a probability above ½, whose own difference would
 * cancel otherwise, or the rounded mean. Of float32 the bits that float64 has to spare are enough.
 */
function originOf(
  v: Float64Array,
  p: Float64Array,
  start: number,
  end: number,
  top: number,
  isDouble: boolean,
): number {
  if (top >= 0) return v[top];
  return isDouble ? weightedSum(p, v, start, end) : 0;
}

/** `v Σp − ⟨p, v⟩` in place, a constant subtracted first that does not change it: then the mean is that of the differences. */
function center(v: Float64Array, p: Float64Array, start: number, end: number, origin: number, total: number): void {
  for (let k = start; k < end; k++) v[k] -= origin;
  const mean = weightedSum(p, v, start, end);
  for (let k = start; k < end; k++) v[k] = v[k] * total - mean;
}

/** Σ p v, with the rounding errors of the additions (Knuth's TwoSum, TAOCP 4.2.2) added at the end. */
function weightedSum(p: Float64Array, v: Float64Array, start: number, end: number): number {
  let sum = 0;
  let correction = 0;
  for (let k = start; k < end; k++) {
    const term = p[k] * v[k];
    const next = sum + term;
    correction += sumError(sum, term, next);
    sum = next;
  }
  return corrected(sum, correction);
}

/** Σ v in the same way. */
function sumOf(v: Float64Array, start: number, end: number): number {
  let sum = 0;
  let correction = 0;
  for (let k = start; k < end; k++) {
    const next = sum + v[k];
    correction += sumError(sum, v[k], next);
    sum = next;
  }
  return corrected(sum, correction);
}
