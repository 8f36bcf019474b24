import { add, difference, div, exactly, exp, mul, nearest, one, product, sub } from './doubledouble.js';
import { elements, type Values } from './row-entries.js';

/** `1 / (1 + exp(−x))`. */
export function sigmoid(x: Values): Float64Array {
  return elements(x.length, (i) => {
    const value = x[i] ?? Number.NaN;
    const e = exp(exactly(-Math.abs(value)));
    return nearest(div(value >= 0 ? one : e, add(one, e)));
  });
}

/** `g y (1 − y)`. */
export function sigmoidVjp(y: Values, g: Values): Float64Array {
  return elements(y.length, (i) => {
    const value = exactly(y[i]);
    return nearest(mul(exactly(g[i]), mul(value, sub(one, value))));
  });
}

/** `g t y (1 − y) (1 − 2y)`. */
export function sigmoidHvp(y: Values, g: Values, t: Values): Float64Array {
  return elements(y.length, (i) => {
    const value = y[i] ?? Number.NaN;
    const slope = mul(exactly(value), difference(1, value));
    return nearest(mul(product(g[i], t[i]), mul(slope, difference(1, 2 * value))));
  });
}

/** `max(x, 0)`; NaN stays NaN. */
export function relu(x: Values): Float64Array {
  return elements(x.length, (i) => Math.max(x[i] ?? Number.NaN, 0));
}

/** `y > 0 ? g : 0`. */
export function reluVjp(y: Values, g: Values): Float64Array {
  return elements(y.length, (i) => ((y[i] ?? Number.NaN) > 0 ? (g[i] ?? Number.NaN) : 0));
}
