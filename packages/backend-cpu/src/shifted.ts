import type { Rows, SoftmaxParameters } from '@softgrad/core';
import { expSplit } from './exp-double.js';
import { expSingle, singleLimit } from './exp-single.js';
import { type Pair, quotientError, sumError } from './pair.js';
import { type CpuBuffer, type FloatArray, scratch } from './storage.js';
import { forEachTile, gather, gatherMask, type Tile, tileLength } from './tiles.js';

/**
 * One row of logits shifted by its largest, in a tile's scratch memory from `start` on.
 * The term of the largest entry is exactly 1 and is not part of the sum: a dominant entry has log-probability −log1p(others) and
 * 1 − p = others / (1 + others), and neither cancels.
 */
export interface ShiftedRow {
  readonly tile: Tile;
  /** The row's number in (outer, inner) order, and within its tile. */
  row: number;
  start: number;
  /** x/T − max, as the unevaluated sum `shifted + low`, in units of `unit`; −Infinity where the logit is −Infinity or masked. */
  readonly shifted: Float64Array;
  readonly low: Float64Array;
  /** 1, or `wideUnit` in a row of float64 with finite logits whose x/T − max is not: a loss may be finite where that is not. */
  unit: number;
  /** exp(x/T − max), of float64 split in a head of 27 bits and a rest. */
  readonly exp: Float64Array;
  readonly rests: Float64Array;
  /** Mask of the tile's rows, or null: 0 for masked entries. */
  readonly keep: Uint8Array | null;
  /** Index in the row of the largest entry; its value is `max + maxLow`. NaN where a row without a finite logit has a NaN. */
  top: number;
  max: number;
  maxLow: number;
  /** Σ exp(x/T − max) over all entries but the largest; NaN for a row that has no softmax. */
  others: number;
  /** What rounding took off `others`: 0 for float32. */
  othersLow: number;
}

/** Rests are added up 256 at a time: the sum of more would have rounding errors that count. */
const restMask = 255;

const highScratch = scratch();
const lowScratch = scratch();
const expScratch = scratch();
const restScratch = scratch();

/** Shifts every row of the logits and calls `visit` with it; after a tile's rows, `finish` with the last of them. */
export function forEachShiftedRow(
  logits: FloatArray,
  rows: Rows,
  { temperature, mask }: SoftmaxParameters<CpuBuffer>,
  visit: (row: ShiftedRow) => void,
  finish?: (lastRow: ShiftedRow) => void,
): void {
  const { classes } = rows;
  const length = tileLength(rows);
  const double = logits instanceof Float64Array;
  const shifted = highScratch(length);
  const low = double ? lowScratch(length) : shifted;
  const exp = expScratch(length);
  const rests = double ? restScratch(length) : exp;
  const keep = mask ? new Uint8Array(length) : null;
  forEachTile(rows, (tile) => {
    gather(shifted, logits, tile, classes);
    if (mask && keep) gatherMask(keep, mask, tile, rows);
    const elements = tile.count * classes;
    if (temperature < 0) for (let k = 0; k < elements; k++) shifted[k] = -shifted[k];
    if (keep) for (let k = 0; k < elements; k++) if (keep[k] === 0) shifted[k] = Number.NEGATIVE_INFINITY;
    const row: ShiftedRow = {
      tile,
      row: tile.row,
      start: 0,
      shifted,
      low,
      unit: 1,
      exp,
      rests,
      keep,
      top: 0,
      max: 0,
      maxLow: 0,
      others: 0,
      othersLow: 0,
    };
    for (let r = 0; r < tile.count; r++) {
      row.row = tile.row + r;
      row.start = r * classes;
      if (double) shiftDouble(row, logits, classes, temperature);
      else shiftSingle(row, classes, Math.abs(temperature));
      visit(row);
    }
    finish?.(row);
  });
}

/** Writes `value` to masked entries, which have this value even in a row that is otherwise NaN. */
export function fillMasked(values: Float64Array, { keep, start }: ShiftedRow, classes: number, value: number): void {
  if (keep) for (let k = start; k < start + classes; k++) if (keep[k] === 0) values[k] = value;
}

/** Whether the mask keeps no entry of the row. */
export function isEmpty({ keep, start }: ShiftedRow, classes: number): boolean {
  if (!keep) return false;
  for (let k = start; k < start + classes; k++) if (keep[k] !== 0) return false;
  return true;
}

/** Shifts a row of float32 logits: float64 arithmetic has 29 bits to spare, so nothing needs correcting. */
function shiftSingle(row: ShiftedRow, classes: number, temperature: number): void {
  const { shifted, exp, start } = row;
  const end = start + classes;
  const top = indexOfLargest(shifted, start, end);
  const max = shifted[top];
  row.top = top - start;
  row.max = max / temperature;
  row.maxLow = 0;
  if (!Number.isFinite(max)) {
    shiftNothing(row, classes);
    return;
  }
  let others = 0;
  for (let k = start; k < end; k++) {
    const x = temperature === 1 ? shifted[k] - max : (shifted[k] - max) / temperature;
    const e = x < -singleLimit ? 0 : expSingle(x);
    shifted[k] = x;
    exp[k] = e;
    if (k !== top) others += e;
  }
  exp[top] = 1;
  row.others = others;
}

function indexOfLargest(values: Float64Array, start: number, end: number): number {
  let top = start;
  let max = Number.NEGATIVE_INFINITY;
  for (let k = start; k < end; k++) {
    if (values[k] > max) {
      max = values[k];
      top = k;
    }
  }
  return top;
}

/**
 * Shifts a row of float64 logits: x − max is rounded, which at a gap of 40 is an error of up to 32 ULP of its exp, so the rounding
 * error (Knuth's TwoSum, TAOCP 4.2.2) is carried along. The sum of the others is compensated in the same way and includes the rounding errors
 * of its terms. The largest entry's 1 is not part of the sum, because small terms would be lost by adding them to it.
 */
function shiftDouble(row: ShiftedRow, logits: FloatArray, classes: number, temperature: number): void {
  const { shifted, low, exp, rests, start } = row;
  const end = start + classes;
  const top = indexOfLargest(shifted, start, end);
  const max = shifted[top];
  row.top = top - start;
  row.max = max;
  row.maxLow = 0;
  row.unit = 1;
  if (!Number.isFinite(max)) {
    shiftNothing(row, classes);
    return;
  }
  const divisor = Math.abs(temperature);
  const isOne = divisor === 1;
  let isWide = false;
  let sum = 0;
  let correction = 0;
  for (let k = start; k < end; k++) {
    const x = shifted[k];
    let difference = x - max;
    let error = sumError(x, -max, difference);
    if (!isOne) {
      const quotient = difference / divisor;
      error = quotientError(difference, error, divisor, quotient);
      difference = quotient;
    }
    shifted[k] = difference;
    if (difference < -746) {
      exp[k] = 0;
      rests[k] = 0;
      low[k] = Number.isFinite(error) ? error : 0;
      if (difference === Number.NEGATIVE_INFINITY && x !== difference) isWide = true;
      continue;
    }
    low[k] = error;
    const rest = expSplit(exp, k, difference, error);
    rests[k] = rest;
    if (k === top) continue;
    const next = sum + exp[k];
    correction += sumError(sum, exp[k], next) + rest;
    sum = next;
    if ((k & restMask) === restMask) {
      sum += correction;
      correction -= sum - next;
    }
  }
  exp[top] = 1;
  row.others = sum + correction;
  row.othersLow = correction - (row.others - sum);
  row.max = max / divisor;
  const error = quotientError(max, 0, divisor, row.max);
  row.maxLow = Number.isFinite(error) ? error : 0;
  if (isWide) widen(row, logits, classes, temperature);
}

/** In this unit quotients by any temperature that kernels take are finite. */
const wideUnit = 2 ** 66;

/** x/T − max of a row again, in the wide unit, from quarters of the logits, whose differences are finite. Masked entries have no use. */
function widen(row: ShiftedRow, logits: FloatArray, classes: number, temperature: number): void {
  const { tile, shifted, low, start } = row;
  const from = tile.base + (row.row - tile.row) * tile.step;
  const share = temperature < 0 ? -1 / 4 : 1 / 4;
  const divisor = (Math.abs(temperature) * wideUnit) / 4;
  const max = share * logits[from + row.top * tile.stride];
  row.unit = wideUnit;
  for (let c = 0, k = start; c < classes; c++, k++) {
    const x = share * logits[from + c * tile.stride];
    const difference = x - max;
    const quotient = difference / divisor;
    const error = quotientError(difference, sumError(x, -max, difference), divisor, quotient);
    shifted[k] = quotient;
    low[k] = Number.isFinite(error) ? error : 0;
  }
}

/** Makes `exp` the exponentials as rounded, in float64 too. */
export function joinExponentials({ exp, rests, start }: ShiftedRow, classes: number): void {
  if (rests !== exp) for (let k = start; k < start + classes; k++) exp[k] += rests[k];
}

/** The sum of the row's exponentials. */
export function totalOf({ others, othersLow }: ShiftedRow): Pair {
  const high = 1 + others;
  return { high, low: sumError(1, others, high) + othersLow };
}

/** A row with +Infinity, or without a finite logit, has no softmax. Its maximum is NaN if one of its logits is NaN. */
function shiftNothing(row: ShiftedRow, classes: number): void {
  const { shifted, exp, start } = row;
  const end = start + classes;
  for (let k = start; k < end; k++) if (Number.isNaN(shifted[k])) row.max = Number.NaN;
  shifted.fill(Number.NaN, start, end);
  exp.fill(Number.NaN, start, end);
  row.others = Number.NaN;
  row.othersLow = 0;
}
