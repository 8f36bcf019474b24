import { expOfFloat64 } from '../exp-double.js';
import { expOfFloat32 } from '../exp-single.js';
import type { FloatArray } from '../storage.js';

/** `out = 1 / (1 + exp(−x))`, from exp(−|x|), which does not overflow. */
export function sigmoid(out: FloatArray, x: FloatArray, length: number): void {
  const double = out instanceof Float64Array;
  for (let k = 0; k < length; k++) {
    const magnitude = -Math.abs(x[k]);
    const e = double ? expOfFloat64(magnitude) : expOfFloat32(magnitude);
    out[k] = (x[k] < 0 ? e : 1) / (1 + e);
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
  for (let k = 0; k < length; k++) out[k] = cotangent[k] * tangent[k] * (y[k] * (1 - y[k])) * (1 - 2 * y[k]);
}
