import type { Value } from '../backend/graph.js';
import type { FloatDType } from '../tensor/dtype.js';
import type { Expressions } from './definition.js';

/** Terms of the series of artanh(z) / z for z ≤ 1/5: the first omitted term is below half an ULP. */
const artanhTerms = { float16: 3, float32: 5, float64: 11 } as const satisfies Record<FloatDType, number>;

/**
 * `log(1 + x)` for x ≥ 0, and −Infinity for −1. A backend's log has an absolute error near 1 (in WGSL 2⁻²¹), and 1 + x drops the digits
 * of a small x: up to ½ it is `2 artanh(x / (2 + x))` by its series `2 z (1 + z²/3 + z⁴/5 + …)`, whose z is at most 1/5.
 */
export function log1p<B>(m: Expressions<B>, x: Value<B>): Value<B> {
  const z = m.div(x, m.add(x, 2));
  const square = m.mul(z, z);
  const last = 2 * artanhTerms[m.dtype] - 1;
  let series = m.mul(square, 1 / last);
  for (let k = last - 2; k > 1; k -= 2) series = m.mul(square, m.add(series, 1 / k));
  const twice = m.add(z, z);
  const isSmall = m.mul(x, m.sub(0.5, x));
  return m.select(isSmall, m.add(twice, m.mul(twice, series)), m.log(m.add(x, 1)));
}

/**
 * Σ exp(x) − 1 over each row of logits that were shifted by their maximum: the exponentials of all entries except one that is 0.
 * The whole sum would lose the digits of small terms. An entry of +Infinity makes it +Infinity, a NaN makes it NaN.
 */
export function sumOfOthers<B>(m: Expressions<B>, x: Value<B>): Value<B> {
  const isLargest = m.add(x, m.dtype === 'float16' ? 2 ** -14 : 2 ** -100);
  const largest = m.sum(m.select(isLargest, 1, 0));
  return m.add(m.sum(m.select(isLargest, x, m.exp(x))), m.sub(largest, 1));
}
