/** Elements whose exponentials are computed together, so that they stay in the first-level cache until they are scaled. */
export const blockElements = 2048;

/** Rows whose exponentials are computed together. */
export function rowsPerBlock(classes: number): number {
  return Math.max(1, Math.floor(blockElements / classes));
}

/** `out[to + k] = exp[from + k] * factor`. `| 0` tells the engine that the index is an int32, which avoids an overflow check of every sum. */
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
    const target = (to + k) | 0;
    const source = (from + k) | 0;
    out[target] = exp[source] * factor;
    out[(target + 1) | 0] = exp[(source + 1) | 0] * factor;
    out[(target + 2) | 0] = exp[(source + 2) | 0] * factor;
    out[(target + 3) | 0] = exp[(source + 3) | 0] * factor;
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

/** The sum of `length` elements except the one at `index`. Subtracting it from the whole sum would cancel if it dominates. */
export function sumOfOthers(exp: Float64Array, from: number, length: number, index: number): number {
  return sum(exp, from, index) + sum(exp, from + index + 1, length - index - 1);
}

/** The index of an element above `bound`, or −1. No element is negative, so that none of four is above it whose sum is not. */
export function indexAbove(values: Float64Array, from: number, length: number, bound: number): number {
  const end = (from + length) | 0;
  const lastFour = (end - 3) | 0;
  let k = from;
  while (k < lastFour && values[k] + values[(k + 1) | 0] + (values[(k + 2) | 0] + values[(k + 3) | 0]) <= bound) k += 4;
  for (; k < end; k++) if (values[k] > bound) return k;
  return -1;
}
