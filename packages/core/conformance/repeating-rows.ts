import type { HostArray, Rows } from '../src/index.js';
import { cycledTo } from './inputs.js';

/** Fewer rows are not searched for a period. */
const many = 1024;

/** The longest period that is searched for. */
const longest = 64;

/**
 * The result of a function of rows. Of many rows that repeat, as in the cases about their number, one period is computed: all would take seconds in
 * double-double arithmetic.
 *
 * @param operands with an entry for each logit or for each row
 * @param compute the function of these rows or of one period: an entry for each logit, a number for each row, or a matrix for each row
 */
export function ofRepeatingRows(
  operands: readonly HostArray[],
  rows: Rows,
  compute: (operands: readonly HostArray[], rows: Rows) => Float64Array,
): Float64Array {
  const { outer, classes, inner } = rows;
  const period = periodOf(operands, rows);
  if (period === null) return compute(operands, rows);
  const few = inner === 1 ? { outer: period, classes, inner } : { outer, classes, inner: period };
  const firstOf = (values: HostArray) => {
    const first = values.slice(0, (values.length / numberOf(rows)) * period);
    copyLines(values, rows, first, few);
    return first;
  };
  const once = compute(operands.map(firstOf), few);
  const all = new Float64Array((once.length / period) * numberOf(rows));
  copyLines(once, few, all, rows);
  return all;
}

/** The smallest number of rows after which all operands repeat, or null. */
function periodOf(operands: readonly HostArray[], rows: Rows): number | null {
  const count = numberOf(rows);
  const isInLine = rows.inner === 1 || rows.outer === 1;
  const isWhole = operands.every(({ length }) => length === count || length === count * rows.classes);
  if (count < many || !isInLine || !isWhole) return null;
  // One row of rows side by side would be contiguous.
  for (let period = Math.min(rows.inner, 2); period <= longest; period++) {
    if (operands.every((values) => repeats(values, linesOf(values, rows), period))) return period;
  }
  return null;
}

function repeats(values: HostArray, { length, step }: Lines, period: number): boolean {
  const distance = period * step;
  for (let start = 0; start < values.length; start += length) {
    for (let i = start + distance; i < start + length; i++) {
      // −0 is not 0 here.
      if (!Object.is(values[i], values[i - distance])) return false;
    }
  }
  return true;
}

/** Fills each line of an array with as much of a line of another array as it takes, over and over. */
function copyLines(from: HostArray, fromRows: Rows, to: HostArray, toRows: Rows): void {
  const { length } = linesOf(from, fromRows);
  const target = linesOf(to, toRows).length;
  for (let line = 0; line * length < from.length; line++) {
    to.set(cycledTo(target, from.subarray(line * length, (line + 1) * length)), line * target);
  }
}

/** The parts of an array in which the numbers of a row follow those of the row before. */
interface Lines {
  readonly length: number;
  /** How many numbers a row has in a line. */
  readonly step: number;
}

/** Rows side by side have a line for each class. */
function linesOf({ length }: HostArray, rows: Rows): Lines {
  const count = numberOf(rows);
  const perRow = length / count;
  return rows.inner > 1 && perRow === rows.classes ? { length: count, step: 1 } : { length, step: perRow };
}

function numberOf({ outer, inner }: Rows): number {
  return outer * inner;
}
