import type { BinaryOp, Extent, ReduceOp, Rows, UnaryOp } from '@softgrad/core';
import { expOfFloat64, expPair, pairLimit } from './exp-double.js';
import { elementsOf, type Intermediate, lowOf } from './intermediate.js';
import { forEachRun, startOf, type View } from './operand-view.js';
import { type Pair, productError, sumError } from './pair.js';
import type { CpuBuffer } from './storage.js';

// The arithmetic of the basis where the result or an operand is an intermediate buffer of float64, whose elements are pairs. Sums, products and quotients of
// pairs are off by a few 2⁻¹⁰⁴ (Dekker, "A floating-point technique for extending the available precision", 1971), exponentials as those of
// `expPair`, and logarithms as `Math.log`. Results that are not finite, and products so near the ends of the range that their rounding errors cannot
// be computed, are rounded to float64.

type Buffer = CpuBuffer | Intermediate;

/** What is written of elements that have a rounding error, and where: a result that is rounded to float64 has no `low`. */
interface Target {
  readonly high: CpuBuffer;
  readonly low: Float64Array | null;
}

/** Writes `sum + error`, of which the error is the smaller, as element k; the sum alone where both together are not finite. */
function write({ high, low }: Target, k: number, sum: number, error: number): void {
  const value = sum + error;
  const holds = Number.isFinite(value);
  high[k] = holds ? value : sum;
  if (low !== null) low[k] = holds ? error - (value - sum) : 0;
}

/** What the element at `index` is rounded by. */
function lowAt({ low }: { readonly low: ArrayLike<number> | null }, index: number): number {
  return low === null ? 0 : low[index];
}

/** Writes the results of `out` from k to `end`, of the elements of x from i on and of y from j on in steps of di and dj. */
type Loop = (
  out: Target,
  k: number,
  end: number,
  x: View,
  i: number,
  di: number,
  y: View,
  j: number,
  dj: number,
) => void;

/** `x + sign · y`. */
const sumLoop =
  (sign: 1 | -1): Loop =>
  (out, k, end, x, i, di, y, j, dj) => {
    for (; k < end; k++, i += di, j += dj) {
      const a = x.buffer[i];
      const b = sign * y.buffer[j];
      const sum = a + b;
      write(out, k, sum, sumError(a, b, sum) + (lowAt(x, i) + sign * lowAt(y, j)));
    }
  };

/** The largest of both, or the smallest where the sign is −1. */
const largestLoop =
  (sign: 1 | -1): Loop =>
  (out, k, end, x, i, di, y, j, dj) => {
    for (; k < end; k++, i += di, j += dj) {
      const [a, b] = [x.buffer[i], y.buffer[j]];
      const isFirst = sign * a > sign * b || (a === b && sign * lowAt(x, i) > sign * lowAt(y, j));
      if (isFirst || Number.isNaN(a)) write(out, k, a, lowAt(x, i));
      else write(out, k, b, lowAt(y, j));
    }
  };

const loops: Readonly<Record<BinaryOp, Loop>> = {
  add: sumLoop(1),
  sub: sumLoop(-1),
  mul(out, k, end, x, i, di, y, j, dj) {
    for (; k < end; k++, i += di, j += dj) {
      const a = x.buffer[i];
      const b = y.buffer[j];
      const product = a * b;
      write(out, k, product, productError(a, b, product) + (a * lowAt(y, j) + lowAt(x, i) * b));
    }
  },
  div(out, k, end, x, i, di, y, j, dj) {
    for (; k < end; k++, i += di, j += dj) {
      const a = x.buffer[i];
      const b = y.buffer[j];
      const quotient = a / b;
      const product = quotient * b;
      const rest = a - product - productError(quotient, b, product) + (lowAt(x, i) - quotient * lowAt(y, j));
      write(out, k, quotient, rest / b);
    }
  },
  max: largestLoop(1),
  min: largestLoop(-1),
};

export function binaryOfPairs(out: Buffer, op: BinaryOp, x: View, y: View, extent: Extent): void {
  const target = { high: elementsOf(out), low: lowOf(out) };
  const loop = loops[op];
  forEachRun(extent, (k, end, along, o, c) =>
    loop(target, k, end, x, startOf(x, o, c), x[along], y, startOf(y, o, c), y[along]),
  );
}

export function unaryOfPairs(out: Buffer, op: UnaryOp, x: Buffer, length: number): void {
  const target = { high: elementsOf(out), low: lowOf(out) };
  const from = { high: elementsOf(x), low: lowOf(x) };
  for (let k = 0; k < length; k++) {
    const a = from.high[k];
    const low = lowAt(from, k);
    if (op === 'neg') write(target, k, -a, -low);
    else if (op === 'log') write(target, k, Math.log(a), low / a);
    else if (Math.abs(a) < pairLimit) {
      const rest = expPair(exponential, 0, a, low);
      write(target, k, exponential[0], rest);
    } else write(target, k, expOfFloat64(a), 0);
  }
}

const exponential = new Float64Array(1);

export function reduceOfPairs(out: Buffer, op: ReduceOp, x: Buffer, { outer, classes, inner }: Rows): void {
  const target = { high: elementsOf(out), low: lowOf(out) };
  const from = { high: elementsOf(x), low: lowOf(x) };
  const reduceRow = op === 'sum' ? sumOfRow : largestOfRow;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      reduceRow(result, from, o * classes * inner + i, classes, inner);
      write(target, o * inner + i, result.high, result.low);
    }
  }
}

const result: Pair = { high: 0, low: 0 };

type Elements = { readonly high: CpuBuffer; readonly low: Float64Array | null };

function sumOfRow(result: Pair, x: Elements, start: number, classes: number, stride: number): void {
  result.high = 0;
  result.low = 0;
  for (let c = 0, k = start; c < classes; c++, k += stride) {
    const sum = result.high + x.high[k];
    result.low += sumError(result.high, x.high[k], sum) + lowAt(x, k);
    result.high = sum;
  }
}

function largestOfRow(result: Pair, x: Elements, start: number, classes: number, stride: number): void {
  result.high = Number.NEGATIVE_INFINITY;
  result.low = 0;
  for (let c = 0, k = start; c < classes; c++, k += stride) {
    const value = x.high[k];
    const low = lowAt(x, k);
    if (value < result.high || (value === result.high && low <= result.low) || Number.isNaN(result.high)) continue;
    result.high = value;
    result.low = low;
  }
}
