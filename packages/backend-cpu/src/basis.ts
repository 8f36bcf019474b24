import type { Basis, BinaryOp, Extent, Operand, ReduceOp, Rows, UnaryOp } from '@softgrad/core';
import { expPair } from './exp-double.js';
import { type Elements, elementsOf, type Intermediate, lowAt, write } from './intermediate.js';
import { forEachRun, lowsOf, startOf, type View, viewOf } from './operand-view.js';
import { type Pair, sumError } from './pair.js';
import { pairLoops } from './pair-loops.js';
import type { CpuBuffer } from './storage.js';

type Buffer = CpuBuffer | Intermediate;

/**
 * The primitives from which core composes operations without a kernel. Arithmetic is float64, or that of pairs of float64 where a buffer has them; results
 * are rounded when they are stored.
 */
export const basis: Basis<Buffer> = { unary, binary, reduce, select, transpose };

function unary(out: Buffer, op: UnaryOp, x: Buffer, length: number): void {
  const to = elementsOf(out);
  const from = elementsOf(x);
  for (let k = 0; k < length; k++) {
    const a = from.high[k];
    const low = lowAt(from, k);
    if (op === 'neg') write(to, k, -a, -low);
    else if (op === 'log') write(to, k, Math.log(a), low / a);
    else {
      const rest = expPair(exponential, 0, a, low);
      write(to, k, exponential[0], rest);
    }
  }
}

const exponential = new Float64Array(1);

/** Writes the results of `out` from k to `end`, of operands from x[i] and y[j] on in steps of di and dj. */
type BinaryLoop = (
  out: CpuBuffer,
  k: number,
  end: number,
  x: ArrayLike<number>,
  i: number,
  di: number,
  y: ArrayLike<number>,
  j: number,
  dj: number,
) => void;

/** A loop for each: one that calls different functions takes ten times as long. */
const binaryLoops: Readonly<Record<BinaryOp, BinaryLoop>> = {
  add(out, k, end, x, i, di, y, j, dj) {
    for (; k < end; i += di, j += dj) out[k++] = x[i] + y[j];
  },
  sub(out, k, end, x, i, di, y, j, dj) {
    for (; k < end; i += di, j += dj) out[k++] = x[i] - y[j];
  },
  mul(out, k, end, x, i, di, y, j, dj) {
    for (; k < end; i += di, j += dj) out[k++] = x[i] * y[j];
  },
  div(out, k, end, x, i, di, y, j, dj) {
    for (; k < end; i += di, j += dj) out[k++] = x[i] / y[j];
  },
  max(out, k, end, x, i, di, y, j, dj) {
    for (; k < end; i += di, j += dj) out[k++] = Math.max(x[i], y[j]);
  },
  min(out, k, end, x, i, di, y, j, dj) {
    for (; k < end; i += di, j += dj) out[k++] = Math.min(x[i], y[j]);
  },
};

function binary(out: Buffer, op: BinaryOp, a: Operand<Buffer>, b: Operand<Buffer>, extent: Extent): void {
  const to = elementsOf(out);
  const x = viewOf(a);
  const y = viewOf(b);
  const loop = binaryLoops[op];
  const ofPairs = to.low !== null || x.low !== null || y.low !== null ? pairLoops[op] : null;
  forEachRun(extent, (k, end, along, o, c) => {
    const [i, di, j, dj] = [startOf(x, o, c), x[along], startOf(y, o, c), y[along]];
    if (ofPairs) ofPairs(to, k, end, x, i, di, y, j, dj);
    else loop(to.high, k, end, x.high, i, di, y.high, j, dj);
  });
}

function reduce(out: Buffer, op: ReduceOp, x: Buffer, { outer, classes, inner }: Rows): void {
  const to = elementsOf(out);
  const from = elementsOf(x);
  const reduceRow = op === 'sum' ? sumOfRow : largestOfRow;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      reduceRow(result, from, o * classes * inner + i, classes, inner);
      write(to, o * inner + i, result.high, result.low);
    }
  }
}

const result: Pair = { high: 0, low: 0 };

function sumOfRow(result: Pair, x: Elements, start: number, classes: number, stride: number): void {
  let high = 0;
  let low = 0;
  for (let c = 0, k = start; c < classes; c++, k += stride) {
    const term = x.high[k];
    const sum = high + term;
    low += sumError(high, term, sum) + lowAt(x, k);
    high = sum;
  }
  result.high = high;
  result.low = low;
}

function largestOfRow(result: Pair, x: Elements, start: number, classes: number, stride: number): void {
  let high = Number.NEGATIVE_INFINITY;
  let low = 0;
  for (let c = 0, k = start; c < classes; c++, k += stride) {
    const value = x.high[k];
    if (value < high || (value === high && lowAt(x, k) <= low) || Number.isNaN(high)) continue;
    high = value;
    low = lowAt(x, k);
  }
  result.high = high;
  result.low = low;
}

function select(out: Buffer, condition: Operand<Buffer>, a: Operand<Buffer>, b: Operand<Buffer>, extent: Extent): void {
  const [viewCondition, viewA, viewB] = [viewOf(condition), viewOf(a), viewOf(b)];
  const { high, low } = elementsOf(out);
  selectElements(high, viewCondition, viewA, viewB, extent);
  if (low !== null) selectElements(low, viewCondition, lowsOf(viewA), lowsOf(viewB), extent);
}

function selectElements(out: CpuBuffer, condition: View, a: View, b: View, extent: Extent): void {
  const keep = condition.high;
  const from = a.high;
  // A mask and a number for what it does not keep.
  const isKept = keep instanceof Uint8Array && b.high.length === 1 && out.length >= leastBits;
  const bits =
    isKept && out instanceof Float32Array && from instanceof Float32Array
      ? [out, from, Float32Array.of(b.high[0])].map(bitsOf)
      : null;
  forEachRun(extent, (k, end, along, o, c) => {
    if (bits && condition[along] === 1 && a[along] === 1) {
      selectBits(bits[0], k, end, keep as Uint8Array, startOf(condition, o, c), bits[1], startOf(a, o, c), bits[2][0]);
      return;
    }
    const step = condition[along];
    const [stepA, stepB] = [a[along], b[along]];
    let at = startOf(condition, o, c);
    let [atA, atB] = [startOf(a, o, c), startOf(b, o, c)];
    for (; k < end; at += step, atA += stepA, atB += stepB)
      out[k++] = condition.high[at] > 0 ? a.high[atA] : b.high[atB];
  });
}

/** Fewer elements are selected in less time than views of their bits are made. */
const leastBits = 512;

function bitsOf({ buffer, byteOffset, length }: Float32Array): Int32Array {
  return new Int32Array(buffer, byteOffset, length);
}

/** `out = keep > 0 ? from : other` from k to `end`, on the bits of float32: a branch would be unpredictable. */
function selectBits(
  out: Int32Array,
  k: number,
  end: number,
  keep: Uint8Array,
  at: number,
  from: Int32Array,
  start: number,
  other: number,
): void {
  const length = end - k;
  let n = 0;
  for (; n < length - 3; n += 4) {
    const i = (at + n) | 0;
    const j = (start + n) | 0;
    const to = (k + n) | 0;
    // `-1 >> 31` has all bits set, `-0 >> 31` none.
    out[to] = ((from[j] ^ other) & (-keep[i] >> 31)) ^ other;
    out[(to + 1) | 0] = ((from[(j + 1) | 0] ^ other) & (-keep[(i + 1) | 0] >> 31)) ^ other;
    out[(to + 2) | 0] = ((from[(j + 2) | 0] ^ other) & (-keep[(i + 2) | 0] >> 31)) ^ other;
    out[(to + 3) | 0] = ((from[(j + 3) | 0] ^ other) & (-keep[(i + 3) | 0] >> 31)) ^ other;
  }
  for (; n < length; n++) out[k + n] = ((from[start + n] ^ other) & (-keep[at + n] >> 31)) ^ other;
}

/** Columns that a transposition writes at once. */
export const transposeBlock = 16;

function transpose(out: Buffer, x: Buffer, rows: Rows): void {
  const [to, from] = [elementsOf(out), elementsOf(x)];
  transposeElements(to.high, from.high, rows);
  if (to.low === null) return;
  if (from.low === null) to.low.fill(0);
  else transposeElements(to.low, from.low, rows);
}

function transposeElements(out: CpuBuffer, x: CpuBuffer, { outer, classes, inner }: Rows): void {
  for (let o = 0; o < outer; o++) {
    const base = o * classes * inner;
    for (let first = 0; first < inner; first += transposeBlock) {
      const last = Math.min(inner, first + transposeBlock);
      for (let c = 0; c < classes; c++) {
        for (let i = first; i < last; i++) out[base + i * classes + c] = x[base + c * inner + i];
      }
    }
  }
}
