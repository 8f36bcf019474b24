import { expSingle } from './exp.js';

/** Elements whose exponentials are taken at once: they stay in the first-level cache until they are scaled. */
const blockElements = 2048;
/** Bound on the sum of squares of four logits that are exponentiated unshifted. */
const mostSquares = 680 ** 2;
/** Rows whose exponentials are taken at once. */
export function rowsPerBlock(classes: number): number {
  return Math.max(1, Math.floor(blockElements / classes));
}

/**
 * `exp[k] = exp(x[start + k])`, or false where an x is too large for that. Four at a time, since the loop itself
 * (its counter, interrupt check and bounds) costs half as much as an exp.
 */
export function expOfSingle(exp: Float64Array, x: Float32Array, start: number, length: number): boolean {
  let k = 0;
  for (; k < length - 3; k += 4) {
    const x0 = x[start + k];
    const x1 = x[start + k + 1];
    const x2 = x[start + k + 2];
    const x3 = x[start + k + 3];
    if (!(x0 * x0 + x1 * x1 + (x2 * x2 + x3 * x3) < mostSquares)) return false;
    exp[k] = expSingle(x0);
    exp[k + 1] = expSingle(x1);
    exp[k + 2] = expSingle(x2);
    exp[k + 3] = expSingle(x3);
  }
  for (; k < length; k++) {
    const x0 = x[start + k];
    if (!(x0 * x0 < mostSquares)) return false;
    exp[k] = expSingle(x0);
  }
  return true;
}

/** `out[to + k] = exp[from + k] * factor`. */
export function scale(
  out: Float32Array,
  exp: Float64Array,
  to: number,
  from: number,
  length: number,
  factor: number,
): void {
  let k = 0;
  for (; k < length - 3; k += 4) {
    out[to + k] = exp[from + k] * factor;
    out[to + k + 1] = exp[from + k + 1] * factor;
    out[to + k + 2] = exp[from + k + 2] * factor;
    out[to + k + 3] = exp[from + k + 3] * factor;
  }
  for (; k < length; k++) out[to + k] = exp[from + k] * factor;
}

/** The sum of `length` elements. */
export function sum(exp: Float64Array, from: number, length: number): number {
  let sum0 = 0;
  let sum1 = 0;
  let k = from;
  for (; k < from + length - 3; k += 4) {
    sum0 += exp[k] + exp[k + 1];
    sum1 += exp[k + 2] + exp[k + 3];
  }
  for (; k < from + length; k++) sum0 += exp[k];
  return sum0 + sum1;
}
