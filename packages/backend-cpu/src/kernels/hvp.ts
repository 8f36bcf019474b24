import type { DerivativeParameters, Rows, SoftmaxParameters } from '@softgrad/core';
import { expPair } from '../exp-double.js';
import {
  centredMean,
  corrected,
  hasQuotient,
  type Pair,
  productError,
  productRest,
  quotient,
  sumBut,
  sumError,
  timesPair,
} from '../pair.js';
import { fillMasked, forEachShiftedRow, totalOf } from '../shifted.js';
import { type CpuBuffer, type FloatArray, scratch } from '../storage.js';
import { isFar } from '../temperature.js';
import { forEachTile, gather, scatter, type Tile, tileLength } from '../tiles.js';
import { exponentiate } from './log-softmax.js';
import { indexAboveHalf } from './vjp/origin.js';

const probabilityScratch = scratch();
const probabilityLows = scratch();
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
  { temperature }: DerivativeParameters,
): void | false {
  if (isFar(temperature)) return false;
  const { classes } = rows;
  const isDouble = out instanceof Float64Array;
  const length = tileLength(rows);
  const s = probabilityScratch(length);
  const g = cotangentScratch(length);
  const t = tangentScratch(length);
  const lows = isDouble ? ([probabilityLows, cotangentLows, tangentLows] as const).map((of) => of(length)) : null;
  // The probabilities are exact.
  lows?.[0].fill(0, 0, length);
  forEachTile(rows, (tile) => {
    gather(s, probabilities, tile, classes);
    gather(g, cotangent, tile, classes);
    gather(t, tangent, tile, classes);
    for (let start = 0; start < tile.count * classes; start += classes) {
      const end = start + classes;
      const excess = excessOf(s, start, end);
      if (lows) {
        preciseHvp(s, g, t, lows, start, end, excess, temperature);
        continue;
      }
      center(g, s, start, end, excess);
      center(t, s, start, end, excess);
      for (let k = start; k < end; k++) t[k] *= g[k];
      centredMean(sum, s, t, start, end, 0);
      // With 0 added, the result of entries without a difference is 0 rather than −0.
      for (let k = start; k < end; k++) t[k] = s[k] * (t[k] - sum.high + (0 + excess * t[k]));
      divide(t, start, end, temperature);
    }
    scatter(out, t, tile, classes);
  });
}

/** The same for a row of float64, with the rounding errors of both centred directions and of their product. */
function preciseHvp(
  s: Float64Array,
  g: Float64Array,
  t: Float64Array,
  [lowOfS, lowOfG, lowOfT]: readonly Float64Array[],
  start: number,
  end: number,
  excess: number,
  temperature: number,
): void {
  lowOfG.fill(0, start, end);
  lowOfT.fill(0, start, end);
  preciseCenter(g, lowOfG, s, lowOfS, start, end, excess);
  preciseCenter(t, lowOfT, s, lowOfS, start, end, excess);
  for (let k = start; k < end; k++) {
    const product = g[k] * t[k];
    const rest = productRest(g[k], lowOfG[k], t[k], lowOfT[k], product);
    lowOfT[k] = Number.isFinite(rest) ? rest : 0;
    t[k] = product;
  }
  preciseCenter(t, lowOfT, s, lowOfS, start, end, excess);
  multiply(t, lowOfT, s, lowOfS, start, end, 1, 0, temperature);
}

/** `out = −Σg · p ⊙ (t − ⟨p, t⟩) / T²` over each row, p = exp(y). */
export function logSoftmaxHvp(
  out: FloatArray,
  logProbabilities: FloatArray,
  cotangent: FloatArray,
  tangent: FloatArray,
  rows: Rows,
  { temperature }: DerivativeParameters,
): void | false {
  if (isFar(temperature)) return false;
  const { classes } = rows;
  const isDouble = out instanceof Float64Array;
  const length = tileLength(rows);
  const y = logScratch(length);
  const p = probabilityScratch(length);
  const lowOfP = probabilityLows(length);
  const g = cotangentScratch(length);
  const t = tangentScratch(length);
  forEachTile(rows, (tile) => {
    gather(y, logProbabilities, tile, classes);
    gather(g, cotangent, tile, classes);
    gather(t, tangent, tile, classes);
    const elements = tile.count * classes;
    if (isDouble) for (let k = 0; k < elements; k++) lowOfP[k] = expPair(p, k, y[k], 0);
    else exponentiate(p, y, elements, false);
    for (let start = 0; start < elements; start += classes) {
      const end = start + classes;
      let excess = excessOf(p, start, end);
      if (isDouble) for (let k = start; k < end; k++) excess += lowOfP[k];
      sumBut(sum, g, start, end, -1);
      const total = corrected(sum.high, sum.low);
      const rest = sum.high - total + sum.low;
      curvature(t, p, lowOfP, start, end, excess, 0 - total, 0 - rest, temperature, isDouble);
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
): void | false {
  const { temperature } = parameters;
  if (isFar(temperature)) return false;
  const { classes } = rows;
  const isDouble = out instanceof Float64Array;
  const t = tangentScratch(tileLength(rows));
  let gathered: Tile | null = null;
  forEachShiftedRow(
    logits,
    rows,
    parameters,
    (row) => {
      const { tile, exp, rests, keep, start } = row;
      const end = start + classes;
      if (gathered !== tile) {
        gather(t, tangent, tile, classes);
        gathered = tile;
      }
      if (keep) for (let k = start; k < end; k++) if (keep[k] === 0) t[k] = 0;
      const total = totalOf(row);
      if (isDouble) {
        const inverse = quotient(1, total);
        for (let k = start; k < end; k++) {
          const product = exp[k] * inverse.high;
          const rest = productRest(exp[k], rests[k], inverse.high, inverse.low, product);
          exp[k] = product + rest;
          rests[k] = rest - (exp[k] - product);
        }
      } else for (let k = start; k < end; k++) exp[k] /= total.high;
      curvature(t, exp, rests, start, end, 0, cotangent[row.row], 0, temperature, isDouble);
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

/** `v = factor · p ⊙ (v Σp − ⟨p, v⟩) / T²` in place. In float64 p and the factor have low parts. */
function curvature(
  v: Float64Array,
  p: Float64Array,
  lowOfP: Float64Array,
  start: number,
  end: number,
  excess: number,
  factor: number,
  factorLow: number,
  temperature: number,
  isDouble: boolean,
): void {
  if (isDouble) {
    const low = tangentLows(v.length).fill(0, start, end);
    preciseCenter(v, low, p, lowOfP, start, end, excess);
    multiply(v, low, p, lowOfP, start, end, factor, factorLow, temperature);
    return;
  }
  center(v, p, start, end, excess);
  for (let k = start; k < end; k++) v[k] = factor * (p[k] * v[k]);
  divide(v, start, end, temperature);
}

/** `v = factor · p ⊙ (v + low) / T²` in place in float64, rounded once unless factor, T² or their quotient is at an end of the range. */
function multiply(
  v: Float64Array,
  low: Float64Array,
  p: Float64Array,
  lowOfP: Float64Array,
  start: number,
  end: number,
  factor: number,
  factorLow: number,
  temperature: number,
): void {
  const square = temperature * temperature;
  if (!hasQuotient(factor, square)) {
    for (let k = start; k < end; k++) v[k] = factor * (p[k] * (v[k] + low[k]));
    divide(v, start, end, temperature);
    return;
  }
  const slope = quotient(factor, { high: square, low: productError(temperature, temperature, square) });
  slope.low += factorLow / square;
  for (let k = start; k < end; k++) {
    const product = p[k] * v[k];
    v[k] = timesPair(product, productRest(p[k], lowOfP[k], v[k], low[k], product), slope);
  }
}

/** `v / T²` in place. */
function divide(v: Float64Array, start: number, end: number, temperature: number): void {
  const square = temperature * temperature;
  if (square !== 1) for (let k = start; k < end; k++) v[k] /= square;
}

/**
 * `v Σp − ⟨p, v⟩` in place. v at a probability above ½, whose own difference would cancel otherwise, is subtracted from all entries first: what they have
 * in common changes nothing.
 */
function center(v: Float64Array, p: Float64Array, start: number, end: number, excess: number): void {
  const top = indexAboveHalf(p, start, end);
  const origin = top < 0 ? 0 : v[top];
  centredMean(sum, p, v, start, end, origin);
  const constant = origin + sum.high;
  const rest = sumError(origin, sum.high, constant) + sum.low;
  for (let k = start; k < end; k++) v[k] = v[k] - constant + (excess * (v[k] - origin) - rest);
}

/**
 * The same of v + low and p + lowOfP, with the rounding errors of all operations (Ogita, Rump and Oishi, as in `preciseLoss`). Without a probability above ½,
 * the rounded mean is subtracted first, so that a large constant costs no digits of the differences.
 */
function preciseCenter(
  v: Float64Array,
  low: Float64Array,
  p: Float64Array,
  lowOfP: Float64Array,
  start: number,
  end: number,
  excess: number,
): void {
  const top = indexAboveHalf(p, start, end);
  let origin = v[top];
  if (top < 0) {
    centredMean(sum, p, v, start, end, 0);
    origin = sum.high;
  }
  let mean = 0;
  let rest = 0;
  for (let k = start; k < end; k++) {
    const difference = v[k] - origin;
    low[k] += sumError(v[k], -origin, difference);
    v[k] = difference;
    const term = p[k] * difference;
    const next = mean + term;
    rest += sumError(mean, term, next) + productRest(p[k], lowOfP[k], difference, low[k], term);
    mean = next;
  }
  if (!Number.isFinite(rest)) rest = 0;
  for (let k = start; k < end; k++) {
    const difference = v[k];
    const moved = difference - mean;
    low[k] += sumError(difference, -mean, moved) + (excess * difference - rest);
    v[k] = moved;
  }
}
