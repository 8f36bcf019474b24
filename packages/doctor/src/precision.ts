import { at } from './at.js';

/** The precision to which the given numbers were rounded, as inferred from the numbers. */
export interface Precision {
  /** In words: bfloat16, float16, or a number of decimals. */
  readonly name: string;
  /** The largest rounding error of each number. */
  readonly slack: Float64Array;
  /** The unit roundoff of computing in that precision; 0 where only a printout is rounded. */
  readonly unit: number;
}

interface HalfPrecision {
  readonly name: string;
  /** Bits of the significand, the implicit one among them. */
  readonly bits: number;
  /** The exponent of the spacing of subnormals. */
  readonly least: number;
}

/** The one with fewer bits comes first. */
const halves: readonly HalfPrecision[] = [
  { name: 'bfloat16', bits: 8, least: -133 },
  { name: 'float16', bits: 11, least: -24 },
];

/** The distance between neighbouring numbers of a format at a value. */
function spacing(value: number, { bits, least }: HalfPrecision): number {
  const exponent = value === 0 ? Number.NEGATIVE_INFINITY : Math.floor(Math.log2(Math.abs(value)));
  return 2 ** Math.max(exponent - bits + 1, least);
}

function rounded(value: number, half: HalfPrecision): number {
  const step = spacing(value, half);
  const steps = value / step;
  const down = Math.floor(steps);
  // To nearest, ties to even.
  const up = steps - down > 0.5 || (steps - down === 0.5 && down % 2 !== 0);
  return (down + (up ? 1 : 0)) * step;
}

/** The range of decimals (or significant digits) that is recognized as a printout. */
const fewest = 3;
const most = 8;

/** Below this probability, it is no coincidence that numbers look like those of a coarser precision. */
const chance = 1e-3;

/**
 * The coarsest precision in which all of the numbers can be represented: bfloat16, float16, either of them printed with some
 * decimals, or 3 to 8 decimals (or as many significant digits). Null if they have more digits or are all 0.
 */
export function precisionOf(data: Float64Array): Precision | null {
  if (everyNumber(data, () => false)) return null;
  const [half, other] = halves.filter((one) => everyNumber(data, (value) => rounded(value, one) === value));
  const printed = printoutOf(data);
  if (half) return ofHalfOrPrinted(data, ofHalf(data, half, other), printed);
  if (!printed) return null;
  const { name, step } = printed;
  const origin = halves.find((one) => (likelihoodOf(data, one, printed) ?? 1) < chance);
  if (origin) return ofPrintedHalf(data, origin, printed);
  return { name, slack: data.map((value) => step(value) / 2), unit: 0 };
}

/** True if the numbers are those of a half-precision format, and no printout. */
export function areHalf(data: Float64Array): boolean {
  const precision = precisionOf(data);
  return precision !== null && precision.unit > 0 && !precision.name.includes('printed');
}

/** Every precision in which the numbers may have been printed: with so many decimals, and with so many significant digits. */
export function possiblePrintoutsOf(data: Float64Array): readonly Precision[] {
  return printoutsOf(data).map(({ name, step }) => ({ name, slack: data.map((value) => step(value) / 2), unit: 0 }));
}

/** The half precision whose printout the numbers may be, though that may be a coincidence: few or small numbers show little. Null if there is none. */
export function possibleHalfOf(data: Float64Array): Precision | null {
  const printed = printoutOf(data);
  const origin = printed && halves.find((one) => likelihoodOf(data, one, printed) !== null);
  return origin ? ofPrintedHalf(data, origin, printed) : null;
}

function ofPrintedHalf(data: Float64Array, origin: HalfPrecision, { name, step }: Printout): Precision {
  const slack = data.map((value) => (spacing(value, origin) + step(value)) / 2);
  return { name: `${origin.name}, printed with ${name}`, slack, unit: 2 ** -origin.bits };
}

/** True if all numbers pass a test, except for 0, NaN and infinities, which say nothing about the precision. */
function everyNumber(data: Float64Array, passes: (value: number) => boolean): boolean {
  for (const value of data) if (isTelling(value) && !passes(value)) return false;
  return true;
}

function isTelling(value: number): boolean {
  return value !== 0 && Number.isFinite(value);
}

/** The precision of numbers of a half-precision format. If both formats can represent them, as subnormal numbers of float16, allow for the larger error. */
function ofHalf(data: Float64Array, half: HalfPrecision, other: HalfPrecision = half): Precision {
  const slack = data.map((value) => Math.max(spacing(value, half), spacing(value, other)) / 2);
  const isCoarser = data.some((value) => value !== 0 && spacing(value, other) > spacing(value, half));
  return { name: isCoarser ? `${half.name} or ${other.name}` : half.name, slack, unit: 2 ** -half.bits };
}

/**
 * Numbers of half precision can also be a printout: ±0.125 has 3 decimals. If the rounding error of the printout is at least
 * as large for every number, assume that error: a printed 0 stands for any number that is too small to be printed.
 */
function ofHalfOrPrinted(data: Float64Array, half: Precision, printed: Printout | null): Precision {
  if (!printed) return half;
  const slack = data.map((value) => printed.step(value) / 2);
  if (data.some((value, i) => isTelling(value) && at(slack, i) < at(half.slack, i))) return half;
  return { name: `${half.name}, or printed with ${printed.name}`, slack, unit: half.unit };
}

export interface Printout {
  readonly name: string;
  /** The number of decimals of a printed number; negative if its last digit stands for tens or more. */
  places(value: number): number;
  /** The value of one unit in the last printed digit. */
  step(value: number): number;
  print(value: number): string;
}

/** The printout that all of the numbers are of, where one of them needs its last digit: 1, 2 and 0.5 are no printout of 3 decimals. */
export function printoutWithLastDigit(data: Float64Array): Printout | null {
  const printout = printoutOf(data);
  return printout && usingLastDigit(data, printout) > 0 ? printout : null;
}

/** True if no number has more decimals than that, in float32 or float64. */
export function haveDecimals(data: Float64Array, digits: number): boolean {
  return everyNumber(data, (value) => Math.fround(Number(value.toFixed(digits))) === Math.fround(value));
}

/** True where the numbers have 1 or 2 decimals, which is too few to judge them within. */
export function hasFewDecimals(data: Float64Array): boolean {
  return haveDecimals(data, fewest - 1) && !haveDecimals(data, 0);
}

function printoutsOf(data: Float64Array): readonly Printout[] {
  return knownPrintouts.flatMap((all) => all.find((one) => everyNumber(data, (value) => isPrinted(value, one))) ?? []);
}

function printoutOf(data: Float64Array): Printout | null {
  const found = printoutsOf(data);
  // Decide for the format in which fewer of the numbers end in the digit 0.
  const [first, second] = found;
  if (!first || !second) return first ?? second ?? null;
  const [ofFirst, ofSecond] = [usingLastDigit(data, first), usingLastDigit(data, second)];
  if (ofFirst !== ofSecond) return ofSecond > ofFirst ? second : first;
  // Nothing distinguishes them: the coarser one, with the larger error of each number, allows for both.
  const coarser = data.some((value) => isTelling(value) && second.step(value) > first.step(value)) ? second : first;
  return { ...coarser, step: (value) => Math.max(first.step(value), second.step(value)) };
}

function decimals(digits: number): Printout {
  const unit = 1 / 10 ** digits;
  return {
    name: `${digits} decimals`,
    places: () => digits,
    step: () => unit,
    print: (value) => value.toFixed(digits),
  };
}

function significantDigits(digits: number): Printout {
  return {
    name: `${digits} significant digits`,
    places: (value) => digits - 1 - Math.floor(Math.log10(Math.abs(value))),
    step: (value) => (value === 0 ? 0 : 10 ** (Math.floor(Math.log10(Math.abs(value))) - digits + 1)),
    print: (value) => value.toPrecision(digits),
  };
}

const knownPrintouts = [decimals, significantDigits].map((printout) =>
  Array.from({ length: most - fewest + 1 }, (_, k) => printout(fewest + k)),
);

function usingLastDigit(data: Float64Array, printout: Printout): number {
  let count = 0;
  for (const value of data) if (isTelling(value) && !endsInZero(value, printout)) count++;
  return count;
}

function endsInZero(value: number, { places, print }: Printout): boolean {
  const count = lastDigits(value, places(value));
  return count === null ? /0(?:e|$)/.test(print(value)) : count % 10 === 0;
}

/** True if printing and parsing the number gives the same number, in float64 or float32. */
function isPrinted(value: number, { places, print }: Printout): boolean {
  const decimals = places(value);
  const count = lastDigits(value, decimals);
  const read = count === null ? Number(print(value)) : inUnits(count, -decimals);
  return read === value || Math.fround(read) === value;
}

/** The number in units of its last decimal; null if that cannot be computed exactly. */
function lastDigits(value: number, places: number): number | null {
  if (Math.abs(places) > mostExact) return null;
  const count = Math.round(inUnits(value, places));
  return Number.isSafeInteger(count) ? count : null;
}

/** Powers of ten up to this exponent are exact in float64, so a product or quotient with them is rounded only once. */
const mostExact = 22;
const powersOfTen = Float64Array.from({ length: mostExact + 1 }, (_, exponent) => 10 ** exponent);

/** value · 10^exponent, rounded once. */
function inUnits(value: number, exponent: number): number {
  return exponent < 0 ? value / at(powersOfTen, -exponent) : value * at(powersOfTen, exponent);
}

/** How likely it is by coincidence that every number is the printout of a number of the format; null if one is not. */
function likelihoodOf(data: Float64Array, half: HalfPrecision, { print, step }: Printout): number | null {
  let likelihood = 1;
  for (const value of data) {
    if (!isTelling(value)) continue;
    const nearest = rounded(value, half);
    const near = [nearest, nearest - spacing(value, half), nearest + spacing(value, half)];
    if (!near.some((one) => Number(print(one)) === Number(print(value)))) return null;
    likelihood *= Math.min(1, step(value) / spacing(value, half));
  }
  return likelihood;
}
