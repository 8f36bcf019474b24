import { productError } from './pair.js';

/** |T| as `divisor / (first · second)`: |T| / 1 unless it is near an end of float64's range, where quotients have no error terms. */
export interface ScaledTemperature {
  readonly divisor: number;
  /** Two powers of 2, since their product may be beyond the range. */
  readonly first: number;
  readonly second: number;
  /** What of a number is divided: all of it, or a quarter where differences of numbers may be beyond the range. */
  readonly share: number;
  /** The divisor is |T| itself, and what is divided a number as it is. */
  readonly isOrdinary: boolean;
}

/** Between 2^∓this a temperature is divided by as it is. */
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

/** The unit of quotients that may be beyond the range: far more than a weight of a target makes up for. */
export const wideUnit = 2 ** 64;

/** For quotients in units of `wideUnit`. */
export function inWideUnits(temperature: ScaledTemperature): ScaledTemperature {
  // A quarter of a subnormal number loses digits, which count at such temperatures only; there a difference need not be finite.
  const share = temperature.first > 1 ? 1 : 1 / 4;
  return { ...temperature, first: temperature.first / (wideUnit * share), share, isOrdinary: false };
}

/** `(high + low) / |T|`, the quotient rounded. */
export function quotientOf(high: number, { divisor, first, second }: ScaledTemperature): number {
  return (high * first * second) / divisor;
}

/** What `quotient` lacks of `(high + low) / |T|`; 0 where it is so large that splitting overflows. */
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
