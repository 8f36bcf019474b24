import type { DerivativeParameters, Rows } from '@softgrad/core';
import { type FloatArray, scratch, singleScratch } from '../../storage.js';
import { isFar } from '../../temperature.js';
import { forEachTile, gather, scatter, tileLength } from '../../tiles.js';
import { divisorOf, vjpDouble } from './double.js';
import { leastSearched, vjpDoubleShort, vjpSingleShort } from './short.js';
import { vjpSingle } from './single.js';
import { vjpPairs, vjpTriples } from './two-or-three.js';

// Of the operands' dtype: a loop that has seen arrays of two kinds takes up to twice the time ever after.
const singleScratches = { s: singleScratch(), g: singleScratch() };
const doubleScratches = { s: scratch(), g: scratch() };

/** `out = s ⊙ (g − ⟨s, g⟩) / temperature` over each row. */
export function vjp(
  out: FloatArray,
  probabilities: FloatArray,
  cotangent: FloatArray,
  rows: Rows,
  { temperature }: DerivativeParameters,
): void | false {
  if (isFar(temperature)) return false;
  const { outer, classes } = rows;
  const isSingle = out instanceof Float32Array;
  if (rows.inner === 1) {
    vjpRows(out, probabilities, cotangent, outer, classes, temperature, isSingle);
    return;
  }
  const scratches = isSingle ? singleScratches : doubleScratches;
  const s = scratches.s(tileLength(rows));
  const g = scratches.g(tileLength(rows));
  forEachTile(rows, (tile) => {
    gather(s, probabilities, tile, classes);
    gather(g, cotangent, tile, classes);
    vjpRows(g, s, g, tile.count, classes, temperature, isSingle);
    scatter(out, g, tile, classes);
  });
}

/**
 * ⟨s, g⟩ of a row where one probability is nearly 1 cancels against that entry's own g, the more so as Σ s of stored probabilities is not
 * exactly 1. Subtracting a constant from g does not change the result, because J's rows add up to 0: where a probability is above ½ the
 * constant is that entry's g. Rows of two and three have their differences written out.
 */
function vjpRows(
  out: FloatArray,
  s: FloatArray,
  g: FloatArray,
  outer: number,
  classes: number,
  temperature: number,
  isSingle: boolean,
): void {
  const length = outer * classes;
  // float64 is divided by T, since a rounded 1/T alone costs an ULP.
  const factor = isSingle ? 1 / temperature : 1;
  if (classes === 2 || (classes === 3 && (isSingle || temperature === 1))) {
    (classes === 2 ? vjpPairs : vjpTriples)(out, s, g, length, factor);
    if (!isSingle && temperature !== 1) for (let k = 0; k < length; k++) out[k] /= temperature;
  } else if (isSingle) {
    (classes < leastSearched ? vjpSingleShort : vjpSingle)(out, s, g, length, classes, factor);
  } else {
    (classes < leastSearched ? vjpDoubleShort : vjpDouble)(out, s, g, length, classes, divisorOf(temperature));
  }
}
