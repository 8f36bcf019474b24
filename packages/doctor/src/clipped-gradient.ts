import { at } from './at.js';
import { type Given, largestOf, rangeOf } from './compare.js';
import type { Candidate } from './form.js';
import { byIndex } from './numbers.js';
import type { Precision } from './precision.js';
import type { Problem } from './problem.js';

/** Gradients that were clipped: the bound is taken from the numbers. */

/** An entry or a row was clipped where the right one exceeds the bound by more than this share of it. */
const visible = 1e-2;

/** The fewest numbers that agree with the right derivative besides those that the bound explains. */
const enough = 4;

/** A bound with more significant digits than this is believed only if several entries have it. */
const digitsOfBound = 2;

/** What float32 leaves of a bound. */
const float32Noise = 1e-6;

function isRound(bound: number): boolean {
  return Math.abs(Number(bound.toPrecision(digitsOfBound)) - bound) <= float32Noise * Math.abs(bound);
}

function written(bound: number): string {
  return `${Number(bound.toPrecision(6))}`.replace('-', '−');
}

/** The right derivative with its entries clipped to the range of the given numbers; null if that would change nothing, or shows too little. */
export function clippedByValue({ data }: Given, found: Candidate): Candidate | null {
  const valueAt = byIndex(found.values);
  const { least, most } = rangeOf(data);
  if (!Number.isFinite(most - least) || least === most) return null;
  const slack = visible * largestOf(data);
  let above = 0;
  let below = 0;
  let inside = 0;
  for (let k = 0; k < data.length; k++) {
    const value = valueAt(k);
    if (value > most + slack) above++;
    else if (value < least - slack) below++;
    else if (Math.abs(value) > slack) inside++;
  }
  const isSymmetric = above > 0 && below > 0 && Math.abs(most + least) <= float32Noise * most;
  const isBound = (bound: number, count: number) => count === 0 || count > 1 || isSymmetric || isRound(bound);
  if (above + below === 0 || inside < enough || !isBound(most, above) || !isBound(least, below)) return null;
  const upper = above > 0 ? most : Number.POSITIVE_INFINITY;
  const lower = below > 0 ? least : Number.NEGATIVE_INFINITY;
  const words = isSymmetric
    ? `±${written(most)}`
    : below === 0
      ? `at most ${written(most)}`
      : above === 0
        ? `at least ${written(least)}`
        : `${written(least)} … ${written(most)}`;
  return {
    formula: `${found.formula}, clipped to ${words}`,
    values: (k) => Math.min(Math.max(valueAt(k), lower), upper),
    terms: found.terms,
  };
}

/** The right derivative with each row scaled down to the largest norm of the given rows; null if that would change nothing, or shows too little. */
export function clippedByRow({ n, f }: Problem, { data }: Given, found: Candidate): Candidate | null {
  if (n < 2 || !data.every(Number.isFinite)) return null;
  const valueAt = byIndex(found.values);
  const normOf = (from: (k: number) => number, row: number) => {
    let squared = 0;
    for (let k = row * f; k < (row + 1) * f; k++) squared += from(k) ** 2;
    return Math.sqrt(squared);
  };
  const given = Float64Array.from({ length: n }, (_, row) => normOf((k) => at(data, k), row));
  const own = Float64Array.from({ length: n }, (_, row) => normOf(valueAt, row));
  const largest = largestOf(given);
  const clipped = given.filter((_, row) => at(own, row) > (1 + visible) * largest);
  // Rounding changes the norm of each of them.
  const bound = clipped.reduce((sum, norm) => sum + norm, 0) / clipped.length;
  // Rows that all have the same norm, as of rows that were divided by theirs, are no sign of a bound.
  if (clipped.length === 0 || clipped.length === n) return null;
  if ((clipped.length === 1 && !isRound(bound)) || n * (f - 1) - 1 < enough) return null;
  const factors = own.map((norm) => Math.min(1, bound / norm));
  const termAt = byIndex(found.terms);
  return {
    formula: `${found.formula}, each row clipped to the norm ${written(bound)}`,
    values: (k) => valueAt(k) * at(factors, Math.floor(k / f)),
    terms: (k) => termAt(k) * at(factors, Math.floor(k / f)),
  };
}

/** Common bounds of the norm of a gradient. */
const norms = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10] as const;

/** The norm of a gradient that was clipped differs from the bound by at most this in float32; PyTorch divides by the norm + 1e-6. */
const clipping = 4e-6;

/** What half precision leaves of a norm, at most: the errors of the entries largely cancel in it. */
const ofHalf = 2 ** -9;

/** The bound that the norm of the numbers is, but for what their precision leaves open; null if it is none of the common ones. */
export function boundOfNorm(data: Float64Array, precision: Precision | null): number | null {
  const norm = sizeOf(data);
  return norms.find((bound) => Math.abs(norm - bound) <= leftOpen(bound, precision)) ?? null;
}

/** Beyond this share of it, a norm of any numbers may be round by coincidence. */
const mostOpen = 2e-5;

/** The norm of the numbers if it is a number of at most two digits, which a bound is and another norm hardly; null otherwise. */
export function roundNormOf(data: Float64Array, precision: Precision | null): number | null {
  const norm = sizeOf(data);
  const round = Number(norm.toPrecision(digitsOfBound));
  const open = leftOpen(round, precision);
  return open <= mostOpen * round && Math.abs(norm - round) <= open ? round : null;
}

/** By how much the norm of numbers that were clipped to a bound may differ from it. */
function leftOpen(bound: number, precision: Precision | null): number {
  const { unit, slack } = precision ?? { unit: 0, slack: null };
  return (clipping + Math.min(unit, ofHalf)) * bound + (slack && unit === 0 ? sizeOf(slack) : 0);
}

function sizeOf(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}
