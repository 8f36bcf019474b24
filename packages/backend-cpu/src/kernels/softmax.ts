import type { Rows, SoftmaxParameters } from '@softgrad/core';
import { reciprocal } from '../pair.js';
import { scatter } from '../rows.js';
import { fillMasked, forEachShiftedRow } from '../shifted.js';
import { type CpuBuffer, type FloatArray, scratch } from '../storage.js';
import { expOfSingle, rowsPerBlock, scale, sum } from '../unshifted.js';
import { softmaxDouble } from './softmax-double.js';

/** Rows longer than this have their exponentials taken twice rather than stored. */
const longRow = 2 ** 17;

const plain: SoftmaxParameters<CpuBuffer> = { temperature: 1, mask: null };
const expScratch = scratch();

/**
 * Softmax over the middle dimension.
 *
 * A shift guards exp against overflow and nothing else. Four logits whose squares add up to less than 680² are safe without one
 * in float64's range, so rows are first tried unshifted: no search for a maximum, no x − max to be rounded, and exp runs over a
 * block of rows as over one array. Rows for which this does not hold (logits beyond ±340, −Infinity, NaN) are shifted.
 */
export function softmax(out: FloatArray, logits: FloatArray, rows: Rows): void {
  if (rows.inner !== 1) softmaxWith(out, logits, rows, plain);
  else if (out instanceof Float32Array && logits instanceof Float32Array) softmaxSingle(out, logits, rows);
  else if (out instanceof Float64Array && logits instanceof Float64Array) {
    const { outer, classes } = rows;
    softmaxDouble(out, logits, outer, classes, (start, count) => shiftRows(out, logits, start, count, classes));
  }
}

/** Softmax of logits/temperature over the entries that the mask keeps. */
export function softmaxWith(
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
      const probabilities = row.exp;
      if (row.empty) {
        probabilities.fill(0, row.start, row.start + classes);
        return;
      }
      const { high, low } = reciprocal(row.total);
      for (let k = row.start; k < row.start + classes; k++) {
        const e = probabilities[k];
        probabilities[k] = e * high + e * low;
      }
      fillMasked(probabilities, row, classes, 0);
    },
    ({ exp, tile }) => scatter(out, exp, tile, classes),
  );
}

function softmaxSingle(out: Float32Array, logits: Float32Array, { outer, classes }: Rows): void {
  const perBlock = rowsPerBlock(classes);
  const exp = expScratch(Math.min(longRow, classes * Math.min(perBlock, outer)));
  for (let row = 0; row < outer; row += perBlock) {
    const count = Math.min(perBlock, outer - row);
    const start = row * classes;
    if (classes > longRow) {
      if (!softmaxLongSingle(out, logits, start, classes, exp)) shiftRows(out, logits, start, 1, classes);
    } else if (expOfSingle(exp, logits, start, count * classes)) {
      scaleSingle(out, exp, start, count, classes);
    } else {
      shiftRows(out, logits, start, count, classes);
    }
  }
}

/** The rows of a block that exp without a shift could overflow. */
function shiftRows(out: FloatArray, logits: FloatArray, start: number, count: number, classes: number): void {
  const end = start + count * classes;
  softmaxWith(out.subarray(start, end), logits.subarray(start, end), { outer: count, classes, inner: 1 }, plain);
}

/** Divides each row of `exp` by its sum, into `out` from `start` on. */
function scaleSingle(out: Float32Array, exp: Float64Array, start: number, count: number, classes: number): void {
  if (classes < 8) {
    scaleShort(out, exp, start, count, classes);
    return;
  }
  for (let row = 0; row < count; row++) {
    const first = row * classes;
    scale(out, exp, start + first, first, classes, 1 / sum(exp, first, classes));
  }
}

/** The same for rows so short that calls and unrolled loops cost more than they save. */
function scaleShort(out: Float32Array, exp: Float64Array, start: number, count: number, classes: number): void {
  const end = count * classes;
  for (let first = 0; first < end; first += classes) {
    let total = exp[first];
    for (let k = first + 1; k < first + classes; k++) total += exp[k];
    const factor = 1 / total;
    for (let k = first; k < first + classes; k++) out[start + k] = exp[k] * factor;
  }
}

/** A row whose exponentials would fill the cache: once for their sum, once more for the probabilities. */
function softmaxLongSingle(
  out: Float32Array,
  x: Float32Array,
  start: number,
  classes: number,
  exp: Float64Array,
): boolean {
  let total = 0;
  for (let k = 0; k < classes; k += longRow) {
    const length = Math.min(longRow, classes - k);
    if (!expOfSingle(exp, x, start + k, length)) return false;
    total += sum(exp, 0, length);
  }
  for (let k = 0; k < classes; k += longRow) {
    const length = Math.min(longRow, classes - k);
    expOfSingle(exp, x, start + k, length);
    scale(out, exp, start + k, 0, length, 1 / total);
  }
  return true;
}
