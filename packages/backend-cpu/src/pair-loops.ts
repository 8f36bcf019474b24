import type { BinaryOp } from '@softgrad/core';
import { type Elements, lowAt, write } from './intermediate.js';
import type { View } from './operand-view.js';
import { productError, productRest, sumError } from './pair.js';

/** Writes the results of `out` from k to `end`, of the elements of x from i on and of y from j on in steps of di and dj. */
type Loop = (
  out: Elements,
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
      const a = x.high[i];
      const b = sign * y.high[j];
      const sum = a + b;
      write(out, k, sum, sumError(a, b, sum) + (lowAt(x, i) + sign * lowAt(y, j)));
    }
  };

/** The largest of both, or the smallest where the sign is −1. */
const largestLoop =
  (sign: 1 | -1): Loop =>
  (out, k, end, x, i, di, y, j, dj) => {
    for (; k < end; k++, i += di, j += dj) {
      const [a, b] = [x.high[i], y.high[j]];
      const isFirst = sign * a > sign * b || (a === b && sign * lowAt(x, i) > sign * lowAt(y, j));
      if (isFirst || Number.isNaN(a)) write(out, k, a, lowAt(x, i));
      else write(out, k, b, lowAt(y, j));
    }
  };

/** The rounding errors of smaller products may be below the smallest float64, so that they cannot be computed. */
const leastProduct = 2 ** -968;

/**
 * Sums, products and quotients of pairs, off by a few 2⁻¹⁰⁴ (Dekker, "A floating-point technique for extending the available precision", 1971), and the
 * larger or smaller one. Products and quotients so near the ends of the range that their rounding errors cannot be computed are rounded to float64.
 */
export const pairLoops: Readonly<Record<BinaryOp, Loop>> = {
  add: sumLoop(1),
  sub: sumLoop(-1),
  mul(out, k, end, x, i, di, y, j, dj) {
    for (; k < end; k++, i += di, j += dj) {
      const a = x.high[i];
      const b = y.high[j];
      const product = a * b;
      const error = productRest(a, lowAt(x, i), b, lowAt(y, j), product);
      write(out, k, product, Math.abs(product) < leastProduct ? 0 : error);
    }
  },
  div(out, k, end, x, i, di, y, j, dj) {
    for (; k < end; k++, i += di, j += dj) {
      const a = x.high[i];
      const b = y.high[j];
      const quotient = a / b;
      const product = quotient * b;
      const rest = a - product - productError(quotient, b, product) + (lowAt(x, i) - quotient * lowAt(y, j));
      const isSmall = Math.abs(a) < leastProduct || Math.abs(quotient) < leastProduct;
      write(out, k, quotient, isSmall ? 0 : rest / b);
    }
  },
  max: largestLoop(1),
  min: largestLoop(-1),
};
