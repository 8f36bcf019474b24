import { at } from './at.js';
import { largestOf } from './compare.js';
import type { Kind } from './form.js';
import type { Problem } from './problem.js';

/**
 * True where the numbers can be what is left of sums of rounded terms s_i s_j: multiples of the last place of the least of them.
 */
export function isSumOfRounded({ s, n, f, temperature }: Problem, data: Float64Array, unit: number): boolean {
  if (data.length !== n * f) return false;
  const least = new Float64Array(n).fill(1);
  s.forEach((value, k) => {
    const row = Math.floor(k / f);
    if (value > 0) least[row] = Math.min(at(least, row), value);
  });
  return data.every((value, k) => {
    const term = (at(s, k) * at(least, Math.floor(k / f))) / temperature;
    return value === 0 || (term > 0 && Number.isInteger(value / (2 * unit * 2 ** Math.floor(Math.log2(term)))));
  });
}

/** Most multiplications that telling two ways of summing apart is worth. */
const affordable = 1e7;

/**
 * Which way of summing the Jacobian's rows gives exactly these bits in float64: the rounding noise is a fingerprint. Null
 * where neither does, or both do.
 */
export function exactSum(problem: Problem, kind: Kind, data: Float64Array): string | null {
  const { s, n, f, temperature } = problem;
  if (kind !== 'gradient' || temperature !== 1 || n * f * f > affordable || data.every((value) => value === 0))
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

/** The largest number that summing J's rows leaves in float64, either way; what rounding may leave where that is too much work. */
export function largestRowSum({ s, n, f, temperature }: Problem): number {
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
  for (let j = 0; j < f; j++) sum += i === j ? s[first + i] * (1 - s[first + i]) : -s[first + j] * s[first + i];
  return sum;
}

/** s (1 − s) + Σ_k −s roll(s, k), the products added up before they are added to the diagonal, as Python's `sum` does. */
function rollSum(s: Float64Array, first: number, i: number, f: number): number {
  const own = s[first + i];
  let off = 0;
  for (let k = 1; k < f; k++) off += -own * s[first + ((i - k + f) % f)];
  return own * (1 - own) + off;
}
