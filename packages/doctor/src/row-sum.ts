import { at } from './at.js';
import { largestOf, noiseLevels } from './compare.js';
import type { Kind } from './form.js';
import type { Problem } from './problem.js';

/**
 * True if the numbers can be the rounding noise of sums of terms s_i s_j that were rounded to half precision: then they are integer
 * multiples of the last place (ULP) of the smallest term.
 */
export function isSumOfRounded(problem: Problem, data: Float64Array, unit: number): boolean {
  if (data.length !== problem.n * problem.f) return false;
  return lastPlaces(problem, data).every((place) => place === 0 || Number.isInteger(place / unit));
}

/** Below this probability, it is no coincidence that numbers of half precision are such multiples. */
const chance = 1e-4;

/**
 * True if it is no coincidence that numbers of half precision are such multiples: a number is a multiple of its own last place, which
 * is that fraction of the smallest term's. A number that occurs again shows nothing.
 */
export function isTellingSum(problem: Problem, data: Float64Array): boolean {
  const seen = new Set<number>();
  let likelihood = 1;
  lastPlaces(problem, data).forEach((place, k) => {
    const size = Math.abs(at(data, k));
    if (place === 0 || seen.has(size)) return;
    seen.add(size);
    likelihood *= Math.min(1, 2 ** Math.floor(Math.log2(2 * Math.abs(place))));
  });
  return likelihood <= chance;
}

/** Each number divided by twice the power of two of the smallest summed term s_i s_j; divided by the unit roundoff, it is a count of last places (ULPs). */
function lastPlaces({ s, n, f, temperature }: Problem, data: Float64Array): Float64Array {
  const least = new Float64Array(n).fill(1);
  s.forEach((value, k) => {
    const row = Math.floor(k / f);
    if (value > 0) least[row] = Math.min(at(least, row), value);
  });
  return data.map((value, k) => {
    const term = (at(s, k) * at(least, Math.floor(k / f))) / temperature;
    return value === 0 ? 0 : value / (2 * 2 ** Math.floor(Math.log2(term)));
  });
}

/** Numbers of more ULPs than this are not tested for being integers. */
const mostPlaces = 1024;
/** Relative tolerance for a count of ULPs to be an integer, because the sum was rounded afterwards. */
const nearlyWhole = 2 ** -8;

/**
 * True if the numbers are not all 0 and can be the rounding noise of sums in float64 (judged by their size) or in float32: a small
 * integer number of ULPs of the terms.
 */
export function isNoiseOfSums(problem: Problem, data: Float64Array): boolean {
  if (data.every((value) => value === 0)) return false;
  const places = lastPlaces(problem, data);
  if (isWithinDouble(problem, data)) {
    return places.every((place) => Math.abs(place) * 2 ** 53 > mostPlaces || isNearlyWhole(place * 2 ** 53));
  }
  return places.every((place) => Math.abs(place) * 2 ** 24 <= mostPlaces && isNearlyWhole(place * 2 ** 24));
}

/**
 * True if some number other than 0 is below any rounding noise of sums in float64, even of products that are added before they are rounded:
 * such a sum is a multiple of the last place of its smallest term, or of that of a product with twice the bits.
 */
export function isBelowNoise(problem: Problem, data: Float64Array): boolean {
  if (data.length !== problem.n * problem.f) return false;
  return lastPlaces(problem, data).some((place) => place !== 0 && Math.abs(place) < 2 ** -108);
}

/** True if no number is larger than the rounding noise of sums in float64. */
export function isWithinDouble({ s, f }: Problem, data: Float64Array): boolean {
  const [, double] = noiseLevels(f, false);
  return double !== undefined && data.every((value, k) => Math.abs(value) <= double.relative * at(s, k));
}

function isNearlyWhole(count: number): boolean {
  return Math.abs(count - Math.round(count)) <= nearlyWhole * Math.abs(count);
}

/** The largest number of multiplications to spend on distinguishing two orders of summation. */
const affordable = 1e7;

/**
 * The order of summation of the Jacobian's rows that gives exactly these bits in float64, because the rounding noise depends
 * on the order. Null if neither of the two does, or both.
 */
export function exactSum(problem: Problem, kind: Kind, data: Float64Array): string | null {
  const { s, n, f, temperature, layer } = problem;
  if (
    kind !== 'gradient' ||
    layer === 'log-softmax' ||
    temperature !== 1 ||
    n * f * f > affordable ||
    data.every((value) => value === 0)
  )
    return null;
  let summed = true;
  let rolled = true;
  for (let first = 0; first < n * f; first += f) {
    for (let i = 0; i < f; i++) {
      summed &&= data[first + i] === columnSum(s, first, i, f);
      rolled &&= data[first + i] === rollSum(s, first, i, f);
    }
  }
  if (summed === rolled) return null;
  return summed ? 'J.sum(axis=1)' : 'the sum over np.roll';
}

/** The largest rounding noise of summing the rows of J in float64, in either order; an estimate for large problems. */
export function largestRowSum({ s, n, f, temperature, layer }: Problem): number {
  // The terms of log-softmax's rows are 1 − s_i and the others, which are of the size of 1.
  if (layer === 'log-softmax') return 2 ** -53 / temperature;
  if (n * f * f > affordable) return (largestOf(s) * 2 ** -53) / temperature;
  let most = 0;
  for (let first = 0; first < n * f; first += f) {
    for (let i = 0; i < f; i++) {
      most = Math.max(most, Math.abs(columnSum(s, first, i, f)), Math.abs(rollSum(s, first, i, f)));
    }
  }
  return most / temperature;
}

/** Column i of J added up from the top, as `J.sum(axis=1)` does. */
function columnSum(s: Float64Array, first: number, i: number, f: number): number {
  let sum = 0;
  for (let j = 0; j < f; j++)
    sum += i === j ? at(s, first + i) * (1 - at(s, first + i)) : -at(s, first + j) * at(s, first + i);
  return sum;
}

/** s (1 − s) + Σ_k −s roll(s, k), the products added up before they are added to the diagonal, as Python's `sum` does. */
function rollSum(s: Float64Array, first: number, i: number, f: number): number {
  const own = at(s, first + i);
  let off = 0;
  for (let k = 1; k < f; k++) off += -own * at(s, first + ((i - k + f) % f));
  return own * (1 - own) + off;
}
