import type { Rows } from '@softgrad/core';
import { forEachTile, gather, tileLength } from '../rows.js';
import { type FloatArray, scratch } from '../storage.js';

const probabilityScratch = scratch();

/** `out[o,i,r,c] = s_r (δ_rc − s_c) / temperature`, rows in (outer, inner) order. */
export function jacobian(out: FloatArray, probabilities: FloatArray, rows: Rows, temperature: number): void {
  const { outer, classes } = rows;
  if (rows.inner === 1) {
    jacobianRows(out, 0, probabilities, outer, classes, temperature);
    return;
  }
  const s = probabilityScratch(tileLength(rows));
  forEachTile(rows, (tile) => {
    gather(s, probabilities, tile, classes);
    jacobianRows(out, tile.row * classes * classes, s, tile.count, classes, temperature);
  });
}

/** The Jacobians of rows that stand one after the other in `s`, into `out` from `base` on. */
function jacobianRows(
  out: FloatArray,
  base: number,
  s: FloatArray,
  outer: number,
  classes: number,
  temperature: number,
): void {
  const length = outer * classes;
  let to = base;
  for (let start = 0; start < length; start += classes) {
    const end = start + classes;
    for (let r = start; r < end; r++) {
      const p = s[r];
      const factor = p / temperature;
      let k = start;
      // 0 − x rather than −x: a probability of 0 gives 0, not −0.
      for (; k < end - 3; k += 4) {
        out[to] = 0 - factor * s[k];
        out[to + 1] = 0 - factor * s[k + 1];
        out[to + 2] = 0 - factor * s[k + 2];
        out[to + 3] = 0 - factor * s[k + 3];
        to += 4;
      }
      for (; k < end; k++) out[to++] = 0 - factor * s[k];
      out[to - end + r] = factor * (p > 0.5 ? sumOfOthers(s, start, end, r) : 1 - p);
    }
  }
}

/** 1 − s_r where s_r is nearly 1 and the difference would cancel. */
function sumOfOthers(s: FloatArray, start: number, end: number, r: number): number {
  let others = 0;
  for (let k = start; k < end; k++) if (k !== r) others += s[k];
  return others;
}
