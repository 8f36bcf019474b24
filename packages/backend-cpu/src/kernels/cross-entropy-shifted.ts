import type { CrossEntropyParameters, Rows } from '@softgrad/core';
import { log1pPair } from '../exp-double.js';
import { corrected, hasQuotient, head, productError, productRest, quotient, sumError, timesPair } from '../pair.js';
import { fillMasked, forEachShiftedRow, isEmpty, joinExponentials, type ShiftedRow, totalOf } from '../shifted.js';
import { type CpuBuffer, type FloatArray, scratch } from '../storage.js';
import { scatter } from '../tiles.js';

export interface Outputs {
  readonly loss: CpuBuffer | null;
  readonly gradient: CpuBuffer | null;
}

/** A row's target y, its weights `q + low`, and what of them the gradient needs. Only float64 has the low parts. */
interface Target {
  readonly y: Float64Array;
  readonly q: Float64Array;
  readonly low: Float64Array;
  /** Σ q over all entries but the row's largest logit's. */
  others: number;
  othersLow: number;
  total: number;
  totalLow: number;
}

const targetScratch = scratch();
const weightScratch = scratch();
const weightLows = scratch();

/**
 * `crossEntropy` of rows that are shifted by their largest logit, in every layout and dtype.
 *
 * At the largest logit p Σ q − q would cancel, p being nearly 1 for a row that has learned its target;
 * with S = Σ exp(x/T − max) it is Σ_others q − Σ q · (S − 1)/S.
 */
export function crossEntropyShifted(
  out: Outputs,
  logits: FloatArray,
  rows: Rows,
  parameters: CrossEntropyParameters<CpuBuffer>,
): void {
  const { classes } = rows;
  const { target, labelSmoothing, weight, ignoreIndex, scale, temperature } = parameters;
  const { loss } = out;
  const gradient = out.gradient as FloatArray | null;
  const weights: Target = {
    y: targetScratch(classes),
    q: weightScratch(classes),
    low: weightLows(classes),
    others: 0,
    othersLow: 0,
    total: 0,
    totalLow: 0,
  };
  const isDouble = logits instanceof Float64Array;
  const oneHot = target.kind === 'indices' && labelSmoothing === 0;
  forEachShiftedRow(
    logits,
    rows,
    parameters,
    (row) => {
      if (isEmpty(row, classes) || (target.kind === 'indices' && target.buffer[row.row] === ignoreIndex)) {
        if (loss) loss[row.row] = 0;
        row.exp.fill(0, row.start, row.start + classes);
        return;
      }
      if (oneHot) {
        const index = target.buffer[row.row];
        const kept = row.keep === null || row.keep[row.start + index] !== 0;
        const hot = kept ? (weight ? weight[index] : 1) : 0;
        if (loss)
          loss[row.row] =
            hot === 0 && !Number.isNaN(row.others) ? 0 : -scale * hot * logProbability(row, index) * row.unit;
        const isWritten =
          gradient instanceof Float64Array && preciseOneHotGradient(row, classes, index, scale * hot, temperature);
        if (gradient && !isWritten) oneHotGradient(row, classes, index, slopeOf(scale, temperature, hot));
        fillMasked(row.exp, row, classes, 0);
        return;
      }
      fillWeights(weights, row, rows, parameters);
      if (isDouble) restoreLows(weights, row, classes, parameters);
      const expected = isDouble ? preciseLoss : expectedLoss;
      if (loss) loss[row.row] = scale * expected(row, classes, weights) * row.unit;
      const isWritten =
        gradient instanceof Float64Array && preciseWeightedGradient(row, classes, weights, scale, temperature);
      if (gradient && !isWritten) weightedGradient(row, classes, weights, slopeOf(scale, temperature, 1));
      fillMasked(row.exp, row, classes, 0);
    },
    ({ exp, tile }) => {
      if (gradient) scatter(gradient, exp, tile, classes);
    },
  );
}

/** In units of the row. */
function logProbability({ shifted, low, unit, start, others, othersLow }: ShiftedRow, index: number): number {
  const x = shifted[start + index];
  if (shifted === low) return x - Math.log1p(others);
  const log = log1pPair(others, othersLow);
  return x - log.high / unit + (low[start + index] - log.low / unit);
}

/** `scale · hot / T` as two factors: the second is 1 unless their product overflows, because 0 times Infinity is NaN. */
interface Slope {
  readonly first: number;
  readonly second: number;
}

function slopeOf(scale: number, temperature: number, hot: number): Slope {
  const factor = scale / temperature;
  if (Number.isFinite(factor * hot)) return { first: factor * hot, second: 1 };
  return Number.isFinite(factor) ? { first: hot, second: factor } : { first: scale * hot, second: 1 / temperature };
}

/** Turns the row's exponentials into `first · second (p − onehot(index))`. */
function oneHotGradient(row: ShiftedRow, classes: number, index: number, { first, second }: Slope): void {
  joinExponentials(row, classes);
  const { exp, start, others, top } = row;
  const total = 1 + others;
  for (let k = start; k < start + classes; k++) exp[k] = first * (exp[k] / total);
  if (index === top) exp[start + index] = 0 - first * (others / total);
  else exp[start + index] -= first;
  multiply(exp, start, classes, second);
}

function multiply(values: Float64Array, start: number, length: number, factor: number): void {
  if (factor !== 1) for (let k = start; k < start + length; k++) values[k] *= factor;
}

/**
 * The same for float64 with `weight / T` as the factor: a product with the pair of `weight / (T Σ exp)` rounds once, whereas the factor, its product, the
 * sum and the quotient round four times. False, with nothing written, at the ends of the range.
 */
function preciseOneHotGradient(
  { exp, rests, start, others, othersLow, top }: ShiftedRow,
  classes: number,
  index: number,
  weight: number,
  temperature: number,
): boolean {
  const total = 1 + others;
  const divisor = total * temperature;
  if (!hasQuotient(weight, temperature)) return false;
  const divisorLow = productError(total, temperature, divisor) + (sumError(1, others, total) + othersLow) * temperature;
  const { high, low } = quotient(weight, { high: divisor, low: divisorLow });
  // Products of the two heads are exact.
  const highHead = head(high);
  const highRest = high - highHead + low;
  const own = exp[start + index];
  for (let k = start; k < start + classes; k++) exp[k] = exp[k] * highHead + (exp[k] * highRest + rests[k] * high);
  if (index === top) {
    exp[start + index] = 0 - (others * high + (others * low + othersLow * high));
  } else {
    const hot = quotient(weight, { high: temperature, low: 0 });
    exp[start + index] = own * highHead - hot.high + (own * highRest + rests[start + index] * high - hot.low);
  }
  return true;
}

/** q of a class index or of target probabilities y: `(1 − ε) y + ε/K`, times the weight of the class, 0 where masked. */
function fillWeights(
  target: Target,
  row: ShiftedRow,
  { classes, inner }: Rows,
  { target: { kind, buffer }, labelSmoothing, weight }: CrossEntropyParameters<CpuBuffer>,
): void {
  const { start, keep, top } = row;
  const { y, q } = target;
  const isIndex = kind === 'indices';
  const index = buffer[row.row];
  const first = Math.floor(row.row / inner) * classes * inner + (row.row % inner);
  const certain = 1 - labelSmoothing;
  const share = labelSmoothing / keptClasses(row, classes);
  let sum = 0;
  let correction = 0;
  for (let c = 0; c < classes; c++) {
    y[c] = isIndex ? Number(c === index) : buffer[first + c * inner];
    const smoothed = certain * y[c] + share;
    q[c] = keep && keep[start + c] === 0 ? 0 : weight ? weight[c] * smoothed : smoothed;
    if (c === top) continue;
    const next = sum + q[c];
    correction += sumError(sum, q[c], next);
    sum = next;
  }
  target.others = corrected(sum, correction);
  target.othersLow = correction - (target.others - sum);
  const total = sum + q[top];
  correction += sumError(sum, q[top], total);
  target.total = corrected(total, correction);
  target.totalLow = correction - (target.total - total);
}

/** What rounding took off the weights of a row of float64, and off their sums. */
function restoreLows(
  target: Target,
  row: ShiftedRow,
  classes: number,
  { labelSmoothing, weight }: CrossEntropyParameters<CpuBuffer>,
): void {
  const { y, q, low } = target;
  const certain = 1 - labelSmoothing;
  const certainLow = sumError(1, -labelSmoothing, certain);
  const share = quotient(labelSmoothing, { high: keptClasses(row, classes), low: 0 });
  let sum = 0;
  for (let c = 0; c < classes; c++) {
    const product = certain * y[c];
    const smoothed = product + share.high;
    const rest = productRest(certain, certainLow, y[c], 0, product) + share.low;
    const error = sumError(product, share.high, smoothed) + rest;
    const all = weight ? productRest(weight[c], 0, smoothed, error, q[c]) : error;
    low[c] = q[c] !== 0 && Number.isFinite(all) ? all : 0;
    sum += low[c];
  }
  target.othersLow += sum - low[row.top];
  target.totalLow += sum;
}

function keptClasses({ keep, start }: ShiftedRow, classes: number): number {
  if (!keep) return classes;
  let kept = 0;
  for (let k = start; k < start + classes; k++) kept += keep[k];
  return kept;
}

/** `−Σ q log p`; terms with q = 0 are 0, even where log p = −Infinity. A row without a softmax has no loss, even where every q is 0. */
function expectedLoss({ shifted, start, others }: ShiftedRow, classes: number, { q }: Target): number {
  const log = Math.log1p(others);
  let loss = Number.isNaN(others) ? Number.NaN : 0;
  for (let c = 0; c < classes; c++) if (q[c] !== 0) loss += q[c] * (log - shifted[start + c]);
  return loss;
}

/**
 * The same of float64, in units of the row. Products and sums carry their rounding errors along (Ogita, Rump and Oishi, "Accurate sum and dot product", 2005,
 * algorithm 5.3), without which 50,257 equal logits are off by 11,551 ULP.
 */
function preciseLoss(row: ShiftedRow, classes: number, target: Target): number {
  const { shifted, low, unit, start, others } = row;
  const pair = log1pPair(others, row.othersLow);
  const log = pair.high / unit;
  const logLow = pair.low / unit;
  let loss = Number.isNaN(others) ? Number.NaN : 0;
  let correction = 0;
  for (let c = 0; c < classes; c++) {
    const weight = target.q[c];
    if (weight === 0) continue;
    const x = shifted[start + c];
    const gap = log - x;
    const term = weight * gap;
    const next = loss + term;
    const gapError = sumError(log, -x, gap) + (logLow - low[start + c]);
    correction += sumError(loss, term, next) + productRest(weight, target.low[c], gap, gapError, term);
    loss = next;
  }
  return corrected(loss, correction);
}

/** Turns the row's exponentials into `first · second (p Σ q − q)`. */
function weightedGradient(row: ShiftedRow, classes: number, target: Target, { first, second }: Slope): void {
  joinExponentials(row, classes);
  const { exp, start, others, top } = row;
  const total = 1 + others;
  for (let c = 0; c < classes; c++) exp[start + c] = first * ((exp[start + c] / total) * target.total - target.q[c]);
  // Where p is above ½, p Σ q − q of the largest is a small difference; its terms without the largest are small themselves.
  if (others < 1) exp[start + top] = first * (target.others - target.total * (others / total));
  multiply(exp, start, classes, second);
}

/** The same for float64 with `scale / T` as the factor, rounded once. False, with nothing written, at the ends of the range. */
function preciseWeightedGradient(
  row: ShiftedRow,
  classes: number,
  target: Target,
  scale: number,
  temperature: number,
): boolean {
  if (!hasQuotient(scale, temperature) || !hasQuotient(target.total, 1)) return false;
  const { q, low } = target;
  const { exp, rests, start, top } = row;
  const slope = quotient(scale, { high: temperature, low: 0 });
  const sum = totalOf(row);
  const share = quotient(target.total, sum);
  share.low += target.totalLow / sum.high;
  const isApart = row.others < 1;
  if (isApart) {
    exp[start + top] = row.others;
    rests[start + top] = row.othersLow;
    q[top] = target.others;
    low[top] = target.othersLow;
  }
  for (let c = 0; c < classes; c++) {
    const k = start + c;
    const product = exp[k] * share.high;
    const difference = product - q[c];
    const rest = productRest(exp[k], rests[k], share.high, share.low, product) - low[c];
    exp[k] = timesPair(difference, sumError(product, -q[c], difference) + rest, slope);
  }
  if (isApart) exp[start + top] = 0 - exp[start + top];
  return true;
}
