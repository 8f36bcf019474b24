import { at } from './at.js';
import { byIndex, type Candidate, type Numbers } from './form.js';
import type { Precision } from './precision.js';

/** What counts as rounding. */
export interface Noise {
  /** Differences up to this, relative to the terms that were added up. */
  readonly relative: number;
  /** Differences up to this in any case: float32 may have lost what is below its least normal number. */
  readonly absolute: number;
  /** Differences up to this at each entry, by which the given numbers were rounded. */
  readonly slack?: Float64Array;
  /** Whether the rounding of what a candidate was computed from counts as rounding. */
  readonly ofInputs?: boolean;
  /** The unit roundoff of a precision in which every step was rounded; absent where only the dtype of the numbers rounds. */
  readonly everyStep?: number;
  /** The difference, relative to the numbers, from which on two explanations can be told apart. */
  readonly resolution: number;
}

/**
 * The noise that there may be in sums over f terms, finest first: none; that of the dtype, whose drift grows like √f; that
 * of float32 where float64 was given; and 1e-6.
 */
export function noiseLevels(f: number, single: boolean): readonly Noise[] {
  const roundings = roundingsOf(f);
  const least = 2 ** -126;
  const level = (relative: number, absolute: number): Noise => ({ relative, absolute, resolution: relative });
  return [
    level(0, 0),
    ...(single ? [] : [level(roundings * 2 ** -53, 0)]),
    level(roundings * 2 ** -24, least),
    level(Math.max(3e-6, roundings * 2 ** -24), least),
  ];
}

/** As many roundings as there may be in a sum over f terms. */
function roundingsOf(f: number): number {
  return 8 + 4 * Math.sqrt(f);
}

/** Half-precision arithmetic rounds after every operation: so many roundings of the terms. */
const halfRoundings = 3;

/**
 * The noise of numbers that were rounded at the end, and where a half precision has rounded them, of numbers that were
 * computed in it.
 */
export function precisionLevels(f: number, precision: Precision | null, ofInputs: boolean): readonly Noise[] {
  if (!precision && !ofInputs) return [];
  const relative = roundingsOf(f) * 2 ** -24;
  const least: Noise = { relative, absolute: 2 ** -126, ofInputs, resolution: relative };
  if (!precision) return [least];
  const { slack, unit } = precision;
  const atTheEnd: Noise = { ...least, slack };
  if (unit === 0) return [atTheEnd];
  const doubled = slack.map((value) => 2 * value);
  return [atTheEnd, { ...atTheEnd, relative: halfRoundings * unit, slack: doubled, everyStep: unit }];
}

/** The caller's numbers, with what every comparison needs of them. */
export interface Given {
  readonly data: Float64Array;
  /** The largest finite magnitude; 1 where all are 0. */
  readonly unit: number;
}

export function measure(data: Float64Array): Given {
  return { data, unit: largestOf(data) || 1 };
}

/**
 * ‖given − candidate‖ / max(‖given‖, ‖candidate‖) for each noise level, where differences within the noise of the
 * terms that were added up count as rounding, so 2.8e-17 is 0 where terms of size 0.1 cancel. Infinity where one has NaN
 * or infinities in entries in which the other has none. A step above 1 looks at a sample of the entries only.
 */
export function relativeErrors(given: Given, candidate: Candidate, levels: readonly Noise[], step = 1): number[] {
  const { data, unit } = given;
  const { values, terms, open } = candidate;
  const valueAt = byIndex(values);
  const termAt = byIndex(terms);
  const openAt = open && byIndex(open);
  const excess = new Float64Array(levels.length);
  let givenSquared = 0;
  let candidateSquared = 0;
  for (let k = 0; k < data.length; k += step) {
    const value = at(data, k) / unit;
    const expected = valueAt(k) / unit;
    if (!Number.isFinite(value) || !Number.isFinite(expected)) {
      if (Number.isFinite(value) || Number.isFinite(expected)) return levels.map(() => Number.POSITIVE_INFINITY);
      continue;
    }
    givenSquared += value * value;
    candidateSquared += expected * expected;
    const difference = Math.abs(value - expected);
    if (difference === 0) continue;
    const term = termAt(k);
    let level = 0;
    for (const { relative, absolute, slack, ofInputs } of levels) {
      const rounded = (slack ? at(slack, k) : 0) + (ofInputs && openAt ? openAt(k) : 0);
      const beyond = difference - (relative * term + absolute + rounded) / unit;
      if (beyond > 0) excess[level] = at(excess, level) + beyond * beyond;
      level++;
    }
  }
  const size = Math.max(givenSquared, candidateSquared);
  return Array.from(excess, (sum) => {
    if (sum === 0) return 0;
    return size === Number.POSITIVE_INFINITY ? 1 : Math.sqrt(sum / size);
  });
}

/**
 * True where the given values stand out of the noise of the terms: where everything cancels, equal digits are no evidence,
 * only the same roundings.
 */
export function standsOut({ data, unit }: Given, terms: Numbers, { relative, absolute, slack }: Noise): boolean {
  const termAt = byIndex(terms);
  let size = 0;
  let beyond = 0;
  for (let k = 0; k < data.length; k++) {
    const value = Math.abs(at(data, k)) / unit;
    if (!Number.isFinite(value)) continue;
    size += value * value;
    const noise = relative * termAt(k) + absolute + (slack ? at(slack, k) : 0);
    beyond += Math.max(0, value - noise / unit) ** 2;
  }
  return size === 0 || beyond > 0.01 * size;
}

/** The factor c for which the candidate times c is nearest to the given values; null where either is 0 or not finite. */
export function fitFactor({ data, unit }: Given, { values }: Candidate): number | null {
  const valueAt = byIndex(values);
  let product = 0;
  let squared = 0;
  let any = false;
  for (let k = 0; k < data.length; k++) {
    const value = at(data, k) / unit;
    const expected = valueAt(k);
    product += value * expected;
    squared += expected * expected;
    any ||= value !== 0;
  }
  const factor = (product / squared) * unit;
  return any && Number.isFinite(factor) ? factor : null;
}

/** Entries that are looked at before all are. */
export const sampled = 1024;

/** Arrays of up to this many entries are compared whole. */
export const comparedWhole = 64 * sampled;

/** A step through so many entries that meets about `sampled` of them, of all classes; 1 where there are few. */
export function sampleStep(length: number, f: number): number {
  if (length <= comparedWhole) return 1;
  let step = Math.ceil(length / sampled);
  while (greatestCommonDivisor(step, f) > 1) step++;
  return step;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** True where every value is a float32. */
export function isFloat32(data: Float64Array): boolean {
  return data.every((value) => Object.is(Math.fround(value), value) || Number.isNaN(value));
}

/** The least and the greatest of any number of values; NaN where one is. */
export function rangeOf(values: Iterable<number>): { readonly least: number; readonly most: number } {
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return { least, most };
}

/** The largest finite magnitude. */
export function largestOf(data: Float64Array): number {
  let most = 0;
  for (const value of data) {
    const size = Math.abs(value);
    if (size > most && size !== Number.POSITIVE_INFINITY) most = size;
  }
  return most;
}
