import { expPair } from '../exp-double.js';
import { expOfFloat32 } from '../exp-single.js';
import { corrected, productError, productRest, sumError } from '../pair.js';
import type { FloatArray } from '../storage.js';

/** `out = 1 / (1 + exp(−x))`, from exp(−|x|), which does not overflow. */
export function sigmoid(out: FloatArray, x: FloatArray, length: number): void {
  if (out instanceof Float64Array) {
    preciseSigmoid(out, x, length);
    return;
  }
  for (let k = 0; k < length; k++) {
    const e = expOfFloat32(-Math.abs(x[k]));
    out[k] = (x[k] < 0 ? e : 1) / (1 + e);
  }
}

const exp = new Float64Array(1);

/** The same with the rounding errors of exp and of the sum: within an ULP. */
function preciseSigmoid(out: Float64Array, x: FloatArray, length: number): void {
  for (let k = 0; k < length; k++) {
    const rest = expPair(exp, 0, -Math.abs(x[k]), 0);
    const e = exp[0];
    const sum = 1 + e;
    const quotient = e / sum;
    const smaller = quotient + (rest - quotient * (1 - sum + e + rest)) / sum;
    out[k] = x[k] < 0 ? smaller : 1 - smaller;
  }
}

/** `out = g ⊙ y ⊙ (1 − y)`. */
export function sigmoidVjp(out: FloatArray, y: FloatArray, cotangent: FloatArray, length: number): void {
  for (let k = 0; k < length; k++) out[k] = y[k] * (1 - y[k]) * cotangent[k];
}

/** `out = g ⊙ t ⊙ y (1 − y) (1 − 2y)`. */
export function sigmoidHvp(
  out: FloatArray,
  y: FloatArray,
  cotangent: FloatArray,
  tangent: FloatArray,
  length: number,
): void {
  if (out instanceof Float64Array) {
    const [p, g, t] = [y, cotangent, tangent].map((operand) => (operand === out ? operand.slice() : operand));
    if (!preciseHvp(out, p, g, t, length)) restoreWide(out, p, g, t, length);
    return;
  }
  for (let k = 0; k < length; k++) out[k] = cotangent[k] * tangent[k] * (y[k] * (1 - y[k])) * (1 - 2 * y[k]);
}

/** The same with the rounding errors of all but two products. Returns whether the results are finite. */
function preciseHvp(
  out: Float64Array,
  y: FloatArray,
  cotangent: FloatArray,
  tangent: FloatArray,
  length: number,
): boolean {
  let zero = 0;
  for (let k = 0; k < length; k++) {
    const left = 1 - y[k];
    const bend = 1 - 2 * y[k];
    const slope = y[k] * left;
    const directions = cotangent[k] * tangent[k];
    const slopeLow = productRest(y[k], 0, left, sumError(1, -y[k], left), slope);
    const directionsLow = productError(cotangent[k], tangent[k], directions);
    const product = directions * slope;
    const rest = product * sumError(1, -2 * y[k], bend) + (directions * slopeLow + directionsLow * slope) * bend;
    out[k] = corrected(product * bend, rest);
    zero += out[k] * 0;
  }
  return zero === 0;
}

/** Finite results in place of those that are not because the product of the directions is beyond the range: the larger of them is multiplied first. */
function restoreWide(
  out: Float64Array,
  y: FloatArray,
  cotangent: FloatArray,
  tangent: FloatArray,
  length: number,
): void {
  for (let k = 0; k < length; k++) {
    if (Number.isFinite(out[k])) continue;
    const [g, t] = [cotangent[k], tangent[k]];
    const factor = y[k] * (1 - y[k]) * (1 - 2 * y[k]);
    out[k] = Math.abs(g) > Math.abs(t) ? factor * g * t : factor * t * g;
  }
}
