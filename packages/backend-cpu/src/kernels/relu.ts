import type { FloatArray } from '../storage.js';

/** `out = max(x, 0)`; NaN stays NaN. */
export function relu(out: FloatArray, x: FloatArray, length: number): void {
  for (let k = 0; k < length; k++) out[k] = Math.max(x[k], 0);
}

/** `out = y > 0 ? g : 0`. */
export function reluVjp(out: FloatArray, y: FloatArray, cotangent: FloatArray, length: number): void {
  for (let k = 0; k < length; k++) out[k] = y[k] > 0 ? cotangent[k] : 0;
}
