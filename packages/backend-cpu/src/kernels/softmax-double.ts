import { expSplits } from '../exp-double.js';
import type { Pair } from '../pair.js';
import { addSplits, divide, divideShort } from '../splits.js';
import { scratch } from '../storage.js';
import type { Keep } from '../tiles.js';
import { hardRows } from './softmax-double-hard.js';

/** Rows longer than this have their exponentials taken twice rather than stored. */
export const longRow = 2 ** 17;
/** Rows shorter than this have the exponentials of a block taken in one loop: theirs is too short to start one each. */
export const shortRow = 16;
/** Elements of a block of short rows, whose exponentials and their rests stay in the first-level cache until they are divided. */
export const blockElements = 1024;

const expScratch = scratch();
const restScratch = scratch();
// Of one length for good, as in softmax-single.
const blockScratch = new Float64Array(blockElements);
const blockRestScratch = new Float64Array(blockElements);

/**
 * Softmax of contiguous rows of float64, within 0.53 ULP down to 1e-300. Exponentials, their sum and a quotient that are rounded each would add up
 * to 3, since half an ULP of a number just above a power of 2 is a whole one just below it. So exponentials are split in two (see
 * `expSplits`), their sum is compensated, and what is rounded is the result alone.
 */
export function softmaxDouble(
  out: Float64Array,
  logits: Float64Array,
  outer: number,
  classes: number,
  temperature: number,
  keep: Keep | null,
): void {
  if (keep || temperature !== 1) hardRows(out, logits, 0, outer, classes, temperature, keep);
  else if (classes < shortRow) shortRows(out, logits, outer, classes);
  else rows(out, logits, outer, classes);
}

function rows(out: Float64Array, x: Float64Array, outer: number, classes: number): void {
  const part = Math.min(longRow, classes);
  const exp = expScratch(part);
  const rests = restScratch(part);
  const total: Pair = { high: 0, low: 0 };
  const end = outer * classes;
  for (let start = 0; start < end; start += classes) {
    if (!sumOfExp(total, exp, rests, x, start, classes, part)) {
      hardRows(out, x, start / classes, 1, classes, 1, null);
      continue;
    }
    if (part === classes) {
      divide(out, start, exp, rests, classes, total);
      continue;
    }
    for (let k = start; k < start + classes; k += part) {
      const length = Math.min(part, start + classes - k);
      expSplits(exp, rests, x, k, length);
      divide(out, k, exp, rests, length, total);
    }
  }
}

/** The sum of a row's exponentials, which stay in `exp` and `rests` where the row is one part; false where an x is too large for that. */
function sumOfExp(
  total: Pair,
  exp: Float64Array,
  rests: Float64Array,
  x: Float64Array,
  start: number,
  classes: number,
  part: number,
): boolean {
  total.high = 0;
  total.low = 0;
  for (let k = start; k < start + classes; k += part) {
    const length = Math.min(part, start + classes - k);
    if (!expSplits(exp, rests, x, k, length)) return false;
    addSplits(total, exp, rests, length);
  }
  return true;
}

function shortRows(out: Float64Array, x: Float64Array, outer: number, classes: number): void {
  const rowsPerBlock = Math.floor(blockElements / classes);
  const exp = blockScratch;
  const rests = blockRestScratch;
  for (let row = 0; row < outer; row += rowsPerBlock) {
    const count = Math.min(rowsPerBlock, outer - row);
    const start = row * classes;
    const length = count * classes;
    if (expSplits(exp, rests, x, start, length)) divideShort(out, start, exp, rests, length, classes);
    else hardRows(out, x, row, count, classes, 1, null);
  }
}
