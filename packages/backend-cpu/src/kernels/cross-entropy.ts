import type { CrossEntropyParameters, Rows } from '@softgrad/core';
import { rowsPerBlock, scale, sumOfOthers } from '../blocks.js';
import { log1pPair } from '../exp-double.js';
import { expAndSum, unitOf } from '../exp-single.js';
import { corrected, productError, quotient, sumError } from '../pair.js';
import { fillMasked, forEachShiftedRow, isEmpty, type ShiftedRow } from '../shifted.js';
import { type CpuBuffer, type FloatArray, scratch } from '../storage.js';
import { inverseTemperature } from '../temperature.js';
import { scatter } from '../tiles.js';

interface Outputs {
  readonly loss: CpuBuffer | null;
  readonly gradient: CpuBuffer | null;
}

/** A row's target weights q, and what of them the gradient needs. */
interface Target {
  readonly q: Float64Array;
  /** Σ q over all entries but the row's largest logit's. */
  others: number;
  total: number;
}

const weightScratch = scratch();

/**
 * Loss `−scale Σ q log p` and gradient `scale/T (p Σ q − q)` of each row, from one exponential an element.
 *
 * At the largest logit p Σ q − q would cancel, p being nearly 1 for a row that has learned its target;
 * with S = Σ exp(x/T − max) it is Σ_others q − Σ q · (S − 1)/S.
 */
export function crossEntropy(
  out: Outputs,
  logits: FloatArray,
  rows: Rows,
  parameters: CrossEntropyParameters<CpuBuffer>,
): void {
  if (logits instanceof Float32Array && rows.inner === 1 && isPlain(parameters)) {
    crossEntropyUnshifted(out, logits, rows, parameters);
  } else {
    crossEntropyShifted(out, logits, rows, parameters);
  }
}

/** Class indices, nothing masked, smoothed or tempered. */
function isPlain({ target, mask, temperature, labelSmoothing }: CrossEntropyParameters<CpuBuffer>): boolean {
  return target.kind === 'indices' && mask === null && temperature === 1 && labelSmoothing === 0;
}

const expScratch = scratch();

/**
 * Rows whose exponentials need no shift (see `softmax`), with t the target and S the sum: `loss = log1p(Σ_others exp / exp_t)`,
 * `gradient = exp / S`, at t `−Σ_others exp / S`. Summing the others apart, neither cancels where the target has nearly all.
 */
function crossEntropyUnshifted(
  out: Outputs,
  logits: Float32Array,
  { outer, classes }: Rows,
  parameters: CrossEntropyParameters<CpuBuffer>,
): void {
  const { target, weight, ignoreIndex, scale: factor } = parameters;
  const gradient = out.gradient as Float32Array | null;
  const { loss } = out;
  const perBlock = rowsPerBlock(classes);
  const unit = unitOf(parameters.temperature);
  const exp = expScratch(classes * perBlock);
  for (let row = 0; row < outer; row += perBlock) {
    const count = Math.min(perBlock, outer - row);
    if (expAndSum(exp, logits, row * classes, count * classes, unit) < 0) {
      crossEntropyShifted(
        {
          loss: loss === null ? null : loss.subarray(row, row + count),
          gradient: gradient === null ? null : gradient.subarray(row * classes, (row + count) * classes),
        },
        logits.subarray(row * classes, (row + count) * classes),
        { outer: count, classes, inner: 1 },
        { ...parameters, target: { kind: 'indices', buffer: target.buffer.subarray(row, row + count) } },
      );
      continue;
    }
    for (let r = row; r < row + count; r++) {
      const first = (r - row) * classes;
      const index = target.buffer[r];
      if (index === ignoreIndex) {
        if (loss) loss[r] = 0;
        if (gradient) gradient.fill(0, r * classes, (r + 1) * classes);
        continue;
      }
      const hot = factor * (weight ? weight[index] : 1);
      const own = exp[first + index];
      const others = sumOfOthers(exp, first, classes, index);
      if (loss) loss[r] = hot * Math.log1p(others / own);
      if (gradient) {
        const total = others + own;
        scale(gradient, exp, r * classes, first, classes, hot / total);
        gradient[r * classes + index] = -hot * (others / total);
      }
    }
  }
}

function crossEntropyShifted(
  out: Outputs,
  logits: FloatArray,
  rows: Rows,
  parameters: CrossEntropyParameters<CpuBuffer>,
): void {
  const { classes } = rows;
  const { target, labelSmoothing, weight, ignoreIndex, scale, temperature } = parameters;
  const { loss } = out;
  const gradient = out.gradient as FloatArray | null;
  const weights: Target = { q: weightScratch(classes), others: 0, total: 0 };
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
      if (target.kind === 'indices')
        indexWeights(weights, row, classes, target.buffer[row.row], labelSmoothing, weight);
      else targetWeights(weights, row, rows, target.buffer, labelSmoothing, weight);
      if (loss) loss[row.row] = scale * expectedLoss(row, classes, weights) * row.unit;
      if (gradient) weightedGradient(row, classes, weights, slopeOf(scale, temperature, 1));
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
  return Number.isFinite(factor)
    ? { first: hot, second: factor }
    : { first: scale * hot, second: inverseTemperature(temperature) };
}

/** Turns the row's exponentials into `first · second (p − onehot(index))`. */
function oneHotGradient(
  { exp, start, others, top }: ShiftedRow,
  classes: number,
  index: number,
  { first, second }: Slope,
): void {
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
  { exp, start, others, othersLow, top }: ShiftedRow,
  classes: number,
  index: number,
  weight: number,
  temperature: number,
): boolean {
  const total = 1 + others;
  const divisor = total * temperature;
  if (!isOrdinary(temperature) || !isOrdinary(weight / temperature)) return false;
  const divisorLow = productError(total, temperature, divisor) + (sumError(1, others, total) + othersLow) * temperature;
  const { high, low } = quotient(weight, { high: divisor, low: divisorLow });
  const own = exp[start + index];
  for (let k = start; k < start + classes; k++) exp[k] = exp[k] * high + exp[k] * low;
  if (index === top) {
    exp[start + index] = 0 - (others * high + (others * low + othersLow * high));
  } else {
    const hot = quotient(weight, { high: temperature, low: 0 });
    exp[start + index] = own * high - hot.high + (own * low - hot.low);
  }
  return true;
}

/** Whether products and quotients with x or with sums of exponentials times x, and their errors, are in the range. */
function isOrdinary(x: number): boolean {
  const size = Math.abs(x);
  return size > 2 ** -900 && size < 2 ** 900;
}

/** q of a class index: smoothed, then weighted, then 0 where masked. */
function indexWeights(
  target: Target,
  row: ShiftedRow,
  classes: number,
  index: number,
  smoothing: number,
  weight: CpuBuffer | null,
): void {
  const share = smoothing / keptClasses(row, classes);
  fillWeights(target, row, classes, weight, (c) => (c === index ? 1 - smoothing + share : share));
}

/** q of a row of target probabilities: smoothed, then weighted, then 0 where masked. */
function targetWeights(
  target: Target,
  row: ShiftedRow,
  { classes, inner }: Rows,
  probabilities: CpuBuffer,
  smoothing: number,
  weight: CpuBuffer | null,
): void {
  const share = smoothing / keptClasses(row, classes);
  const first = Math.floor(row.row / inner) * classes * inner + (row.row % inner);
  fillWeights(target, row, classes, weight, (c) => (1 - smoothing) * probabilities[first + c * inner] + share);
}

function fillWeights(
  target: Target,
  { start, keep, top }: ShiftedRow,
  classes: number,
  weight: CpuBuffer | null,
  smoothed: (c: number) => number,
): void {
  const { q } = target;
  let sum = 0;
  let correction = 0;
  for (let c = 0; c < classes; c++) {
    q[c] = keep && keep[start + c] === 0 ? 0 : weight ? weight[c] * smoothed(c) : smoothed(c);
    if (c === top) continue;
    const next = sum + q[c];
    correction += sumError(sum, q[c], next);
    sum = next;
  }
  target.others = corrected(sum, correction);
  target.total = corrected(sum + q[top], correction + sumError(sum, q[top], sum + q[top]));
}

function keptClasses({ keep, start }: ShiftedRow, classes: number): number {
  if (!keep) return classes;
  let kept = 0;
  for (let k = start; k < start + classes; k++) kept += keep[k];
  return kept;
}

/**
 * `−Σ q log p` in units of the row; terms with q = 0 are 0, even where log p = −Infinity. Products and sums carry their rounding errors along (Ogita, Rump
 * and Oishi, "Accurate sum and dot product", 2005, algorithm 5.3), without which 50,257 equal logits are off by 11,551 ULP.
 */
function expectedLoss({ shifted, low, unit, start, others }: ShiftedRow, classes: number, { q }: Target): number {
  const log = Math.log1p(others) / unit;
  const isDouble = shifted !== low;
  // A row without a softmax has no loss, even where every q is 0.
  let loss = Number.isNaN(others) ? Number.NaN : 0;
  let correction = 0;
  for (let c = 0; c < classes; c++) {
    const weight = q[c];
    if (weight === 0) continue;
    const x = shifted[start + c];
    const gap = log - x;
    const term = weight * gap;
    const next = loss + term;
    if (isDouble) {
      const gapError = sumError(log, -x, gap) - low[start + c];
      correction += sumError(loss, term, next) + productError(weight, gap, term) + weight * gapError;
    }
    loss = next;
  }
  return corrected(loss, correction);
}

/** Turns the row's exponentials into `first · second (p Σ q − q)`. */
function weightedGradient(
  { exp, start, others, top }: ShiftedRow,
  classes: number,
  target: Target,
  { first, second }: Slope,
): void {
  const total = 1 + others;
  for (let c = 0; c < classes; c++) exp[start + c] = first * ((exp[start + c] / total) * target.total - target.q[c]);
  // Where p is above ½, p Σ q − q of the largest is a small difference; its terms without the largest are small themselves.
  if (others < 1) exp[start + top] = first * (target.others - target.total * (others / total));
  multiply(exp, start, classes, second);
}
