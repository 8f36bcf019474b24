import type { Rows, SoftmaxParameters } from '@softgrad/core';
import { forEachTile, gather, gatherMask, scatter, tileLength } from '../rows.js';
import { fillMasked, forEachShiftedRow } from '../shifted.js';
import { type CpuBuffer, type FloatArray, singleScratch } from '../storage.js';
import { softmaxDouble } from './softmax-double.js';
import { softmaxSingle } from './softmax-single.js';

const plain: SoftmaxParameters<CpuBuffer> = { temperature: 1, mask: null };
const tileScratch = singleScratch();

/**
 * Softmax over the middle dimension.
 *
 * A shift guards exp against overflow and nothing else. Four logits whose squares add up to less than 177² (float64: 680²) are safe
 * without one in float64's range, so rows are first tried unshifted: no search for a maximum, no x − max to be rounded. Rows for
 * which this does not hold (larger logits, −Infinity, NaN) are shifted.
 */
export function softmax(out: FloatArray, logits: FloatArray, rows: Rows): void {
  softmaxWith(out, logits, rows, plain);
}

/** Softmax of logits/temperature over the entries that the mask keeps. */
export function softmaxWith(
  out: FloatArray,
  logits: FloatArray,
  rows: Rows,
  parameters: SoftmaxParameters<CpuBuffer>,
): void {
  if (out instanceof Float32Array && logits instanceof Float32Array) {
    if (rows.inner === 1) softmaxRows(out, logits, rows, parameters);
    else softmaxTiles(out, logits, rows, parameters);
  } else if (out instanceof Float64Array && logits instanceof Float64Array) {
    if (rows.inner === 1 && parameters.temperature === 1 && parameters.mask === null) {
      const { outer, classes } = rows;
      softmaxDouble(out, logits, outer, classes, (start, count) => shiftRows(out, logits, start, count, classes));
    } else softmaxShifted(out, logits, rows, parameters);
  }
}

function softmaxRows(
  out: Float32Array,
  logits: Float32Array,
  { outer, classes }: Rows,
  { temperature, mask }: SoftmaxParameters<CpuBuffer>,
): void {
  const keep = mask && { buffer: mask.buffer as Uint8Array, rows: mask.outer };
  softmaxSingle(out, logits, outer, classes, temperature, keep);
}

/** Rows over an inner dimension: brought together a tile at a time. */
function softmaxTiles(
  out: Float32Array,
  logits: Float32Array,
  rows: Rows,
  { temperature, mask }: SoftmaxParameters<CpuBuffer>,
): void {
  const { classes } = rows;
  const length = tileLength(rows);
  const x = tileScratch(length);
  const buffer = new Uint8Array(mask ? length : 0);
  forEachTile(rows, (tile) => {
    gather(x, logits, tile, classes);
    if (mask) gatherMask(buffer, mask, tile, rows);
    softmaxSingle(x, x, tile.count, classes, temperature, mask && { buffer, rows: tile.count });
    scatter(out, x, tile, classes);
  });
}

/** Rows of float64 whose exponentials need a shift. */
function softmaxShifted(
  out: Float64Array,
  logits: Float64Array,
  rows: Rows,
  parameters: SoftmaxParameters<CpuBuffer>,
): void {
  const { classes } = rows;
  forEachShiftedRow(
    logits,
    rows,
    parameters,
    (row) => {
      const probabilities = row.exp;
      if (row.empty) {
        probabilities.fill(0, row.start, row.start + classes);
        return;
      }
      const { high, low } = row.total;
      const correction = low / high;
      for (let k = row.start; k < row.start + classes; k++) {
        const quotient = probabilities[k] / high;
        probabilities[k] = quotient - quotient * correction;
      }
      fillMasked(probabilities, row, classes, 0);
    },
    ({ exp, tile }) => scatter(out, exp, tile, classes),
  );
}

/** Some contiguous rows. */
function shiftRows(out: Float64Array, logits: Float64Array, start: number, count: number, classes: number): void {
  const end = start + count * classes;
  softmaxShifted(out.subarray(start, end), logits.subarray(start, end), { outer: count, classes, inner: 1 }, plain);
}
