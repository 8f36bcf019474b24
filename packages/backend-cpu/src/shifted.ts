import type { Rows, SoftmaxParameters } from '@softgrad/core';
import { expPair } from './exp-double.js';
import { expSingle, singleLimit } from './exp-single.js';
import { productError, sumError } from './pair.js';
import { type CpuBuffer, type FloatArray, scratch } from './storage.js';
import { forEachTile, gather, gatherMask, type Tile, tileLength } from './tiles.js';

/**
 * One row of logits shifted by its largest, in a tile's scratch memory from `start` on.
 * The largest entry's own term is exactly 1 and kept out of the sum: what dominates a row has log-probability
 * −log1p(others) and 1 − p = others / (1 + others), neither of which cancels.
 */
export interface ShiftedRow {
  readonly tile: Tile;
  /** The row's number in (outer, inner) order, and within its tile. */
  row: number;
  start: number;
  /** x/T − max, as the unevaluated sum `shifted + low`; −Infinity where the logit is −Infinity or masked. */
  readonly shifted: Float64Array;
  readonly low: Float64Array;
  /** exp(shifted + low). */
  readonly exp: Float64Array;
  /** Mask of the tile's rows, or null: 0 where an entry does not exist. */
  readonly keep: Uint8Array | null;
  /** Index in the row of the largest entry; its value is `max + maxLow`. NaN where a row without a finite logit has a NaN. */
  top: number;
  max: number;
  maxLow: number;
  /** Σ exp(x/T − max) over all entries but the largest; NaN for a row that has no softmax. */
  others: number;
  /** The mask keeps no entry of this row. */
  empty: boolean;
}

const highScratch = scratch();
const lowScratch = scratch();
const expScratch = scratch();

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
  const keep = mask ? new Uint8Array(length) : null;
  forEachTile(rows, (tile) => {
    gather(shifted, logits, tile, classes);
    if (mask && keep) gatherMask(keep, mask, tile, rows);
    const elements = tile.count * classes;
    if (double) divideDouble(shifted, low, elements, temperature);
    else if (temperature !== 1) for (let k = 0; k < elements; k++) shifted[k] /= temperature;
    if (keep) for (let k = 0; k < elements; k++) if (keep[k] === 0) shifted[k] = Number.NEGATIVE_INFINITY;
    const row: ShiftedRow = {
      tile,
      row: tile.row,
      start: 0,
      shifted,
      low,
      exp,
      keep,
      top: 0,
      max: 0,
      maxLow: 0,
      others: 0,
      empty: false,
    };
    for (let r = 0; r < tile.count; r++) {
      row.row = tile.row + r;
      row.start = r * classes;
      if (double) shiftDouble(row, classes);
      else shiftSingle(row, classes);
      row.empty = row.max === Number.NEGATIVE_INFINITY && keep !== null && isEmpty(keep, row.start, classes);
      visit(row);
    }
    finish?.(row);
  });
}

/** Writes `value` where the mask has no entry: such an entry is that even in a row that is otherwise NaN. */
export function fillMasked(values: Float64Array, { keep, start }: ShiftedRow, classes: number, value: number): void {
  if (keep) for (let k = start; k < start + classes; k++) if (keep[k] === 0) values[k] = value;
}

function isEmpty(keep: Uint8Array, start: number, classes: number): boolean {
  return !keep.subarray(start, start + classes).includes(1);
}

/** Shifts a row of float32 logits: float64 arithmetic has 29 bits to spare, so nothing needs correcting. */
function shiftSingle(row: ShiftedRow, classes: number): void {
  const { shifted, exp, start } = row;
  const end = start + classes;
  let max = Number.NEGATIVE_INFINITY;
  let top = start;
  for (let k = start; k < end; k++) {
    if (shifted[k] > max) {
      max = shifted[k];
      top = k;
    }
  }
  row.top = top - start;
  row.max = max;
  row.maxLow = 0;
  if (!Number.isFinite(max)) {
    shiftNothing(row, classes);
    return;
  }
  let others = 0;
  for (let k = start; k < end; k++) {
    const x = shifted[k] - max;
    const e = x < -singleLimit ? 0 : expSingle(x);
    shifted[k] = x;
    exp[k] = e;
    if (k !== top) others += e;
  }
  exp[top] = 1;
  row.others = others;
}

/**
 * Shifts a row of float64 logits: x − max is rounded, which at a gap of 40 is an error of up to 32 ULP of its exp, so the rounding
 * error (Knuth's TwoSum, TAOCP 4.2.2) goes along. The sum of the others is compensated in the same way, and takes in what the
 * terms' rounding took off them. The largest entry's 1 stays out of it: beside it nothing would be left of small ones.
 */
function shiftDouble(row: ShiftedRow, classes: number): void {
  const { shifted, low, exp, start } = row;
  const end = start + classes;
  let max = Number.NEGATIVE_INFINITY;
  let maxLow = 0;
  let top = start;
  for (let k = start; k < end; k++) {
    if (shifted[k] > max || (shifted[k] === max && low[k] > maxLow)) {
      max = shifted[k];
      maxLow = low[k];
      top = k;
    }
  }
  row.top = top - start;
  row.max = max;
  row.maxLow = maxLow;
  if (!Number.isFinite(max)) {
    shiftNothing(row, classes);
    return;
  }
  let sum = 0;
  let correction = 0;
  for (let k = start; k < end; k++) {
    const x = shifted[k];
    const difference = x - max;
    shifted[k] = difference;
    if (difference === Number.NEGATIVE_INFINITY) {
      low[k] = 0;
      exp[k] = 0;
      continue;
    }
    const error = sumError(x, -max, difference) + (low[k] - maxLow);
    low[k] = error;
    if (difference < -746) {
      exp[k] = 0;
      continue;
    }
    const rest = expPair(exp, k, difference, error);
    if (k === top) continue;
    const next = sum + exp[k];
    correction += sumError(sum, exp[k], next) + rest;
    sum = next;
  }
  exp[top] = 1;
  row.others = sum + correction;
}

/** A row with +Infinity, or without a finite logit, has no softmax. Its maximum is NaN where one of its logits is. */
function shiftNothing(row: ShiftedRow, classes: number): void {
  const { shifted, exp, start } = row;
  const end = start + classes;
  for (let k = start; k < end; k++) if (Number.isNaN(shifted[k])) row.max = Number.NaN;
  shifted.fill(Number.NaN, start, end);
  exp.fill(Number.NaN, start, end);
  row.others = Number.NaN;
}

/** `high + low = high / temperature`. */
function divideDouble(high: Float64Array, low: Float64Array, elements: number, temperature: number): void {
  if (temperature === 1) {
    low.fill(0, 0, elements);
    return;
  }
  for (let k = 0; k < elements; k++) {
    const x = high[k];
    const quotient = x / temperature;
    const product = quotient * temperature;
    const remainder = (x - product - productError(quotient, temperature, product)) / temperature;
    high[k] = quotient;
    // Not finite where splitting overflows, which it does only far from where a remainder could matter.
    low[k] = Number.isFinite(remainder) ? remainder : 0;
  }
}
