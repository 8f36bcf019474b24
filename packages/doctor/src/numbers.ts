import { at } from './at.js';
import type { Problem } from './problem.js';

/** Values by index: an array, or a function of the index, which avoids allocating an array as large as a Jacobian. */
export type Numbers = Float64Array | ((k: number) => number);

/** The value at an index; faster than a function of `byIndex` where it is read in a loop. */
export function numberAt(values: Numbers, k: number): number {
  return typeof values === 'function' ? values(k) : at(values, k);
}

/** A function that returns the value at an index. */
export function byIndex(values: Numbers): (k: number) => number {
  return typeof values === 'function' ? values : (k) => at(values, k);
}

/** Values that are computed when the first of them is asked for: of many candidates, few are compared whole. */
export function onFirstUse(compute: () => Numbers): (k: number) => number {
  let values: Numbers | undefined;
  return (k) => {
    values ??= compute();
    return numberAt(values, k);
  };
}

/** An (n, f) matrix computed entry by entry. */
export function each(
  { n, f }: Pick<Problem, 'n' | 'f'>,
  entry: (k: number, row: number, i: number) => number,
): Float64Array {
  const values = new Float64Array(n * f);
  for (let row = 0, k = 0; row < n; row++) for (let i = 0; i < f; i++, k++) values[k] = entry(k, row, i);
  return values;
}

/** (n, f, f) matrices that are computed entry by entry on access; `entry` receives the indices of i and j in the (n, f) matrices. */
export function entries({ f }: Problem, entry: (i: number, j: number, same: boolean) => number): (k: number) => number {
  return (k) => {
    const j = k % f;
    const rest = (k - j) / f;
    const i = rest % f;
    return entry(rest, rest - i + j, i === j);
  };
}

/** The numbers times a factor, computed on access, because most multiples are rejected after a few entries. */
export function lazily(values: Numbers, factor: number): Numbers {
  if (factor === 1) return values;
  return (k) => numberAt(values, k) * factor;
}

/** The numbers times a factor, those of an array computed now. */
export function times(values: Numbers, factor: number): Numbers {
  return typeof values === 'function' ? (k) => values(k) * factor : scaled(values, factor);
}

export function scaled(values: Float64Array, factor: number): Float64Array {
  if (factor === 1) return values;
  const products = new Float64Array(values.length);
  for (let k = 0; k < values.length; k++) products[k] = at(values, k) * factor;
  return products;
}
