import type { DerivativeParameters, Rows } from '@softgrad/core';
import { type FloatArray, scratch, singleScratch } from '../../storage.js';
import { hasInverse, inverseTemperature } from '../../temperature.js';
import { forEachTile, gather, scatter, tileLength } from '../../tiles.js';
import { divisorOf, vjpDouble } from './double.js';
import { leastSearched, vjpDoubleShort, vjpSingleShort } from './short.js';
import { isLinear, vjpSingle } from './single.js';
import { vjpPairs, vjpTriples } from './two-or-three.js';
import { vjpWideRow } from './wide.js';

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
  if (!hasInverse(out, temperature)) return false;
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
  const factor = isSingle ? inverseTemperature(temperature) : 1;
  if (!isSingle && Math.abs(temperature) < leastTemperature) {
    for (let start = 0; start < length; start += classes) vjpWideRow(out, s, g, start, start + classes, temperature);
  } else if (classes === 2 || (classes === 3 && (isSingle || temperature === 1))) {
    (classes === 2 ? vjpPairs : vjpTriples)(out, s, g, length, factor);
    if (!isSingle) divide(out, 0, length, temperature);
  } else if (isSingle) {
    (classes < leastSearched && isLinear(factor) ? vjpSingleShort : vjpSingle)(out, s, g, length, classes, factor);
  } else {
    const isOrdinary = Math.log2(Math.abs(temperature)) < mostExponent;
    const divisor = divisorOf(isOrdinary ? temperature : 1);
    (classes < leastSearched ? vjpDoubleShort : vjpDouble)(out, s, g, length, classes, divisor);
    if (!isOrdinary) divide(out, 0, length, temperature);
  }
}

/** Below this temperature a result of float64 may be an ordinary number even if its product before the division is subnormal. */
const leastTemperature = 2 ** -64;

/** Of temperatures beyond 2^960, 1 / T or what it is split into may lose bits. */
const mostExponent = 960;

function divide(out: FloatArray, start: number, end: number, temperature: number): void {
  if (temperature !== 1) for (let k = start; k < end; k++) out[k] /= temperature;
}
