/** An unevaluated sum of two float64, `low` the smaller: arithmetic to about 100 bits (Dekker, "A floating-point technique …", 1971). */
export interface Pair {
  high: number;
  low: number;
}

/** 1 / x, for an x between 1e-290 and 1e290. */
export function reciprocal(x: number): Pair {
  const high = 1 / x;
  const product = high * x;
  return { high, low: high * (1 - product - productError(high, x, product)) };
}

/** n / d, where neither it nor d is at the ends of the range. */
export function quotient(n: number, d: Pair): Pair {
  const high = n / d.high;
  const product = high * d.high;
  return { high, low: (n - product - productError(high, d.high, product) - high * d.low) / d.high };
}

/** The rounding error of `quotient` as `(n + low) / d`; not finite if it is so large that splitting overflows. */
export function quotientError(n: number, low: number, d: number, quotient: number): number {
  const product = quotient * d;
  return (n - product - productError(quotient, d, product) + low) / d;
}

/** Whether n / d and the errors of products with it are in the range. */
export function hasQuotient(n: number, d: number): boolean {
  return isOrdinary(d) && isOrdinary(n / d) && Math.abs(n) > 2 ** -900;
}

function isOrdinary(x: number): boolean {
  const size = Math.abs(x);
  return size > 2 ** -900 && size < 2 ** 900;
}

/** `(high + low) · factor`, rounded once unless an error term overflows. */
export function timesPair(high: number, low: number, factor: Pair): number {
  const product = high * factor.high;
  return corrected(product, productRest(high, low, factor.high, factor.low, product));
}

/** `(a + aLow) (b + bLow) − product`, product being a · b as rounded. */
export function productRest(a: number, aLow: number, b: number, bLow: number, product: number): number {
  return productError(a, b, product) + (a * bLow + aLow * b);
}

/** `a + b − sum` exactly, sum being a + b as rounded: Knuth's TwoSum (The Art of Computer Programming, 4.2.2). */
export function sumError(a: number, b: number, sum: number): number {
  const added = sum - a;
  return a - (sum - added) + (b - added);
}

/** A compensated sum. Where the sum is infinite, so that its correction is NaN, it stays infinite. */
export function corrected(sum: number, correction: number): number {
  return Number.isFinite(correction) ? sum + correction : sum;
}

/** `a · b − product` exactly, product being a · b as rounded; not finite if splitting a or b overflows. */
export function productError(a: number, b: number, product: number): number {
  const aHead = head(a);
  const aTail = a - aHead;
  const bHead = head(b);
  const bTail = b - bHead;
  return aHead * bHead - product + aHead * bTail + aTail * bHead + aTail * bTail;
}

/** The upper 26 bits of a float64 (Veltkamp's splitting). */
export function head(x: number): number {
  const scaled = x * 134217729;
  return scaled - (scaled - x);
}

/** `Σ p (v − origin)` over a row into `result`, compensated in two chains. */
export function centredMean(
  result: Pair,
  p: ArrayLike<number>,
  v: ArrayLike<number>,
  start: number,
  end: number,
  origin: number,
): void {
  let mean0 = 0;
  let mean1 = 0;
  let low0 = 0;
  let low1 = 0;
  let k = start;
  for (const lastTwo = (end - 1) | 0; k < lastTwo; k += 2) {
    const l = (k + 1) | 0;
    const term0 = p[k] * (v[k] - origin);
    const term1 = p[l] * (v[l] - origin);
    const next0 = mean0 + term0;
    const next1 = mean1 + term1;
    low0 += sumError(mean0, term0, next0);
    low1 += sumError(mean1, term1, next1);
    mean0 = next0;
    mean1 = next1;
  }
  if (k < end) {
    const term = p[k] * (v[k] - origin);
    const next = mean0 + term;
    low0 += sumError(mean0, term, next);
    mean0 = next;
  }
  result.high = mean0 + mean1;
  result.low = sumError(mean0, mean1, result.high) + low0 + low1;
}

/** Σ v but for the entry at `top` into `result`, with the rounding errors: large numbers that cancel leave the digits of small ones. */
export function sumBut(result: Pair, v: ArrayLike<number>, start: number, end: number, top: number): void {
  let sum = 0;
  let low = 0;
  for (let k = start; k < end; k++) {
    const term = k === top ? 0 : v[k];
    const next = sum + term;
    low += sumError(sum, term, next);
    sum = next;
  }
  result.high = sum;
  result.low = low;
}
