import type { Basis, BinaryOp, Extent, Operand, ReduceOp, Rows, UnaryOp } from '@softgrad/core';
import { expOfFloat64 } from './exp-double.js';
import { expOfFloat32 } from './exp-single.js';
import { elementsOf, type Intermediate, lowOf } from './intermediate.js';
import { forEachRun, lowsOf, startOf, type View, viewOf } from './operand-view.js';
import { binaryOfPairs, reduceOfPairs, unaryOfPairs } from './pair-basis.js';
import type { CpuBuffer } from './storage.js';

type Buffer = CpuBuffer | Intermediate;

/**
 * The primitives from which core composes operations without a kernel. Arithmetic is float64, or that of pairs of float64 where a buffer has them; results
 * are rounded when they are stored.
 */
export const basis: Basis<Buffer> = { unary, binary, reduce, select, transpose };

function unary(out: Buffer, op: UnaryOp, x: Buffer, length: number): void {
  if (lowOf(out) !== null || lowOf(x) !== null) unaryOfPairs(out, op, x, length);
  else unaryOfArrays(elementsOf(out), op, elementsOf(x), length);
}

function unaryOfArrays(out: CpuBuffer, op: UnaryOp, x: CpuBuffer, length: number): void {
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

function binary(out: Buffer, op: BinaryOp, a: Operand<Buffer>, b: Operand<Buffer>, extent: Extent): void {
  const viewA = viewOf(a);
  const viewB = viewOf(b);
  if (lowOf(out) !== null || viewA.low !== null || viewB.low !== null) {
    binaryOfPairs(out, op, viewA, viewB, extent);
    return;
  }
  const to = elementsOf(out);
  const loop = binaryLoops[op];
  forEachRun(extent, (k, end, along, o, c) =>
    loop(
      to,
      k,
      end,
      viewA.buffer,
      startOf(viewA, o, c),
      viewA[along],
      viewB.buffer,
      startOf(viewB, o, c),
      viewB[along],
    ),
  );
}

/** Sums with Neumaier's compensation ("Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974) in float64. */
function reduce(out: Buffer, op: ReduceOp, x: Buffer, rows: Rows): void {
  if (lowOf(out) !== null || lowOf(x) !== null) {
    reduceOfPairs(out, op, x, rows);
    return;
  }
  const { outer, classes, inner } = rows;
  const [to, from] = [elementsOf(out), elementsOf(x)];
  const reduceRow = op === 'sum' ? sumRow : maxRow;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) to[o * inner + i] = reduceRow(from, o * classes * inner + i, classes, inner);
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

function select(out: Buffer, condition: Operand<Buffer>, a: Operand<Buffer>, b: Operand<Buffer>, extent: Extent): void {
  const [viewCondition, viewA, viewB] = [viewOf(condition), viewOf(a), viewOf(b)];
  selectElements(elementsOf(out), viewCondition, viewA, viewB, extent);
  const low = lowOf(out);
  if (low !== null) selectElements(low, viewCondition, lowsOf(viewA), lowsOf(viewB), extent);
}

function selectElements(out: CpuBuffer, condition: View, a: View, b: View, extent: Extent): void {
  forEachRun(extent, (k, end, along, o, c) => {
    const step = condition[along];
    const [stepA, stepB] = [a[along], b[along]];
    let at = startOf(condition, o, c);
    let [atA, atB] = [startOf(a, o, c), startOf(b, o, c)];
    for (; k < end; at += step, atA += stepA, atB += stepB)
      out[k++] = condition.buffer[at] > 0 ? a.buffer[atA] : b.buffer[atB];
  });
}

/** Columns that a transposition writes at once. */
export const transposeBlock = 16;

function transpose(out: Buffer, x: Buffer, rows: Rows): void {
  transposeElements(elementsOf(out), elementsOf(x), rows);
  const [to, from] = [lowOf(out), lowOf(x)];
  if (to === null) return;
  if (from === null) to.fill(0);
  else transposeElements(to, from, rows);
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
