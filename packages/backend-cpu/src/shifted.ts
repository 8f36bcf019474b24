import type { Rows, SoftmaxParameters } from '@softgrad/core';
import { expSplit } from './exp-double.js';
import { expSingle, singleLimit } from './exp-single.js';
import { type Pair, productError, sumError } from './pair.js';
import {
  inWideUnits,
  quotientOf,
  quotientRest,
  type ScaledTemperature,
  scaledTemperature,
  wideUnit,
} from './scaled-temperature.js';
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
  /** 1, or 2^64 in a row of float64 with finite logits whose x/T − max is not: a loss may be finite where that is not. */
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
  const size = scaledTemperature(temperature);
  const wideTemperature = inWideUnits(size);
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
      if (double) {
        if (!shiftDouble(row, classes, size, 1)) {
          refill(row, logits, classes, temperature);
          shiftDouble(row, classes, wideTemperature, wideUnit);
        }
      } else shiftSingle(row, classes, Math.abs(temperature));
      visit(row);
    }
    finish?.(row);
  });
}

/** A row's logits again, with the sign of the temperature, −Infinity where they are masked. */
function refill(
  { tile, row, shifted, keep, start }: ShiftedRow,
  logits: FloatArray,
  classes: number,
  temperature: number,
): void {
  const from = tile.base + (row - tile.row) * tile.step;
  const sign = temperature < 0 ? -1 : 1;
  for (let c = 0; c < classes; c++) {
    const isKept = keep === null || keep[start + c] !== 0;
    shifted[start + c] = isKept ? sign * logits[from + c * tile.stride] : Number.NEGATIVE_INFINITY;
  }
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
 *
 * Returns false if x/T − max of a finite logit overflows; some of the logits are then overwritten.
 */
function shiftDouble(row: ShiftedRow, classes: number, temperature: ScaledTemperature, unit: number): boolean {
  const { shifted, low, exp, rests, start } = row;
  const end = start + classes;
  const top = indexOfLargest(shifted, start, end);
  const max = shifted[top];
  row.top = top - start;
  row.max = max;
  row.maxLow = 0;
  row.unit = unit;
  if (!Number.isFinite(max)) {
    shiftNothing(row, classes);
    return true;
  }
  if (temperature.isOrdinary) {
    // `subtract` and `exponentiateRow` in one loop. It is not a function of its own, because V8 would inline that and then leave calls in the loop, which
    // takes up to 1.8 times as long.
    const { divisor } = temperature;
    const isOne = divisor === 1;
    let sum = 0;
    let correction = 0;
    for (let k = start; k < end; k++) {
      const x = shifted[k];
      let difference = x - max;
      let error = sumError(x, -max, difference);
      if (!isOne) {
        const quotient = difference / divisor;
        const product = quotient * divisor;
        error = (difference - product - productError(quotient, divisor, product) + error) / divisor;
        difference = quotient;
      }
      shifted[k] = difference;
      if (difference < -746) {
        exp[k] = 0;
        rests[k] = 0;
        if (difference === Number.NEGATIVE_INFINITY && x !== difference) return false;
        low[k] = Number.isFinite(error) ? error : 0;
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
    setOthers(row, sum, correction);
  } else {
    if (!subtract(row, classes, max, temperature, unit === 1)) return false;
    exponentiateRow(row, classes);
  }
  const most = max * temperature.share;
  const quotient = quotientOf(most, temperature);
  row.max = quotient * unit;
  row.maxLow = quotientRest(most, 0, temperature, quotient) * unit;
  return true;
}

/** `shifted + low = (x − max) / |T|`; false, where `stops`, as soon as that overflows for a finite x. */
function subtract(
  { shifted, low, start }: ShiftedRow,
  classes: number,
  max: number,
  temperature: ScaledTemperature,
  stops: boolean,
): boolean {
  const most = max * temperature.share;
  for (let k = start; k < start + classes; k++) {
    const x = shifted[k] * temperature.share;
    const difference = x - most;
    const quotient = quotientOf(difference, temperature);
    shifted[k] = quotient;
    low[k] = 0;
    if (quotient === Number.NEGATIVE_INFINITY) {
      if (stops && x !== quotient) return false;
      continue;
    }
    low[k] = quotientRest(difference, sumError(x, -most, difference), temperature, quotient);
  }
  return true;
}

function exponentiateRow(row: ShiftedRow, classes: number): void {
  const { shifted, low, exp, rests, start, unit } = row;
  const top = start + row.top;
  let sum = 0;
  let correction = 0;
  for (let k = start; k < start + classes; k++) {
    const difference = shifted[k] * unit;
    if (difference < -746) {
      exp[k] = 0;
      rests[k] = 0;
      continue;
    }
    const rest = expSplit(exp, k, difference, low[k] * unit);
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
  setOthers(row, sum, correction);
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

function setOthers(row: ShiftedRow, sum: number, correction: number): void {
  row.others = sum + correction;
  row.othersLow = correction - (row.others - sum);
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
