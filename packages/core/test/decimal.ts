import { Decimal } from 'decimal.js';

/** Decimal arithmetic of 120 digits. */
export const Precise = Decimal.clone({ precision: 120 });

/** The value of a float64, bit for bit: decimal.js itself takes the shortest decimal that rounds to it. */
export function exact(x: number): Decimal {
  if (x === 0 || !Number.isFinite(x)) return new Precise(x);
  const exponent = Math.max(-1074, Math.floor(Math.log2(Math.abs(x))) - 53);
  const half = Math.trunc(exponent / 2);
  const mantissa = x / 2 ** half / 2 ** (exponent - half);
  return new Precise(mantissa.toFixed(0)).times(new Precise(2).pow(exponent));
}
