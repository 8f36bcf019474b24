import type { Rows } from '@softgrad/core';
import { at } from './at.js';

/** Calls `visit` with the index of the first entry of every row and the step between a row's entries. */
export function eachRow(rows: Rows, visit: (first: number, step: number, row: number) => void): void {
  const { outer, classes, inner } = rows;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) visit(o * classes * inner + i, inner, o * inner + i);
  }
}

/** softmax(x / T) in float64, shifted by each row's maximum; 0 in rows that are −Infinity throughout. */
export function softmaxRows(x: Float64Array, rows: Rows, temperature = 1): Float64Array {
  const s = new Float64Array(x.length);
  eachRow(rows, (first, step) => {
    const end = first + step * rows.classes;
    let most = Number.NEGATIVE_INFINITY;
    for (let k = first; k < end; k += step) most = Math.max(most, at(x, k));
    if (most === Number.NEGATIVE_INFINITY) return;
    let sum = 0;
    for (let k = first; k < end; k += step) {
      const power = Math.exp((at(x, k) - most) / temperature);
      s[k] = power;
      sum += power;
    }
    if (sum > 0) for (let k = first; k < end; k += step) s[k] = at(s, k) / sum;
  });
  return s;
}

/** Calls `visit` with the index of every entry, in the order of memory, and of the row that it is in. */
export function eachEntry({ outer, classes, inner }: Rows, visit: (k: number, row: number) => void): void {
  let k = 0;
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < classes; c++) for (let i = 0; i < inner; i++, k++) visit(k, o * inner + i);
  }
}

/** Sums that differ from 1 by no more than this were rounded. */
const roundedSum = 1e-6;

/**
 * s ⊙ (g − ⟨s, g⟩) over each row in float64. The value of g at the largest probability is subtracted from g first: a
 * constant does not change the result, and this avoids cancellation where s is nearly one-hot.
 */
export function vjpRows(s: Float64Array, g: Float64Array, rows: Rows): Float64Array {
  const dx = new Float64Array(s.length);
  eachRow(rows, (first, step) => {
    const end = first + step * rows.classes;
    let largest = first;
    for (let k = first; k < end; k += step) if (at(s, k) > at(s, largest)) largest = k;
    const shift = at(g, largest);
    let inner = 0;
    let sum = 0;
    for (let k = first; k < end; k += step) {
      inner += at(s, k) * (at(g, k) - shift);
      sum += at(s, k);
    }
    // Of probabilities that do not add up to 1, the constant counts.
    if (Math.abs(sum - 1) > roundedSum) inner -= shift * (1 - sum);
    for (let k = first; k < end; k += step) dx[k] = at(s, k) * (at(g, k) - shift - inner);
  });
  return dx;
}

/** 1 / (1 + exp(−x)), without overflow. */
export function sigmoidOf(x: number): number {
  return x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x));
}

/** The largest entry of every row of an (n, f) matrix. */
export function rowMaxima(values: Float64Array, n: number, f: number): Float64Array {
  const maxima = new Float64Array(n).fill(Number.NEGATIVE_INFINITY);
  for (let row = 0; row < n; row++) {
    for (let k = row * f; k < (row + 1) * f; k++) maxima[row] = Math.max(at(maxima, row), at(values, k));
  }
  return maxima;
}

/** The sum of one row of a matrix with rows of f entries. */
export function rowSum(values: Float64Array, row: number, f: number): number {
  let sum = 0;
  for (let k = row * f; k < (row + 1) * f; k++) sum += at(values, k);
  return sum;
}

/** The sum of every row of an (n, f) matrix. */
export function rowSums(values: Float64Array, n: number, f: number): Float64Array {
  const sums = new Float64Array(n);
  for (let row = 0; row < n; row++) sums[row] = rowSum(values, row, f);
  return sums;
}

/** ⟨a, b⟩ of every row of (n, f) matrices. */
export function innerProducts(a: Float64Array, b: Float64Array, n: number, f: number): Float64Array {
  const products = new Float64Array(n);
  for (let row = 0; row < n; row++) {
    for (let k = row * f; k < (row + 1) * f; k++) products[row] = at(products, row) + at(a, k) * at(b, k);
  }
  return products;
}
