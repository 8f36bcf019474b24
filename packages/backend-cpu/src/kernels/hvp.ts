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
import { exponentOf, isSmall, normalise, timesPower } from '../powers.js';
import { fillMasked, forEachShiftedRow, totalOf } from '../shifted.js';
import { type CpuBuffer, type FloatArray, scratch } from '../storage.js';
import { isFar } from '../temperature.js';
import { forEachTile, gather, gatherRow, scatter, type Tile, tileLength } from '../tiles.js';
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
): void {
  const { classes } = rows;
  const isDouble = out instanceof Float64Array;
  const length = tileLength(rows);
  const s = probabilityScratch(length);
  const g = cotangentScratch(length);
  const t = tangentScratch(length);
  const isExtreme = hasExtremeSquare(temperature);
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
        const isOrdinary = !isExtreme && !isSmall(g, start, end) && !isSmall(t, start, end);
        if (isOrdinary && preciseHvp(s, g, t, lows, start, end, excess, temperature, 0)) continue;
        gatherRow(g, cotangent, tile, start, classes);
        gatherRow(t, tangent, tile, start, classes);
        const power = normalise(g, s, start, end) + normalise(t, s, start, end);
        preciseHvp(s, g, t, lows, start, end, excess, temperature, power);
        continue;
      }
      center(g, s, start, end, excess);
      center(t, s, start, end, excess);
      for (let k = start; k < end; k++) t[k] *= g[k];
      centredMean(sum, s, t, start, end, 0);
      // With 0 added, the result of entries without a difference is 0 rather than −0.
      for (let k = start; k < end; k++) t[k] = s[k] * (t[k] - sum.high + (0 + excess * t[k]));
      divide(t, start, end, temperature, isExtreme);
    }
    scatter(out, t, tile, classes);
  });
}

/**
 * The same for a row of float64, times 2^power, with the rounding errors of both centred directions and of their product. Returns whether all of these, and
 * the results, are in the range.
 */
function preciseHvp(
  s: Float64Array,
  g: Float64Array,
  t: Float64Array,
  [lowOfS, lowOfG, lowOfT]: readonly Float64Array[],
  start: number,
  end: number,
  excess: number,
  temperature: number,
  power: number,
): boolean {
  lowOfG.fill(0, start, end);
  lowOfT.fill(0, start, end);
  const areCentred =
    preciseCenter(g, lowOfG, s, lowOfS, start, end, excess) && preciseCenter(t, lowOfT, s, lowOfS, start, end, excess);
  for (let k = start; k < end; k++) {
    const product = g[k] * t[k];
    const rest = productRest(g[k], lowOfG[k], t[k], lowOfT[k], product);
    lowOfT[k] = Number.isFinite(rest) ? rest : 0;
    t[k] = product;
  }
  const isCentred = preciseCenter(t, lowOfT, s, lowOfS, start, end, excess);
  return multiply(t, lowOfT, s, lowOfS, start, end, 1, 0, temperature, power) && areCentred && isCentred;
}

/** `out = −Σg · p ⊙ (t − ⟨p, t⟩) / T²` over each row, p = exp(y). */
export function logSoftmaxHvp(
  out: FloatArray,
  logProbabilities: FloatArray,
  cotangent: FloatArray,
  tangent: FloatArray,
  rows: Rows,
  { temperature }: DerivativeParameters,
): void {
  const { classes } = rows;
  const isDouble = out instanceof Float64Array;
  const length = tileLength(rows);
  const y = logScratch(length);
  const p = probabilityScratch(length);
  const lowOfP = probabilityLows(length);
  const g = cotangentScratch(length);
  const t = tangentScratch(length);
  const isExtreme = hasExtremeSquare(temperature);
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
      let power = 0;
      if (isDouble && !Number.isFinite(sum.high)) {
        power = normalise(g, null, start, end);
        sumBut(sum, g, start, end, -1);
      }
      const total = corrected(sum.high, sum.low);
      const factor = 0 - total;
      const rest = 0 - (sum.high - total + sum.low);
      if (!isDouble) {
        curvature(t, p, start, end, excess, factor, temperature, isExtreme);
        continue;
      }
      const isOrdinary = !isExtreme && !isSmall(t, start, end);
      if (isOrdinary && preciseCurvature(t, p, lowOfP, start, end, excess, factor, rest, temperature, power)) continue;
      gatherRow(t, tangent, tile, start, classes);
      power += normalise(t, p, start, end);
      preciseCurvature(t, p, lowOfP, start, end, excess, factor, rest, temperature, power);
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
  const { classes } = rows;
  const isDouble = out instanceof Float64Array;
  const near = isDouble ? nearOne(logits, temperature) : { x: logits, temperature };
  if (near === null) return false;
  const t = tangentScratch(tileLength(rows));
  const isExtreme = hasExtremeSquare(temperature);
  let gathered: Tile | null = null;
  forEachShiftedRow(
    near.x,
    rows,
    { ...parameters, temperature: near.temperature },
    (row) => {
      const { tile, exp, rests, start } = row;
      const end = start + classes;
      if (gathered !== tile) {
        gather(t, tangent, tile, classes);
        gathered = tile;
      }
      fillMasked(t, row, classes, 0);
      const total = totalOf(row);
      if (isDouble) {
        const inverse = quotient(1, total);
        for (let k = start; k < end; k++) {
          const product = exp[k] * inverse.high;
          const rest = productRest(exp[k], rests[k], inverse.high, inverse.low, product);
          exp[k] = product + rest;
          rests[k] = rest - (exp[k] - product);
        }
        const factor = cotangent[row.row];
        const isOrdinary = !isExtreme && !isSmall(t, start, end);
        if (!isOrdinary || !preciseCurvature(t, exp, rests, start, end, 0, factor, 0, temperature, 0)) {
          gatherRow(t, tangent, tile, start, classes);
          fillMasked(t, row, classes, 0);
          const power = normalise(t, exp, start, end);
          preciseCurvature(t, exp, rests, start, end, 0, factor, 0, temperature, power);
        }
      } else {
        for (let k = start; k < end; k++) exp[k] /= total.high;
        curvature(t, exp, start, end, 0, cotangent[row.row], temperature, isExtreme);
      }
      fillMasked(t, row, classes, 0);
    },
    ({ tile }) => scatter(out, t, tile, classes),
  );
}

/** Logits and a temperature near 1 with the same quotients, both times a power of 2; null where a logit would leave the range, for core to compose. */
function nearOne(logits: FloatArray, temperature: number): { x: FloatArray; temperature: number } | null {
  if (!isFar(temperature)) return { x: logits, temperature };
  const power = -exponentOf(temperature);
  const x = logits.map((logit) => timesPower(logit, power));
  const isLost = x.some((scaled, k) => !Number.isFinite(scaled) && Number.isFinite(logits[k]));
  return isLost ? null : { x, temperature: timesPower(temperature, power) };
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
  isExtreme: boolean,
): void {
  center(v, p, start, end, excess);
  for (let k = start; k < end; k++) v[k] = factor * (p[k] * v[k]);
  divide(v, start, end, temperature, isExtreme);
}

/** The same of float64, times 2^power, where p and the factor have low parts. Returns whether intermediate and final results are in the range. */
function preciseCurvature(
  v: Float64Array,
  p: Float64Array,
  lowOfP: Float64Array,
  start: number,
  end: number,
  excess: number,
  factor: number,
  factorLow: number,
  temperature: number,
  power: number,
): boolean {
  const low = tangentLows(v.length).fill(0, start, end);
  const isCentred = preciseCenter(v, low, p, lowOfP, start, end, excess);
  return multiply(v, low, p, lowOfP, start, end, factor, factorLow, temperature, power) && isCentred;
}

/** `v = factor · p ⊙ (v + low) · 2^power / T²` in place in float64, rounded once. Returns whether the results are finite. */
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
  power: number,
): boolean {
  const square = temperature * temperature;
  if (power !== 0 || !hasQuotient(factor, square)) {
    multiplyFar(v, low, p, lowOfP, start, end, factor, factorLow, temperature, power);
    return true;
  }
  const slope = quotient(factor, { high: square, low: productError(temperature, temperature, square) });
  slope.low += factorLow / square;
  let zero = 0;
  for (let k = start; k < end; k++) {
    const product = p[k] * v[k];
    v[k] = timesPair(product, productRest(p[k], lowOfP[k], v[k], low[k], product), slope);
    zero += v[k] * 0;
  }
  return zero === 0;
}

/** The same of factors at the ends of the range: the exponent of each is added to the power, so that only the result leaves the range. */
function multiplyFar(
  v: Float64Array,
  low: Float64Array,
  p: Float64Array,
  lowOfP: Float64Array,
  start: number,
  end: number,
  factor: number,
  factorLow: number,
  temperature: number,
  power: number,
): void {
  const ofT = exponentOf(temperature);
  const ofFactor = exponentOf(factor);
  const unit = timesPower(temperature, -ofT);
  const square = unit * unit;
  const slope = quotient(timesPower(factor, -ofFactor), { high: square, low: productError(unit, unit, square) });
  slope.low += timesPower(factorLow, -ofFactor) / square;
  for (let k = start; k < end; k++) {
    const ofV = exponentOf(v[k]);
    const ofP = exponentOf(p[k]);
    const a = timesPower(v[k], -ofV);
    const b = timesPower(p[k], -ofP);
    const product = a * b;
    const rest = productRest(a, timesPower(low[k], -ofV), b, timesPower(lowOfP[k], -ofP), product);
    v[k] = timesPower(timesPair(product, rest, slope), power + ofFactor - 2 * ofT + ofV + ofP);
  }
}

/** Whether T² is so near an end of the range that products of directions with small probabilities need all of it. */
function hasExtremeSquare(temperature: number): boolean {
  return !hasQuotient(1, temperature * temperature);
}

/** `v / T²` in place, in two steps where T² may leave the range. */
function divide(v: Float64Array, start: number, end: number, temperature: number, isExtreme: boolean): void {
  const square = temperature * temperature;
  if (isExtreme) for (let k = start; k < end; k++) v[k] = v[k] / temperature / temperature;
  else if (square !== 1) for (let k = start; k < end; k++) v[k] /= square;
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
 * the rounded mean is subtracted first, so that a large constant costs no digits of the differences. Returns whether the differences and their errors are finite.
 */
function preciseCenter(
  v: Float64Array,
  low: Float64Array,
  p: Float64Array,
  lowOfP: Float64Array,
  start: number,
  end: number,
  excess: number,
): boolean {
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
  const isInRange = Number.isFinite(rest);
  if (!isInRange) rest = 0;
  for (let k = start; k < end; k++) {
    const difference = v[k];
    const moved = difference - mean;
    low[k] += sumError(difference, -mean, moved) + (excess * difference - rest);
    v[k] = moved;
  }
  return isInRange;
}
