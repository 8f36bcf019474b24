import { at } from './at.js';
import type { Candidate } from './form.js';
import { type Numbers, numberAt } from './numbers.js';
import type { Precision } from './precision.js';

/** Which differences count as rounding. */
export interface Noise {
  /** Largest difference, relative to the summed terms, that counts as rounding. */
  readonly relative: number;
  /** Largest absolute difference that counts as rounding: float32 may flush subnormal numbers to 0. */
  readonly absolute: number;
  /** For each entry, the largest rounding error of the given number. */
  readonly slack?: Float64Array;
  /** How often the rounding of what a candidate was computed from counts as rounding: 0 or absent, 1, or 2 where digits were cut. */
  readonly ofInputs?: number;
  /** The unit roundoff, if every operation was rounded to that precision; absent if only the result was rounded. */
  readonly everyStep?: number;
  /** Two explanations can be distinguished only if their relative errors differ by more than this. */
  readonly resolution: number;
}

/**
 * The possible rounding noise of sums over f terms, finest first: none; that of the dtype, which grows like √f; that of
 * float32, if the numbers are float64 (they may have been computed in float32); and 1e-6.
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

/** The rounding error to allow for in a sum over f terms, in units of the unit roundoff. */
function roundingsOf(f: number): number {
  return 8 + 4 * Math.sqrt(f);
}

/** Half-precision arithmetic rounds after every operation: the number of roundings of a term to allow for. */
const halfRoundings = 3;

/**
 * The noise of numbers of which only the result was rounded, and, if they are half precision, also of numbers of which
 * every operation was rounded.
 */
export function precisionLevels(f: number, precision: Precision | null, ofInputs: boolean): readonly Noise[] {
  if (!precision && !ofInputs) return [];
  const relative = roundingsOf(f) * 2 ** -24;
  const least: Noise = { relative, absolute: 2 ** -126, ofInputs: ofInputs ? 1 : 0, resolution: relative };
  if (!precision) return [least];
  const { slack, unit } = precision;
  const atTheEnd: Noise = { ...least, slack };
  if (unit === 0) return [atTheEnd];
  return [
    atTheEnd,
    { ...cut(atTheEnd), relative: halfRoundings * unit, ofInputs: atTheEnd.ofInputs ?? 0, everyStep: unit },
  ];
}

/** The noise of numbers whose last digits were cut off, which may be wrong by twice as much as rounded ones. */
export function cut(noise: Noise): Noise {
  const { slack, ofInputs = 0 } = noise;
  return { ...noise, ofInputs: 2 * ofInputs, ...(slack ? { slack: slack.map((value) => 2 * value) } : {}) };
}

/** The caller's numbers and their scale, which every comparison needs. */
export interface Given {
  readonly data: Float64Array;
  /** The largest finite magnitude; 1 where all are 0. */
  readonly unit: number;
}

export function measure(data: Float64Array): Given {
  return { data, unit: largestOf(data) || 1 };
}

/**
 * ‖given − candidate‖ / max(‖given‖, ‖candidate‖) for each noise level. Differences within the rounding noise of the
 * summed terms count as 0: if terms of size 0.1 cancel, 2.8e-17 equals 0. The error is Infinity if one of the arrays has
 * NaN or an infinity in an entry where the other is finite. With a `step` above 1 only every step-th entry is compared.
 */
export function relativeErrors(given: Given, candidate: Candidate, levels: readonly Noise[], step = 1): number[] {
  const { data, unit } = given;
  const { values, terms, open } = candidate;
  const excess = levels.map(() => 0);
  const isExact = levels.every(({ relative }) => relative === 0);
  const isOpen = open !== undefined && levels.some(({ ofInputs }) => ofInputs);
  let givenSquared = 0;
  let candidateSquared = 0;
  let found = 0;
  for (let k = 0; k < data.length; k += step) {
    const value = at(data, k) / unit;
    const expected = numberAt(values, k) / unit;
    if (!Number.isFinite(value) || !Number.isFinite(expected)) {
      if (Number.isFinite(value) || Number.isFinite(expected)) return levels.map(() => Number.POSITIVE_INFINITY);
      continue;
    }
    givenSquared += value * value;
    candidateSquared += expected * expected;
    const difference = Math.abs(value - expected);
    if (difference === 0) continue;
    differences[found] = difference;
    termsThere[found] = isExact ? 0 : numberAt(terms, k);
    openThere[found] = isOpen ? numberAt(open, k) : 0;
    places[found] = k;
    found++;
    if (found === block) {
      addExcess(excess, found, levels, unit);
      found = 0;
    }
  }
  addExcess(excess, found, levels, unit);
  const size = Math.max(givenSquared, candidateSquared);
  return excess.map((sum) => {
    if (sum === 0) return 0;
    return size === Number.POSITIVE_INFINITY ? 1 : Math.sqrt(sum / size);
  });
}

/**
 * So many entries that differ are compared with the noise at once, level by level: a candidate can have as many as a Jacobian has. All calls share the
 * arrays, because the values of a candidate never compare another one.
 */
const block = 256;
const differences = new Float64Array(block);
const termsThere = new Float64Array(block);
const openThere = new Float64Array(block);
const places = new Float64Array(block);

/** Adds the square of what each difference exceeds the noise by, for each level. */
function addExcess(excess: number[], found: number, levels: readonly Noise[], unit: number): void {
  for (const [level, { relative, absolute, slack, ofInputs = 0 }] of levels.entries()) {
    let sum = excess[level] ?? 0;
    for (let i = 0; i < found; i++) {
      const rounded = (slack ? at(slack, at(places, i)) : 0) + (ofInputs ? ofInputs * at(openThere, i) : 0);
      const beyond = at(differences, i) - (relative * at(termsThere, i) + absolute + rounded) / unit;
      if (beyond > 0) sum += beyond * beyond;
    }
    excess[level] = sum;
  }
}

/**
 * A lower bound of each of the relative errors, computed in less time: the norm of what exceeds the noise is at least the norm of the
 * differences minus that of the noise. 0 where that is negative or not finite.
 */
export function leastErrors(given: Given, candidate: Candidate, levels: readonly Noise[]): number[] {
  const { data, unit } = given;
  const { values, terms, open } = candidate;
  let givenSquared = 0;
  let candidateSquared = 0;
  let squared = 0;
  let termsSquared = 0;
  let openSquared = 0;
  for (let k = 0; k < data.length; k++) {
    const value = at(data, k) / unit;
    const expected = numberAt(values, k) / unit;
    const difference = value - expected;
    if (!Number.isFinite(difference)) return levels.map(() => 0);
    givenSquared += value * value;
    candidateSquared += expected * expected;
    if (difference === 0) continue;
    squared += difference * difference;
    const term = numberAt(terms, k);
    termsSquared += term * term;
    if (open) openSquared += numberAt(open, k) ** 2;
  }
  const size = Math.max(givenSquared, candidateSquared);
  return levels.map(({ relative, absolute, slack, ofInputs = 0 }) => {
    const ofSlack = slack ? normOf(slack) : 0;
    const noise =
      relative * Math.sqrt(termsSquared) +
      absolute * Math.sqrt(data.length) +
      ofSlack +
      ofInputs * Math.sqrt(openSquared);
    const least = (unlessRounded * Math.sqrt(squared) - noise / unit) / Math.sqrt(size);
    return least > 0 && size < Number.POSITIVE_INFINITY ? least : 0;
  });
}

/** The bound and the error are sums in another order. */
const unlessRounded = 1 - 1e-6;

const norms = new WeakMap<Float64Array, number>();

function normOf(slack: Float64Array): number {
  let norm = norms.get(slack);
  if (norm === undefined) {
    norm = Math.sqrt(slack.reduce((sum, value) => sum + value * value, 0));
    norms.set(slack, norm);
  }
  return norm;
}

/** An entry does not match if it is off by more than this share of the terms that are added up for it, and of the largest number of its row. */
const ofTerms = 1e-2;
const ofRow = 1e-6;

/** The largest error of a single entry, relative to its terms; 0 if every entry matches, small ones beside large ones too. */
export function worstEntry({ data }: Given, { values, terms, open }: Candidate, noise: Noise, f: number): number {
  const { relative, absolute, slack, ofInputs = 0 } = noise;
  let worst = 0;
  for (let first = 0; first < data.length; first += f) {
    const least = ofRow * largestOf(data.subarray(first, first + f));
    for (let k = first; k < first + f; k++) {
      const term = numberAt(terms, k);
      const ofOpen = open ? ofInputs * numberAt(open, k) : 0;
      const rounded = relative * term + absolute + (slack ? at(slack, k) : 0) + ofOpen;
      const beyond = Math.abs(at(data, k) - numberAt(values, k)) - rounded;
      if (beyond > ofTerms * term + least) worst = Math.max(worst, beyond / (term + least));
    }
  }
  return worst;
}

/**
 * True if the given values are larger than the rounding noise of the terms. If they are not, agreement with a formula proves
 * nothing: everything cancels, and only rounding errors agree.
 */
export function standsOut({ data, unit }: Given, terms: Numbers, { relative, absolute, slack }: Noise): boolean {
  let size = 0;
  let beyond = 0;
  for (let k = 0; k < data.length; k++) {
    const value = Math.abs(at(data, k)) / unit;
    if (!Number.isFinite(value)) continue;
    size += value * value;
    const noise = relative * numberAt(terms, k) + absolute + (slack ? at(slack, k) : 0);
    beyond += Math.max(0, value - noise / unit) ** 2;
  }
  return size === 0 || beyond > 0.01 * size;
}

/** The least-squares factor from the candidate to the given values; null if either is 0 throughout or not finite. */
export function fitFactor({ data, unit }: Given, { values }: Candidate): number | null {
  let product = 0;
  let squared = 0;
  let any = false;
  for (let k = 0; k < data.length; k++) {
    const value = at(data, k) / unit;
    const expected = numberAt(values, k);
    product += value * expected;
    squared += expected * expected;
    any ||= value !== 0;
  }
  const factor = (product / squared) * unit;
  return any && Number.isFinite(factor) ? factor : null;
}

/** How many entries of a large array are compared before the whole array is. */
export const sampled = 1024;

/** Arrays of up to this many entries are always compared whole. */
export const comparedWhole = 8 * sampled;

/** A step that visits about `sampled` of the entries and every class; 1 for an array that is compared whole. */
export function sampleStep(length: number, f: number): number {
  if (length <= comparedWhole) return 1;
  let step = Math.ceil(length / sampled);
  while (greatestCommonDivisor(step, f) > 1) step++;
  return step;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** True if every value can be represented in float32. */
export function isFloat32(data: Float64Array): boolean {
  return data.every((value) => Object.is(Math.fround(value), value) || Number.isNaN(value));
}

/** The minimum and maximum of the values; NaN if one of them is NaN. */
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
