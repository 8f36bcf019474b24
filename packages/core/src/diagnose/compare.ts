import type { Candidate } from './form.js';

/** Relative size of what counts as rounding, finest first; a value is only looked at more coarsely where nothing fits. */
export type NoiseLevels = readonly number[];

/** A noise level at which float32 is assumed, where what is smaller than its least normal number may be 0. */
export const singleLevel = 2 ** -24;
const leastNormal = 2 ** -126;

/** The caller's numbers, with what every comparison needs of them. */
export interface Given {
  readonly data: Float64Array;
  /** The largest finite magnitude; 1 where all are 0. */
  readonly unit: number;
}

export function measure(data: Float64Array): Given {
  let unit = 0;
  for (const value of data) if (Number.isFinite(value)) unit = Math.max(unit, Math.abs(value));
  return { data, unit: unit || 1 };
}

/** Rounding of a sum over f terms, in units of one rounding: the sum's drift grows like √f. */
export function roundings(f: number): number {
  return 8 + 4 * Math.sqrt(f);
}

/**
 * ‖given − candidate‖ / max(‖given‖, ‖candidate‖) for each noise level, where differences within `factor · level` of the
 * terms that were added up count as rounding, so 2.8e-17 is 0 where terms of size 0.1 cancel. Infinity where one has NaN
 * or infinities in entries in which the other has none.
 */
export function relativeErrors(given: Given, candidate: Candidate, levels: NoiseLevels, factor: number): number[] {
  const { data, unit } = given;
  const { values, terms } = candidate;
  const valueAt = typeof values === 'function' ? values : (k: number) => values[k];
  const termAt = typeof terms === 'function' ? terms : (k: number) => terms[k];
  const excess = new Float64Array(levels.length);
  let givenSquared = 0;
  let candidateSquared = 0;
  for (let k = 0; k < data.length; k++) {
    const value = data[k] / unit;
    const expected = valueAt(k) / unit;
    if (!Number.isFinite(value) || !Number.isFinite(expected)) {
      if (Number.isFinite(value) || Number.isFinite(expected)) return levels.map(() => Number.POSITIVE_INFINITY);
      continue;
    }
    givenSquared += value * value;
    candidateSquared += expected * expected;
    const difference = Math.abs(value - expected);
    if (difference === 0) continue;
    const term = (factor * termAt(k)) / unit;
    for (let level = 0; level < levels.length; level++) {
      const lost = levels[level] >= singleLevel ? leastNormal / unit : 0;
      const beyond = difference - levels[level] * term - lost;
      if (beyond > 0) excess[level] += beyond * beyond;
    }
  }
  const size = Math.max(givenSquared, candidateSquared);
  return Array.from(excess, (sum) => {
    if (sum === 0) return 0;
    return size === Number.POSITIVE_INFINITY ? 1 : Math.sqrt(sum / size);
  });
}

/**
 * The factor c and relative error of the candidate times c that is nearest to the given values; null where either is 0 or
 * not finite.
 */
export function fitFactor({ data, unit }: Given, { values }: Candidate): { factor: number; error: number } | null {
  const valueAt = typeof values === 'function' ? values : (k: number) => values[k];
  let product = 0;
  let givenSquared = 0;
  let candidateSquared = 0;
  for (let k = 0; k < data.length; k++) {
    const value = data[k] / unit;
    const expected = valueAt(k);
    product += value * expected;
    givenSquared += value * value;
    candidateSquared += expected * expected;
  }
  const cosine = product / Math.sqrt(givenSquared * candidateSquared);
  if (!Number.isFinite(cosine)) return null;
  return { factor: (product / candidateSquared) * unit, error: Math.sqrt(Math.max(0, 1 - cosine * cosine)) };
}

/** True where every value is a float32. */
export function isFloat32(data: Float64Array): boolean {
  return data.every((value) => Object.is(Math.fround(value), value) || Number.isNaN(value));
}
