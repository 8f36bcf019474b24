/**
 * `exp((x − max) / T)`, with the rounding errors of the difference and of the quotient: without them, half an ULP of a gap of 700 would be 250 ULP of
 * the exponential.
 */
export function expOfGap(x: number, max: number, temperature: number): number {
  const difference = x - max;
  const quotient = difference / temperature;
  const e = Math.exp(quotient);
  const product = quotient * temperature;
  const remainder = difference - product - productError(quotient, temperature, product);
  const rest = (remainder + differenceError(x, max, difference)) / temperature;
  // Near the ends of the range, products cannot be split.
  return Number.isFinite(rest) ? e + e * rest : e;
}

/** `a − b − difference` exactly, the difference being a − b as rounded: Knuth's TwoSum (The Art of Computer Programming, 4.2.2). */
function differenceError(a: number, b: number, difference: number): number {
  const subtracted = difference - a;
  return a - (difference - subtracted) - (b + subtracted);
}

/** `a · b − product` exactly, product being a · b as rounded (Dekker, "A floating-point technique for extending the available precision", 1971). */
function productError(a: number, b: number, product: number): number {
  const [aHead, bHead] = [head(a), head(b)];
  const [aTail, bTail] = [a - aHead, b - bHead];
  return aHead * bHead - product + aHead * bTail + aTail * bHead + aTail * bTail;
}

/** The upper 26 bits (Veltkamp's splitting). */
function head(x: number): number {
  const scaled = x * 134217729;
  return scaled - (scaled - x);
}
