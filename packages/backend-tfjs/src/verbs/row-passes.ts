// Passes over contiguous rows in the memory of this process, in float64, whose results are rounded once. The order of the arguments is that of RowPass.
import { expOfGaps } from './exp.js';
import type { Values } from './passes.js';

/** Computes the results of all rows: of each entry, or one of each row. */
export type RowPass<T extends readonly Values[]> = (out: Float32Array, classes: number, ...operands: T) => void;

/**
 * `out = exp((x − shift) / divisor)`, with one shift for each row. Half an ULP of float32 off a gap of 100 would be up to 64 ULP of its exponential.
 */
export function exponentials(divisor: number): RowPass<[x: Values, shifts: Values]> {
  const factor = 1 / divisor;
  return (out, classes, x, shifts) => {
    for (let at = 0, row = 0; at < out.length; at += classes, row++) {
      expOfGaps(out, x, at, classes, shifts[row] as number, factor);
    }
  };
}

/** `out = exp((x − max) / divisor) / Σ exp((x − max) / divisor)`. A maximum of ±Infinity or NaN makes the whole row NaN. */
export function softmax(divisor: number): RowPass<[x: Values]> {
  const factor = 1 / divisor;
  return (out, classes, x) => {
    for (let at = 0; at < out.length; at += classes) {
      const end = at + classes;
      let most = Number.NEGATIVE_INFINITY;
      for (let i = at; i < end; i++) if ((x[i] as number) > most) most = x[i] as number;
      const scale = 1 / expOfGaps(out, x, at, classes, most, factor);
      for (let i = at; i < end; i++) out[i] = (out[i] as number) * scale;
    }
  };
}

/** `out = max x`, NaN where one of them is. */
export function max(out: Float32Array, classes: number, x: Values): void {
  for (let row = 0; row < out.length; row++) {
    const end = (row + 1) * classes;
    let a = Number.NEGATIVE_INFINITY;
    let b = a;
    let c = a;
    let d = a;
    let i = end - classes;
    for (; i < end - 3; i += 4) {
      a = Math.max(a, x[i] as number);
      b = Math.max(b, x[i + 1] as number);
      c = Math.max(c, x[i + 2] as number);
      d = Math.max(d, x[i + 3] as number);
    }
    for (; i < end; i++) a = Math.max(a, x[i] as number);
    out[row] = Math.max(a, b, c, d);
  }
}

/** `out = Σ x`. */
export function sum(out: Float32Array, classes: number, x: Values): void {
  for (let row = 0; row < out.length; row++) out[row] = sumBetween(x, row * classes, (row + 1) * classes);
}

/** `out = Σ e − 1`: the sum without the first 1, which is the exponential of a row's maximum. */
export function sumOfOthers(out: Float32Array, classes: number, e: Values): void {
  for (let row = 0; row < out.length; row++) {
    const [start, end] = [row * classes, (row + 1) * classes];
    let first = start;
    while (first < end && e[first] !== 1) first++;
    out[row] = sumBetween(e, start, first) + sumBetween(e, first + 1, end);
  }
}

/**
 * `out = p Σ q − q`, with p the exponentials divided by their sum. For a p above ½ that would cancel, and is computed as `(e Σ q − q Σ e) / Σ e` over
 * the other entries.
 */
export function slopes(out: Float32Array, classes: number, e: Values, q: Values): void {
  for (let at = 0; at < out.length; at += classes) {
    const end = at + classes;
    const sumOfE = sumBetween(e, at, end);
    const ofQ = sumBetween(q, at, end) / sumOfE;
    for (let i = at; i < end; i++) out[i] = (e[i] as number) * ofQ - (q[i] as number);
    // The largest is 1.
    const top = sumOfE < 2 ? firstAbove(sumOfE / 2, e, at, end) : -1;
    if (top < 0) continue;
    const others = (of: Values) => sumBetween(of, at, top) + sumBetween(of, top + 1, end);
    out[top] = ((e[top] as number) * others(q) - (q[top] as number) * others(e)) / sumOfE;
  }
}

/**
 * `out = v − ⟨p, v⟩`. Because probabilities sum to 1, subtracting a constant from v first does not change it: where a probability is above ½ the constant is
 * its v. Otherwise v − ⟨p, v⟩ would cancel there in a nearly one-hot row. In other rows it is the mean, because rounded probabilities sum to 1 only nearly.
 */
export function centred(out: Float32Array, classes: number, p: Values, v: Values): void {
  for (let at = 0; at < out.length; at += classes) {
    const end = at + classes;
    const top = firstAbove(0.5, p, at, end);
    const origin = top < 0 ? meanFrom(0, p, v, at, end) : (v[top] as number);
    const mean = meanFrom(origin, p, v, at, end);
    for (let i = at; i < end; i++) out[i] = (v[i] as number) - origin - mean;
  }
}

/** `Σ p (v − origin)`. */
function meanFrom(origin: number, p: Values, v: Values, start: number, end: number): number {
  let even = 0;
  let odd = 0;
  let i = start;
  for (; i < end - 1; i += 2) {
    even += (p[i] as number) * ((v[i] as number) - origin);
    odd += (p[i + 1] as number) * ((v[i + 1] as number) - origin);
  }
  return i < end ? even + (p[i] as number) * ((v[i] as number) - origin) + odd : even + odd;
}

/** In four sums, because an addition waits for the one before. */
function sumBetween(x: Values, start: number, end: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = start;
  for (; i < end - 3; i += 4) {
    a += x[i] as number;
    b += x[i + 1] as number;
    c += x[i + 2] as number;
    d += x[i + 3] as number;
  }
  for (; i < end; i++) a += x[i] as number;
  return a + b + (c + d);
}

/** The index of the first entry above the limit, or −1. */
function firstAbove(limit: number, x: Values, start: number, end: number): number {
  for (let i = start; i < end; i++) if ((x[i] as number) > limit) return i;
  return -1;
}
