/** `x · 2^power`, which leaves the range only if the result does. */
export function timesPower(x: number, power: number): number {
  let product = x;
  let rest = power;
  for (; rest > 1000; rest -= 1000) product *= 2 ** 1000;
  for (; rest < -1000; rest += 1000) product *= 2 ** -1000;
  return product * 2 ** rest;
}

/** The exponent of x, whose opposite power makes it about 1; 0 for what has none: 0, infinities and NaN. */
export function exponentOf(x: number): number {
  const exponent = Math.floor(Math.log2(Math.abs(x)));
  return Number.isFinite(exponent) ? exponent : 0;
}

/** Numbers between 2^-this and 2^this have products, and products with probabilities, whose error terms are in the range. */
const ordinaryExponent = 400;

/** Whether the largest entry is so small that error terms of products with it underflow. */
export function isSmall(v: Float64Array, start: number, end: number): boolean {
  let largest = 0;
  for (let k = start; k < end; k++) {
    const size = Math.abs(v[k]);
    if (size > 2 ** -ordinaryExponent) return false;
    if (size > largest) largest = size;
  }
  return largest > 0;
}

/**
 * Multiplies entries by the power of 2 by which the largest is about 2^ordinaryExponent, and returns the power that restores them. What is lost of entries
 * that are far smaller is beyond the digits of sums with the largest. Finite entries of weight 0 do not count and are 0 afterwards, because they may be far larger.
 */
export function normalise(v: Float64Array, weights: Float64Array | null, start: number, end: number): number {
  let largest = 0;
  for (let k = start; k < end; k++) {
    if (weights !== null && weights[k] === 0 && Number.isFinite(v[k])) v[k] = 0;
    const size = Math.abs(v[k]);
    if (size > largest && size < Number.POSITIVE_INFINITY) largest = size;
  }
  const power = ordinaryExponent - exponentOf(largest);
  for (let k = start; k < end; k++) v[k] = timesPower(v[k], power);
  return -power;
}
