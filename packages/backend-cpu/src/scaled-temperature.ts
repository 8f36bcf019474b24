import { productError } from './pair.js';

/** |T| as `divisor / (first · second)`: |T| / 1 unless it is near an end of float64's range, where quotients have no error terms. */
export interface ScaledTemperature {
  readonly divisor: number;
  /** Two powers of 2, since their product may be beyond the range. */
  readonly first: number;
  readonly second: number;
  /** The factor of numbers before the division: 1, or a quarter if their differences may overflow. */
  readonly share: number;
  /** Whether neither the divisor nor the numbers are scaled. */
  readonly isOrdinary: boolean;
}

/** Temperatures between 2^−this and 2^this need no scaling. */
const ordinaryExponent = 400;

export function isOrdinary(temperature: number): boolean {
  const size = Math.abs(temperature);
  return size >= 2 ** -ordinaryExponent && size <= 2 ** ordinaryExponent;
}

export function scaledTemperature(temperature: number): ScaledTemperature {
  const size = Math.abs(temperature);
  if (isOrdinary(temperature)) return { divisor: size, first: 1, second: 1, share: 1, isOrdinary: true };
  const exponent = Math.floor(Math.log2(size));
  const first = 2 ** -Math.trunc(exponent / 2);
  const second = 2 ** (Math.trunc(exponent / 2) - exponent);
  return { divisor: size * first * second, first, second, share: 1, isOrdinary: false };
}

/** The unit of quotients that may overflow. It is far larger than the weight of a target can compensate. */
export const wideUnit = 2 ** 64;

/** For quotients in units of `wideUnit`. */
export function inWideUnits(temperature: ScaledTemperature): ScaledTemperature {
  // A quarter of a subnormal number loses digits. They only matter at tiny temperatures, where differences may overflow anyway.
  const share = temperature.first > 1 ? 1 : 1 / 4;
  return { ...temperature, first: temperature.first / (wideUnit * share), share, isOrdinary: false };
}

/** `(high + low) / |T|`, the quotient rounded. */
export function quotientOf(high: number, { divisor, first, second }: ScaledTemperature): number {
  return (high * first * second) / divisor;
}

/** The rounding error of `quotient` as `(high + low) / |T|`; 0 if it is so large that splitting overflows. */
export function quotientRest(
  high: number,
  low: number,
  { divisor, first, second }: ScaledTemperature,
  quotient: number,
): number {
  const product = quotient * divisor;
  const remainder = high * first * second - product - productError(quotient, divisor, product);
  const rest = (remainder + low * first * second) / divisor;
  return Number.isFinite(rest) ? rest : 0;
}
