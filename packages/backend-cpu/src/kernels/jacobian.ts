import type { Rows } from '@softgrad/core';
import { forEachTile, gather, tileLength } from '../rows.js';
import { type FloatArray, scratch } from '../storage.js';

const probabilityScratch = scratch();

/** `out[o,i,r,c] = s_r (δ_rc − s_c) / temperature`, rows in (outer, inner) order. */
export function jacobian(out: FloatArray, probabilities: FloatArray, rows: Rows, temperature: number): void {
  const { classes } = rows;
  const s = probabilityScratch(tileLength(rows));
  forEachTile(rows, (tile) => {
    gather(s, probabilities, tile, classes);
    for (let row = 0; row < tile.count; row++) {
      jacobianOfRow(out, (tile.row + row) * classes * classes, s, row * classes, classes, temperature);
    }
  });
}

function jacobianOfRow(
  out: FloatArray,
  base: number,
  s: Float64Array,
  start: number,
  classes: number,
  temperature: number,
): void {
  let to = base;
  for (let r = 0; r < classes; r++) {
    const factor = s[start + r] / temperature;
    // 0 − x rather than −x: a probability of 0 gives 0, not −0.
    for (let c = 0; c < classes; c++) out[to + c] = 0 - factor * s[start + c];
    out[to + r] = factor * complement(s, start, classes, r);
    to += classes;
  }
}

/** 1 − s_r, which cancels where s_r is nearly 1: there it is the sum of the others. */
function complement(s: Float64Array, start: number, classes: number, r: number): number {
  if (!(s[start + r] > 0.5)) return 1 - s[start + r];
  let others = 0;
  for (let c = 0; c < classes; c++) if (c !== r) others += s[start + c];
  return others;
}
