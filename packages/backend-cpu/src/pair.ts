/** An unevaluated sum of two float64, `low` the smaller: arithmetic to about 100 bits (Dekker, "A floating-point technique …", 1971). */
export interface Pair {
  high: number;
  low: number;
}

/** 1 / (high + low), for sums between 1e-290 and 1e290. */
export function reciprocal({ high, low }: Pair): Pair {
  const quotient = 1 / high;
  const product = quotient * high;
  return { high: quotient, low: quotient * (1 - product - productError(quotient, high, product) - quotient * low) };
}

/** `a · b − product` exactly, product being a · b as rounded; not finite where splitting a or b overflows. */
export function productError(a: number, b: number, product: number): number {
  const aHead = head(a);
  const aTail = a - aHead;
  const bHead = head(b);
  const bTail = b - bHead;
  return aHead * bHead - product + aHead * bTail + aTail * bHead + aTail * bTail;
}

/** The upper 26 bits of a float64 (Veltkamp's splitting). */
function head(x: number): number {
  const scaled = x * 134217729;
  return scaled - (scaled - x);
}
