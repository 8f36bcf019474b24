import type { DerivativeParameters, Rows } from '@softgrad/core';
import { type Pair, sumBut } from '../pair.js';
import { type FloatArray, scratch } from '../storage.js';
import { hasInverse, inverseTemperature } from '../temperature.js';
import { forEachTile, gather, tileLength } from '../tiles.js';

const probabilityScratch = scratch();
const others: Pair = { high: 0, low: 0 };

/** `out[o,i,r,c] = s_r (δ_rc − s_c) / temperature`, rows in (outer, inner) order. */
export function jacobian(
  out: FloatArray,
  probabilities: FloatArray,
  rows: Rows,
  { temperature }: DerivativeParameters,
): void | false {
  if (!hasInverse(out, temperature)) return false;
  const { outer, classes } = rows;
  const factor = inverseTemperature(temperature);
  // Products of small probabilities may underflow although a large factor restores them: both have a part of it.
  const isLarge = out instanceof Float64Array && Math.abs(factor) > 2 ** 64;
  const one = isLarge ? 2 ** Math.floor(Math.log2(Math.abs(factor)) / 2) : 1;
  if (rows.inner === 1 && one === 1) {
    jacobianRows(out, 0, probabilities, outer, classes, factor, 1);
    return;
  }
  const s = probabilityScratch(tileLength(rows));
  forEachTile(rows, (tile) => {
    gather(s, probabilities, tile, classes);
    const elements = tile.count * classes;
    if (one !== 1) for (let k = 0; k < elements; k++) s[k] *= one;
    jacobianRows(out, tile.row * classes * classes, s, tile.count, classes, factor / one / one, one);
  });
}

/** Rows shorter than this have 1 − s_r summed from the others: less than a branch on whether the difference would cancel. */
export const shortRow = 16;

/** The Jacobians of rows that stand one after the other in `s`, whose entries add up to `one`, into `out` from `base` on. */
function jacobianRows(
  out: FloatArray,
  base: number,
  s: FloatArray,
  outer: number,
  classes: number,
  factor: number,
  one: number,
): void {
  const length = outer * classes;
  if (classes === 3) jacobianTriples(out, base, s, length, factor);
  else if (classes < shortRow) jacobianShort(out, base, s, length, classes, factor, one);
  else jacobianLong(out, base, s, length, classes, factor, one);
}

// 0 − x rather than −x throughout: a probability of 0 gives 0, not −0. And the factor, 1/T, last, so that matrices are symmetric.

function jacobianTriples(out: FloatArray, base: number, s: FloatArray, length: number, factor: number): void {
  let to = base;
  for (let start = 0; start < length; start += 3) {
    const s0 = s[start];
    const s1 = s[(start + 1) | 0];
    const s2 = s[(start + 2) | 0];
    const s01 = 0 - s0 * s1 * factor;
    const s02 = 0 - s0 * s2 * factor;
    const s12 = 0 - s1 * s2 * factor;
    out[to] = s0 * (s1 + s2) * factor;
    out[(to + 1) | 0] = s01;
    out[(to + 2) | 0] = s02;
    out[(to + 3) | 0] = s01;
    out[(to + 4) | 0] = s1 * (s0 + s2) * factor;
    out[(to + 5) | 0] = s12;
    out[(to + 6) | 0] = s02;
    out[(to + 7) | 0] = s12;
    out[(to + 8) | 0] = s2 * (s0 + s1) * factor;
    to = (to + 9) | 0;
  }
}

function jacobianShort(
  out: FloatArray,
  base: number,
  s: FloatArray,
  length: number,
  classes: number,
  factor: number,
  one: number,
): void {
  const isSingle = out instanceof Float32Array;
  let to = base;
  for (let start = 0; start < length; start += classes) {
    const end = (start + classes) | 0;
    for (let r = start; r < end; r++) {
      const p = s[r];
      let others = 0;
      for (let k = start; k < r; k++) {
        const other = s[k];
        others += other;
        out[to] = 0 - p * other * factor;
        to = (to + 1) | 0;
      }
      const diagonal = to;
      to = (to + 1) | 0;
      for (let k = (r + 1) | 0; k < end; k++) {
        const other = s[k];
        others += other;
        out[to] = 0 - p * other * factor;
        to = (to + 1) | 0;
      }
      // Up to ½, 1 − p of float64 does not cancel.
      if (!isSingle) others = p > one / 2 ? sumOfOthers(s, start, end, r) : one - p;
      out[diagonal] = p * others * factor;
    }
  }
}

function jacobianLong(
  out: FloatArray,
  base: number,
  s: FloatArray,
  length: number,
  classes: number,
  factor: number,
  one: number,
): void {
  const isSingle = out instanceof Float32Array;
  let to = base;
  for (let start = 0; start < length; start += classes) {
    const end = (start + classes) | 0;
    const lastFour = (end - 3) | 0;
    // Probabilities rounded to float32 sum to 1 only within an ULP of the result; in float64, the sum itself rounds by as much.
    let total = one;
    if (isSingle) {
      total = 0;
      for (let k = start; k < end; k++) total += s[k];
    }
    for (let r = start; r < end; r++) {
      const p = s[r];
      const diagonal = (to + r - start) | 0;
      let k = start;
      for (; k < lastFour; k += 4) {
        const ds0 = 0 - p * s[k] * factor;
        const ds1 = 0 - p * s[(k + 1) | 0] * factor;
        const ds2 = 0 - p * s[(k + 2) | 0] * factor;
        const ds3 = 0 - p * s[(k + 3) | 0] * factor;
        out[to] = ds0;
        out[(to + 1) | 0] = ds1;
        out[(to + 2) | 0] = ds2;
        out[(to + 3) | 0] = ds3;
        to = (to + 4) | 0;
      }
      for (; k < end; k++) {
        out[to] = 0 - p * s[k] * factor;
        to = (to + 1) | 0;
      }
      out[diagonal] = p * (p > one / 2 ? sumOfOthers(s, start, end, r) : total - p) * factor;
    }
  }
}

/** The sum of the others, compensated. */
function sumOfOthers(s: FloatArray, start: number, end: number, r: number): number {
  sumBut(others, s, start, end, r);
  return others.high + others.low;
}
