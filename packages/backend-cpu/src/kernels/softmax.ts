import type { Rows, SoftmaxParameters } from '@softgrad/core';
import { type CpuBuffer, type FloatArray, scratch, singleScratch } from '../storage.js';
import { isFar } from '../temperature.js';
import { forEachTile, gather, gatherMask, type Keep, scatter, tileLength } from '../tiles.js';
import { softmaxDouble } from './softmax-double.js';
import { softmaxSingle } from './softmax-single.js';

const singleTile = singleScratch();
const doubleTile = scratch();

/**
 * Softmax of logits/temperature over the middle dimension, over the entries that the mask keeps.
 *
 * A shift guards exp against overflow and nothing else. Four logits whose squares add up to less than 177² (float64: 600²) are safe
 * without one in float64's range, so rows are first tried unshifted: no search for a maximum, no x − max to be rounded. Rows for
 * which this does not hold (larger logits, −Infinity, NaN) are shifted.
 */
export function softmax(
  out: FloatArray,
  logits: FloatArray,
  rows: Rows,
  parameters: SoftmaxParameters<CpuBuffer>,
): void | false {
  const { temperature, mask } = parameters;
  if (isFar(temperature)) return false;
  const { outer, classes, inner } = rows;
  if (out instanceof Float32Array && logits instanceof Float32Array) {
    if (inner === 1) softmaxSingle(out, logits, outer, classes, temperature, keepOf(mask));
    else {
      forEachGathered(out, logits, rows, mask, singleTile, (tile, count, keep) =>
        softmaxSingle(tile, tile, count, classes, temperature, keep),
      );
    }
  } else if (out instanceof Float64Array && logits instanceof Float64Array) {
    if (inner === 1) softmaxDouble(out, logits, outer, classes, temperature, keepOf(mask));
    else {
      forEachGathered(out, logits, rows, mask, doubleTile, (tile, count, keep) =>
        softmaxDouble(tile, tile, count, classes, temperature, keep),
      );
    }
  }
}

type Mask = SoftmaxParameters<CpuBuffer>['mask'];

function keepOf(mask: Mask): Keep | null {
  return mask && { buffer: mask.buffer as Uint8Array, rows: mask.outer };
}

/** Has rows over an inner dimension computed a tile at a time, brought together. */
function forEachGathered<A extends FloatArray>(
  out: A,
  logits: A,
  rows: Rows,
  mask: Mask,
  tileScratch: (length: number) => A,
  compute: (tile: A, count: number, keep: Keep | null) => void,
): void {
  const { classes } = rows;
  const length = tileLength(rows);
  const x = tileScratch(length);
  const buffer = new Uint8Array(mask ? length : 0);
  forEachTile(rows, (tile) => {
    gather(x, logits, tile, classes);
    if (mask) gatherMask(buffer, mask, tile, rows);
    compute(x, tile.count, mask && { buffer, rows: tile.count });
    scatter(out, x, tile, classes);
  });
}
