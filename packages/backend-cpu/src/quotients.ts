/** `out[to + k] = (exp[k] + rests[k]) / (high + low)`. */
export function divide(
  out: Float64Array,
  exp: Float64Array,
  rests: Float64Array,
  to: number,
  length: number,
  high: number,
  low: number,
): void {
  const factor = 1 / high;
  let k = 0;
  for (; k < length - 3; k += 4) {
    const target = (to + k) | 0;
    const k1 = (k + 1) | 0;
    const k2 = (k + 2) | 0;
    const k3 = (k + 3) | 0;
    out[target] = corrected(exp[k] / high, rests[k], low, factor);
    out[(target + 1) | 0] = corrected(exp[k1] / high, rests[k1], low, factor);
    out[(target + 2) | 0] = corrected(exp[k2] / high, rests[k2], low, factor);
    out[(target + 3) | 0] = corrected(exp[k3] / high, rests[k3], low, factor);
  }
  for (; k < length; k++) out[to + k] = corrected(exp[k] / high, rests[k], low, factor);
}

/** A quotient with what the rests of its dividend and its divisor add to it. `factor` is 1 / divisor, as rounded. */
export function corrected(quotient: number, rest: number, divisorRest: number, factor: number): number {
  return quotient + (rest - quotient * divisorRest) * factor;
}
