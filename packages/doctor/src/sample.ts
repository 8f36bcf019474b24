import { at, isSet } from './at.js';
import { comparedWhole, type Given, measure, type Noise, sampled } from './compare.js';
import { each } from './numbers.js';
import type { Problem } from './problem.js';

/** Some rows of a large problem, on which most explanations can be ruled out cheaply. */
export interface RowSample {
  readonly problem: Problem;
  readonly given: Given;
  readonly levels: readonly Noise[];
}

/** Equally spaced rows with about `sampled` entries in total; null if the problem has few entries or few rows. */
export function sampleOfRows(problem: Problem, data: Float64Array, levels: readonly Noise[]): RowSample | null {
  const { n, f } = problem;
  const rows = Math.ceil(sampled / f);
  if (data.length !== n * f || data.length <= comparedWhole || n < 2 * rows) return null;
  const step = Math.floor(n / rows);
  const taken = (values: Float64Array) => each({ ...problem, n: rows }, (_, row, i) => at(values, row * step * f + i));
  const some = (values: Float64Array | null) => values && taken(values);
  const kept = (flags: Uint8Array, length: number) =>
    Uint8Array.from({ length: rows * length }, (_, k) =>
      isSet(flags, Math.floor(k / length) * step * length + (k % length)) ? 1 : 0,
    );
  const { target, masked, upstreamOfRows } = problem;
  return {
    problem: {
      ...problem,
      whole: problem,
      n: rows,
      x: some(problem.x),
      s: taken(problem.s),
      g: some(problem.g),
      y: some(problem.y),
      upstreamOfRows: upstreamOfRows && Float64Array.from({ length: rows }, (_, row) => at(upstreamOfRows, row * step)),
      masked: masked && { keep: kept(masked.keep, f), x: some(masked.x) },
      target: target && {
        ...target,
        given: taken(target.given),
        y: taken(target.y),
        counted: target.counted && kept(target.counted, 1),
      },
    },
    given: measure(taken(data)),
    levels: levels.map((noise) => (noise.slack ? { ...noise, slack: taken(noise.slack) } : noise)),
  };
}
