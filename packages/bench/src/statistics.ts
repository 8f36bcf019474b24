import { median, quantileSorted, sampleWithReplacement } from 'simple-statistics';
import { uniform } from './workloads.js';

/** A median with its spread. Times are milliseconds per call. */
export interface Timing {
  readonly medianMs: number;
  /** First and third quartile. */
  readonly quartilesMs: readonly [number, number];
  readonly samples: number;
  readonly callsPerSample: number;
}

/** A ratio of medians with its 95 % bootstrap interval. */
export interface Ratio {
  readonly ratio: number;
  readonly interval: readonly [number, number];
  /** The interval leaves out 1: the difference is larger than the noise. */
  readonly significant: boolean;
}

export function timing(samplesMs: readonly number[], callsPerSample: number): Timing {
  const sorted = [...samplesMs].sort((a, b) => a - b);
  return {
    medianMs: median(sorted),
    quartilesMs: [quantileSorted(sorted, 0.25), quantileSorted(sorted, 0.75)],
    samples: sorted.length,
    callsPerSample,
  };
}

/**
 * How many times as long A took as B, from samples taken round by round: the median of the rounds' ratios, so that drift which
 * hits a round hits both, with the percentile bootstrap over rounds (Efron and Tibshirani, "An Introduction to the
 * Bootstrap", 1993, chapter 13; 1,000 resamples, seeded).
 */
export function pairedRatio(a: readonly number[], b: readonly number[]): Ratio {
  const ratios = a.slice(0, b.length).map((time, round) => time / b[round]);
  const random = uniform(0xb007);
  const resampled = Array.from({ length: 1000 }, () => median(sampleWithReplacement(ratios, ratios.length, random)));
  resampled.sort((x, y) => x - y);
  const interval = [quantileSorted(resampled, 0.025), quantileSorted(resampled, 0.975)] as const;
  return { ratio: median(ratios), interval, significant: interval[0] > 1 || interval[1] < 1 };
}
