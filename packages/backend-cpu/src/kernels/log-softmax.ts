import type { Rows, SoftmaxParameters } from '@softgrad/core';
import { rowsPerBlock, sum, sumOfOthers } from '../blocks.js';
import { expOfFloat64 } from '../exp-double.js';
import { expAndSum, expOfFloat32, unitOf } from '../exp-single.js';
import { fillMasked, forEachShiftedRow } from '../shifted.js';
import { type CpuBuffer, type FloatArray, scratch } from '../storage.js';
import { forEachTile, gather, scatter, type Tile, tileLength } from '../tiles.js';

const expScratch = scratch();
const logScratch = scratch();
const probabilityScratch = scratch();
const vectorScratch = scratch();

/** `out = x/T − log Σ exp(x/T)`. */
export function logSoftmax(
  out: FloatArray,
  logits: FloatArray,
  rows: Rows,
  parameters: SoftmaxParameters<CpuBuffer>,
): void {
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
  const exp = expScratch(classes * Math.min(perBlock, outer));
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

/** The index of an element above `bound`, or −1. */
function indexAbove(values: Float64Array, from: number, length: number, bound: number): number {
  const end = (from + length) | 0;
  for (let k = from; k < end; k++) if (values[k] > bound) return k;
  return -1;
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
      const { shifted, low, start, others, empty } = row;
      const end = start + classes;
      if (empty) {
        shifted.fill(Number.NEGATIVE_INFINITY, start, end);
        return;
      }
      const log = Math.log1p(others);
      if (shifted === low) for (let k = start; k < end; k++) shifted[k] -= log;
      else for (let k = start; k < end; k++) shifted[k] = shifted[k] - log + low[k];
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
  temperature: number,
): void {
  forEachLogRow(out, logProbabilities, cotangent, rows, ({ y, p, v: g }, start, end, top) => {
    let others = 0;
    for (let k = start; k < end; k++) if (k !== top) others += g[k];
    const total = top < 0 ? others : others + g[top];
    for (let k = start; k < end; k++) {
      // g − p Σ g cancels where p is nearly 1; there it is (1 − p) Σ g less the other entries' g.
      if (k === top) g[k] = (-Math.expm1(y[k]) * total - others) / temperature;
      else g[k] = (g[k] - p[k] * total) / temperature;
    }
  });
}

/** `out = (t − ⟨exp(y), t⟩) / T` over each row. */
export function logSoftmaxJvp(
  out: FloatArray,
  logProbabilities: FloatArray,
  tangent: FloatArray,
  rows: Rows,
  temperature: number,
): void {
  forEachLogRow(out, logProbabilities, tangent, rows, ({ p, v: t }, start, end, top) => {
    const origin = top < 0 ? 0 : t[top];
    let mean = 0;
    for (let k = start; k < end; k++) mean += p[k] * (t[k] - origin);
    for (let k = start; k < end; k++) t[k] = (t[k] - origin - mean) / temperature;
  });
}

/** `out[o,i,r,c] = (δ_rc − exp(y_c)) / T`. */
export function logSoftmaxJacobian(
  out: FloatArray,
  logProbabilities: FloatArray,
  rows: Rows,
  temperature: number,
): void {
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

/** Visits each row of log-probabilities with the index of its entry above 1/2, or −1; then writes `v` to `out`. */
function forEachLogRow(
  out: FloatArray,
  logProbabilities: FloatArray,
  vector: FloatArray,
  rows: Rows,
  visit: (tile: LogTile, start: number, end: number, top: number) => void,
): void {
  const { classes } = rows;
  const length = tileLength(rows);
  const y = logScratch(length);
  const p = probabilityScratch(length);
  const v = vectorScratch(length);
  forEachTile(rows, (tile: Tile) => {
    gather(y, logProbabilities, tile, classes);
    gather(v, vector, tile, classes);
    exponentiate(p, y, tile.count * classes, out instanceof Float64Array);
    for (let row = 0; row < tile.count; row++) {
      const start = row * classes;
      const end = start + classes;
      let top = -1;
      for (let k = start; k < end; k++) if (p[k] > 0.5) top = k;
      visit({ y, p, v }, start, end, top);
    }
    scatter(out, v, tile, classes);
  });
}

/** `p = exp(y)`, to the precision of the dtype. */
export function exponentiate(p: Float64Array, y: Float64Array, length: number, double: boolean): void {
  if (double) for (let k = 0; k < length; k++) p[k] = expOfFloat64(y[k]);
  else for (let k = 0; k < length; k++) p[k] = expOfFloat32(y[k]);
}
