import type { Basis, BinaryOp, Extent, Operand, ReduceOp, Rows, UnaryOp } from '@softgrad/core';
import { expOfFloat64 } from './exp-double.js';
import { expOfFloat32 } from './exp-single.js';
import type { CpuBuffer } from './storage.js';

/** The primitives from which core composes operations without a kernel. Arithmetic is float64; results are rounded when they are stored. */
export const basis: Basis<CpuBuffer> = { unary, binary, reduce, select, transpose };

function unary(out: CpuBuffer, op: UnaryOp, x: CpuBuffer, length: number): void {
  const exp = out instanceof Float64Array ? expOfFloat64 : expOfFloat32;
  const f = op === 'log' ? Math.log : exp;
  for (let k = 0; k < length; k++) out[k] = op === 'neg' ? -x[k] : f(x[k]);
}

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

function binary(out: CpuBuffer, op: BinaryOp, a: Operand<CpuBuffer>, b: Operand<CpuBuffer>, extent: Extent): void {
  const loop = binaryLoops[op];
  const [outer, classes, inner] = extent;
  // The last dimension that is not 1 is that of the loop.
  const [count, length, along] = inner > 1 ? ([classes, inner, 'inner'] as const) : ([1, classes, 'classes'] as const);
  const viewA = view(a);
  const viewB = view(b);
  let k = 0;
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < count; c++) {
      const startA = o * viewA.outer + c * viewA.classes;
      const startB = o * viewB.outer + c * viewB.classes;
      loop(out, k, k + length, viewA.buffer, startA, viewA[along], viewB.buffer, startB, viewB[along]);
      k += length;
    }
  }
}

/** Sums with Neumaier's compensation ("Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974) in float64. */
function reduce(out: CpuBuffer, op: ReduceOp, x: CpuBuffer, { outer, classes, inner }: Rows): void {
  const reduceRow = op === 'sum' ? sumRow : maxRow;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) out[o * inner + i] = reduceRow(x, o * classes * inner + i, classes, inner);
  }
}

function sumRow(x: CpuBuffer, start: number, classes: number, stride: number): number {
  let sum = 0;
  let correction = 0;
  for (let c = 0; c < classes; c++) {
    const term = x[start + c * stride];
    const next = sum + term;
    correction += Math.abs(sum) >= Math.abs(term) ? sum - next + term : term - next + sum;
    sum = next;
  }
  return Number.isFinite(sum) ? sum + correction : sum;
}

function maxRow(x: CpuBuffer, start: number, classes: number, stride: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < classes; c++) max = Math.max(max, x[start + c * stride]);
  return max;
}

function select(
  out: CpuBuffer,
  condition: Operand<CpuBuffer>,
  a: Operand<CpuBuffer>,
  b: Operand<CpuBuffer>,
  extent: Extent,
): void {
  const [outer, classes, inner] = extent;
  const [viewCondition, viewA, viewB] = [view(condition), view(a), view(b)];
  let k = 0;
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < classes; c++) {
      for (let i = 0; i < inner; i++)
        out[k++] = at(viewCondition, o, c, i) > 0 ? at(viewA, o, c, i) : at(viewB, o, c, i);
    }
  }
}

/** Columns that a transposition writes at once. */
export const transposeBlock = 16;

function transpose(out: CpuBuffer, x: CpuBuffer, { outer, classes, inner }: Rows): void {
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

/** An operand with the steps in its buffer that one step in each dimension of the result makes: 0 where it is broadcast. */
interface View {
  readonly buffer: ArrayLike<number>;
  readonly outer: number;
  readonly classes: number;
  readonly inner: number;
}

function view(operand: Operand<CpuBuffer>): View {
  if (typeof operand === 'number') return { buffer: [operand], outer: 0, classes: 0, inner: 0 };
  const [outer, classes, inner] = operand.extent;
  return {
    buffer: operand.buffer,
    outer: outer === 1 ? 0 : classes * inner,
    classes: classes === 1 ? 0 : inner,
    inner: inner === 1 ? 0 : 1,
  };
}

function at({ buffer, outer, classes, inner }: View, o: number, c: number, i: number): number {
  return buffer[o * outer + c * classes + i * inner];
}
