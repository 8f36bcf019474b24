/** `(x − max) / T`, also where the difference alone is beyond the largest float64. */
export function quotientOfGap(x: number, max: number, temperature: number): number {
  const difference = x - max;
  return Number.isFinite(difference) ? difference / temperature : (x / 2 - max / 2) / (temperature / 2);
}

/**
 * What logits are multiplied by before their gaps are multiplied by weights and added, so that neither overflows nor loses digits unless the quotient of
 * both by T does.
 */
export function gapUnit(temperature: number): number {
  return temperature < 2 ** -600 ? unit : 1 / unit;
}

/** Between 2^±this, neither products with a temperature nor their rounding errors are near the ends of the range. */
const ordinaryExponent = 900;

/** Takes numbers from the ends of the range. */
const unit = 2 ** 200;

/**
 * `exp((x − max) / T)`, T above 0, with the rounding errors of the difference and of the quotient: without them, half an ULP of a gap of 700 would be
 * 250 ULP of the exponential. At a temperature near an end of the range, all are multiplied by a power of 2, which loses no digit: what underflows is far
 * smaller than T.
 */
export function expOfGap(x: number, max: number, temperature: number): number {
  if (temperature > 2 ** ordinaryExponent) return expOfGap(x / unit, max / unit, temperature / unit);
  const difference = x - max;
  const error = differenceError(x, max, difference);
  if (temperature < 2 ** -ordinaryExponent) return expOfQuotient(difference * unit, error * unit, temperature * unit);
  return expOfQuotient(difference, error, temperature);
}

/** `exp((difference + error) / T)`, the error the smaller. */
function expOfQuotient(difference: number, error: number, temperature: number): number {
  const quotient = difference / temperature;
  const e = Math.exp(quotient);
  const product = quotient * temperature;
  const rest = (difference - product - productError(quotient, temperature, product) + error) / temperature;
  // Not finite where the quotient is so large that the exponential is 0, infinite or NaN.
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
