import type { DerivativeParameters, Rows, SoftmaxParameters } from '@softgrad/core';
import { indexAbove, rowsPerBlock, sum, sumOfOthers } from '../blocks.js';
import { expOfFloat64, log1pPair } from '../exp-double.js';
import { expAndSum, expOfFloat32, unitOf } from '../exp-single.js';
import { centredMean, corrected, type Pair, productError, sumBut, sumError } from '../pair.js';
import { fillMasked, forEachShiftedRow } from '../shifted.js';
import { type CpuBuffer, type FloatArray, scratch } from '../storage.js';
import { isFar } from '../temperature.js';
import { forEachTile, gather, scatter, type Tile, tileLength } from '../tiles.js';
import { indexAboveHalf, isNearMean, mayBeNear } from './vjp/origin.js';
import { mayOverflow } from './vjp/wide.js';

const expScratch = scratch();
const logScratch = scratch();
const probabilityScratch = scratch();
const vectorScratch = scratch();
const rowSum: Pair = { high: 0, low: 0 };

/** `out = x/T − log Σ exp(x/T)`. */
export function logSoftmax(
  out: FloatArray,
  logits: FloatArray,
  rows: Rows,
  parameters: SoftmaxParameters<CpuBuffer>,
): void | false {
  if (isFar(parameters.temperature)) return false;
  if (logits instanceof Float32Array && rows.inner === 1 && parameters.mask === null) {
    logSoftmaxUnshifted(out, logits, rows, parameters);
  } else {
    logSoftmaxShifted(out, logits, rows, parameters);
  }
}

/**
 * Rows whose exponentials need no shift (see `softmax`). Where an entry has more than half of the sum, its own exponential, which has
 * an error, is kept out: `log Σ = x_top/T + log1p(Σ_others exp / exp_top)`, and the entry's own result the logarithm alone.
 */
function logSoftmaxUnshifted(
  out: FloatArray,
  x: Float32Array,
  { outer, classes }: Rows,
  parameters: SoftmaxParameters<CpuBuffer>,
): void {
  const { temperature } = parameters;
  const perBlock = rowsPerBlock(classes);
  const unit = unitOf(temperature);
  const inverse = 1 / temperature;
  const exp = expScratch(classes * perBlock);
  for (let row = 0; row < outer; row += perBlock) {
    const count = Math.min(perBlock, outer - row);
    const start = row * classes;
    const end = start + count * classes;
    if (expAndSum(exp, x, start, count * classes, unit) < 0) {
      const block = { outer: count, classes, inner: 1 };
      logSoftmaxShifted(out.subarray(start, end), x.subarray(start, end), block, parameters);
      continue;
    }
    for (let first = 0; first < count * classes; first += classes) {
      const to = start + first;
      const total = sum(exp, first, classes);
      const top = indexAbove(exp, first, classes, total / 2);
      if (top < 0) {
        subtract(out, x, to, classes, inverse, Math.log(total));
        continue;
      }
      const others = sumOfOthers(exp, first, classes, top - first);
      const log = Math.log1p(others / exp[top]);
      subtract(out, x, to, classes, inverse, x[start + top] * inverse + log);
      out[start + top] = 0 - log;
    }
  }
}

/** `out[start + k] = x[start + k] · factor − constant`. */
function subtract(
  out: FloatArray,
  x: Float32Array,
  start: number,
  length: number,
  factor: number,
  constant: number,
): void {
  const end = (start + length) | 0;
  const lastFour = (end - 3) | 0;
  let k = start;
  for (; k < lastFour; k += 4) {
    const y0 = x[k] * factor - constant;
    const y1 = x[(k + 1) | 0] * factor - constant;
    const y2 = x[(k + 2) | 0] * factor - constant;
    const y3 = x[(k + 3) | 0] * factor - constant;
    out[k] = y0;
    out[(k + 1) | 0] = y1;
    out[(k + 2) | 0] = y2;
    out[(k + 3) | 0] = y3;
  }
  for (; k < end; k++) out[k] = x[k] * factor - constant;
}

/** `(x/T − max) − log1p(Σ of the others)`: both terms have one sign, so nothing cancels. */
function logSoftmaxShifted(
  out: FloatArray,
  logits: FloatArray,
  rows: Rows,
  parameters: SoftmaxParameters<CpuBuffer>,
): void {
  const { classes } = rows;
  forEachShiftedRow(
    logits,
    rows,
    parameters,
    (row) => {
      const { shifted, low, unit, start, others, othersLow } = row;
      const end = start + classes;
      if (shifted === low) {
        const log = Math.log1p(others);
        for (let k = start; k < end; k++) shifted[k] -= log;
      } else {
        const log = log1pPair(others, othersLow);
        for (let k = start; k < end; k++) shifted[k] = shifted[k] * unit - log.high + (low[k] * unit - log.low);
      }
      fillMasked(shifted, row, classes, Number.NEGATIVE_INFINITY);
    },
    ({ shifted, tile }) => scatter(out, shifted, tile, classes),
  );
}

/** `out = (g − exp(y) Σ g) / T` over each row. */
export function logSoftmaxVjp(
  out: FloatArray,
  logProbabilities: FloatArray,
  cotangent: FloatArray,
  rows: Rows,
  { temperature }: DerivativeParameters,
): void | false {
  if (isFar(temperature)) return false;
  forEachLogRow(out, logProbabilities, cotangent, rows, ({ y, p, v: g }, start, end, top, isDouble) => {
    let others = 0;
    let total = 0;
    let low = 0;
    if (isDouble) {
      sumBut(rowSum, g, start, end, top);
      const ofTop = top < 0 ? 0 : g[top];
      others = rowSum.high;
      total = rowSum.high + ofTop;
      low = sumError(rowSum.high, ofTop, total) + rowSum.low;
      if (mayOverflow(total, others)) return false;
    } else {
      if (end - start > blockElements) others = blockSumBut(g, start, end, top);
      else for (let k = start; k < end; k++) if (k !== top) others += g[k];
      total = top < 0 ? others : others + g[top];
    }
    // g − p Σ g cancels where p is nearly 1; there it is (1 − p) Σ g less the other entries' g, or (1 − p) g − p Σ_others g.
    let ofTop = 0;
    if (top >= 0) {
      const left = -Math.expm1(y[top]);
      if (isDouble) {
        const product = left * total;
        ofTop = product - others;
        ofTop += sumError(product, -others, ofTop) + productError(left, total, product) + left * low - rowSum.low;
      } else ofTop = left * g[top] - (1 - left) * others;
      ofTop /= temperature;
    }
    if (isDouble) {
      for (let k = start; k < end; k++) {
        const product = p[k] * total;
        const moved = g[k] - product;
        const rest = sumError(g[k], -product, moved) - p[k] * low;
        g[k] = (moved + rest) / temperature;
      }
    } else if (temperature === 1) for (let k = start; k < end; k++) g[k] -= p[k] * total;
    else for (let k = start; k < end; k++) g[k] = (g[k] - p[k] * total) / temperature;
    if (top >= 0) g[top] = ofTop;
    return true;
  });
}

/** Elements that are added up on their own; of the sums of longer rows the rounding errors are added at the end, in float32 too. */
const blockElements = 128;

/** Σ v but for the entry at `top`. */
function blockSumBut(v: Float64Array, start: number, end: number, top: number): number {
  let sum = 0;
  let correction = 0;
  for (let first = start; first < end; first += blockElements) {
    const last = Math.min(end, first + blockElements);
    let part = 0;
    for (let k = first; k < last; k++) if (k !== top) part += v[k];
    const next = sum + part;
    correction += sumError(sum, part, next);
    sum = next;
  }
  return corrected(sum, correction);
}

/** `out = (t − ⟨exp(y), t⟩) / T` over each row. */
export function logSoftmaxJvp(
  out: FloatArray,
  logProbabilities: FloatArray,
  tangent: FloatArray,
  rows: Rows,
  { temperature }: DerivativeParameters,
): void | false {
  if (isFar(temperature)) return false;
  forEachLogRow(out, logProbabilities, tangent, rows, ({ p, v: t }, start, end, top, isDouble) => {
    let origin = top < 0 ? 0 : t[top];
    if (isDouble || end - start > blockElements) centredMean(rowSum, p, t, start, end, origin);
    else {
      let sum = 0;
      for (let k = start; k < end; k++) sum += p[k] * (t[k] - origin);
      rowSum.high = sum;
      rowSum.low = 0;
    }
    if (mayBeNear(t[start], rowSum.high) && top < 0 && isNearMean(p, t, start, end, rowSum.high)) {
      // Σ exp(y) is 1 only up to the rounding of y, so that the mean of a large constant in common is off.
      origin = rowSum.high;
      centredMean(rowSum, p, t, start, end, origin);
    }
    if (isDouble && mayOverflow(rowSum.high, origin)) return false;
    const constant = origin + rowSum.high;
    const error = sumError(origin, rowSum.high, constant) + rowSum.low;
    const rest = Number.isFinite(error) ? error : 0;
    for (let k = start; k < end; k++) t[k] = (t[k] - constant - rest) / temperature;
    return true;
  });
}

/** `out[o,i,r,c] = (δ_rc − exp(y_c)) / T`. */
export function logSoftmaxJacobian(
  out: FloatArray,
  logProbabilities: FloatArray,
  rows: Rows,
  { temperature }: DerivativeParameters,
): void | false {
  if (isFar(temperature)) return false;
  const { classes } = rows;
  const y = logScratch(tileLength(rows));
  const p = probabilityScratch(tileLength(rows));
  forEachTile(rows, (tile) => {
    gather(y, logProbabilities, tile, classes);
    exponentiate(p, y, tile.count * classes, out instanceof Float64Array);
    for (let row = 0; row < tile.count; row++) {
      const start = row * classes;
      let to = (tile.row + row) * classes * classes;
      for (let r = 0; r < classes; r++) {
        for (let c = 0; c < classes; c++) out[to + c] = (0 - p[start + c]) / temperature;
        out[to + r] = (0 - Math.expm1(y[start + r])) / temperature;
        to += classes;
      }
    }
  });
}

interface LogTile {
  /** Log-probabilities, probabilities, and the cotangent or tangent that the result replaces. */
  readonly y: Float64Array;
  readonly p: Float64Array;
  readonly v: Float64Array;
}

/**
 * Visits each row of log-probabilities with the index of its entry above 1/2, or −1; then writes `v` to `out`. A row whose sums may overflow, for which
 * `visit` returns false, is visited once more with a small part of its `v`, and without rounding errors, which are NaN where a `v` is infinite.
 */
function forEachLogRow(
  out: FloatArray,
  logProbabilities: FloatArray,
  vector: FloatArray,
  rows: Rows,
  visit: (tile: LogTile, start: number, end: number, top: number, isDouble: boolean) => boolean,
): void {
  const { classes } = rows;
  const isDouble = out instanceof Float64Array;
  const length = tileLength(rows);
  const y = logScratch(length);
  const p = probabilityScratch(length);
  const v = vectorScratch(length);
  forEachTile(rows, (tile: Tile) => {
    gather(y, logProbabilities, tile, classes);
    gather(v, vector, tile, classes);
    exponentiate(p, y, tile.count * classes, isDouble);
    for (let row = 0; row < tile.count; row++) {
      const start = row * classes;
      const end = start + classes;
      const top = indexAboveHalf(p, start, end);
      if (visit({ y, p, v }, start, end, top, isDouble)) continue;
      for (let k = start; k < end; k++) v[k] *= wideShare;
      visit({ y, p, v }, start, end, top, false);
      for (let k = start; k < end; k++) v[k] /= wideShare;
    }
    scatter(out, v, tile, classes);
  });
}

/** What rows whose sums may overflow are multiplied by: no row has 2^32 entries. */
const wideShare = 2 ** -34;

/** `p = exp(y)`, to the precision of the dtype. */
export function exponentiate(p: Float64Array, y: Float64Array, length: number, double: boolean): void {
  if (double) for (let k = 0; k < length; k++) p[k] = expOfFloat64(y[k]);
  else for (let k = 0; k < length; k++) p[k] = expOfFloat32(y[k]);
}
