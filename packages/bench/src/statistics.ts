import { median, quantileSorted, sampleWithReplacement } from 'simple-statistics';
import type { RoundTimes } from './measure.js';
import { uniform } from './random.js';

/** The times of one loop: one list of rounds per process. */
export type Samples = readonly RoundTimes[];

/** A median with its spread. Times are milliseconds per call. */
export interface Timing {
  readonly medianMs: number;
  /** First and third quartile. */
  readonly quartilesMs: readonly [number, number];
  readonly samples: number;
}

/** A quotient of times with its 95 % bootstrap interval. */
export interface Ratio {
  readonly ratio: number;
  readonly interval: readonly [number, number];
}

const resamples = 1000;

/**
 * Median and quartiles over all rounds of all processes, in milliseconds per call; null if there are no times.
 *
 * @example
 * timing([[3, 1, null, 2]]); // { medianMs: 2, quartilesMs: [1.5, 2.5], samples: 3 }
 */
export function timing(samples: Samples): Timing | null {
  const sorted = samples
    .flat()
    .filter((time) => time !== null)
    .sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  return {
    medianMs: median(sorted),
    quartilesMs: [quantileSorted(sorted, 0.25), quantileSorted(sorted, 0.75)],
    samples: sorted.length,
  };
}

/**
 * Time of A over time of B: the median of the per-round quotients, in which drift of the machine cancels, with
 * a percentile bootstrap interval (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13). With several processes,
 * processes are resampled first and then rounds within each (their section 8.3), because differences between processes do
 * not average out within one. 1000 resamples, from a fixed seed: the same times give the same interval. null if A and B share no round.
 *
 * @returns the quotient, above 1 if A is slower, with its 95 % interval
 * @example
 * pairedRatio([[2, 4, 6]], [[1, 2, 3]]); // { ratio: 2, interval: [2, 2] }
 */
export function pairedRatio(a: Samples, b: Samples): Ratio | null {
  const quotients = pairedQuotients(a, b);
  if (quotients.length === 0) return null;
  const random = uniform(0xb007);
  return ratioOf(median(quotients.flat()), () => median(resampled(quotients, random)), 0.95);
}

/** The quotient of the medians of two independent (unpaired) sets of samples, with an interval at the given confidence. */
export function quotientOfMedians(
  a: readonly (readonly number[])[],
  b: readonly (readonly number[])[],
  confidence: number,
): Ratio {
  const random = uniform(0xb007);
  return ratioOf(
    median(a.flat()) / median(b.flat()),
    () => median(resampled(a, random)) / median(resampled(b, random)),
    confidence,
  );
}

/** A's time over B's in each round in which both took part, by process. */
export function pairedQuotients(a: Samples, b: Samples): readonly (readonly number[])[] {
  return a
    .map((rounds, process) =>
      rounds.flatMap((time, round) => {
        const other = b[process]?.[round];
        return time !== null && other !== null && other !== undefined && other > 0 ? [time / other] : [];
      }),
    )
    .filter((rounds) => rounds.length > 0);
}

/**
 * Whether a quotient is a significant difference: its interval excludes 1, and it lies outside `noise`, the interval of the same code timed twice
 * in the same rounds.
 *
 * @example
 * isDifference({ ratio: 1.1, interval: [1.05, 1.15] }, null); // true
 * isDifference({ ratio: 1.1, interval: [1.05, 1.15] }, { ratio: 1, interval: [0.8, 1.2] }); // false
 */
export function isDifference(quotient: Ratio, noise: Ratio | null): boolean {
  const { ratio } = quotient;
  return excludesOne(quotient) && (noise === null || ratio > noise.interval[1] || ratio < noise.interval[0]);
}

/** Whether a quotient of the same code is improbable: its interval does not contain 1. */
export function excludesOne({ interval: [low, high] }: Ratio): boolean {
  return low > 1 || high < 1;
}

function ratioOf(ratio: number, draw: () => number, confidence: number): Ratio {
  const drawn = Array.from({ length: resamples }, draw).sort((x, y) => x - y);
  const tail = (1 - confidence) / 2;
  return { ratio, interval: [quantileSorted(drawn, tail), quantileSorted(drawn, 1 - tail)] };
}

/** A sample with replacement of the groups, unless there is only one, and of each group that was drawn. */
function resampled(groups: readonly (readonly number[])[], random: () => number): number[] {
  const drawn = groups.length === 1 ? groups : sampleWithReplacement([...groups], groups.length, random);
  const sample: number[] = [];
  // Loops, because this is done a thousand times for each quotient.
  for (const group of drawn) {
    for (let k = 0; k < group.length; k++) sample.push(group[Math.floor(random() * group.length)] ?? Number.NaN);
  }
  return sample;
}
