import type { FloatArray } from '../src/storage.js';

/** Logits as the accuracy bars state them: uniform in ±range around an offset. Seeded, so that every run sees the same. */
export interface Workload {
  readonly range: number;
  readonly offset: number;
  readonly rows: number;
  readonly classes: number;
}

export const workloads: readonly Workload[] = [
  [1, 0],
  [20, 0],
  [80, 0],
  [4, 1e4],
].flatMap(([range, offset]) =>
  [
    [40, 1],
    [400, 3],
    [100, 10],
    [2, 1000],
    [1, 2100],
  ].map(([rows, classes]) => ({ range, offset, rows, classes })),
);

export function logitsOf<A extends FloatArray>({ range, offset, rows, classes }: Workload, make: (n: number) => A): A {
  const random = randomFrom(classes + range);
  const x = make(rows * classes);
  for (let k = 0; k < x.length; k++) x[k] = offset + range * (2 * random() - 1);
  return x;
}

/** Uniform in [0, 1): Marsaglia's xorshift32 ("Xorshift RNGs", 2003), two draws to fill a float64. */
export function randomFrom(seed: number): () => number {
  let state = (seed * 2654435761 + 1) | 0 || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  return () => (next() + next() * 2 ** -32) * 2 ** -32;
}

/** The spacing of float32 or float64 at x: the unit in which errors are stated. */
export function ulp(x: number, dtype: 'float32' | 'float64'): number {
  const [digits, least] = dtype === 'float32' ? [23, -149] : [52, -1074];
  const size = Math.abs(x);
  if (size < 2 ** (least + digits)) return 2 ** least;
  let exponent = Math.floor(Math.log2(size));
  if (2 ** exponent > size) exponent--;
  return 2 ** (exponent - digits);
}

/** The largest error in ULP over the expected values of at least `above`; NaN where a result is NaN. */
export function largestError(
  actual: FloatArray,
  expected: ArrayLike<number>,
  dtype: 'float32' | 'float64',
  above = 0,
): number {
  let largest = 0;
  for (let k = 0; k < actual.length; k++) {
    if (Math.abs(expected[k]) < above || actual[k] === expected[k]) continue;
    const error = Math.abs(actual[k] - expected[k]) / ulp(expected[k], dtype);
    if (Number.isNaN(error)) return error;
    largest = Math.max(largest, error);
  }
  return largest;
}
