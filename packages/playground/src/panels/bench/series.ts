import { type BenchReport, type Workload, workloadName } from '@softgrad/bench';

/** The modes that are timed separately. */
export type Mode = 'reused' | 'allocating' | 'endToEnd';

/** A report with its letter in the charts. */
export interface NamedReport {
  readonly letter: 'A' | 'B';
  readonly report: BenchReport;
}

/** A measured time: a point of the chart over size. */
export interface TimePoint {
  readonly report: 'A' | 'B';
  readonly contender: string;
  readonly op: string;
  readonly workload: string;
  readonly elements: number;
  readonly ms: number;
  readonly quartilesMs: readonly [number, number];
}

/** The speed relative to the other: above 1 is faster. */
export interface RatioPoint {
  readonly contender: string;
  readonly workload: string;
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  /** Whether the interval excludes 1. */
  readonly significant: boolean;
}

/** All times of one mode; for a contender without a time for a reused output, the time with its own output. */
export function timePoints(reports: readonly NamedReport[], mode: Mode): readonly TimePoint[] {
  return reports.flatMap(({ letter, report }) =>
    report.workloads.flatMap(({ workload, results }) =>
      results.flatMap(({ contender, timings }) => {
        const timing = timings[mode] ?? (mode === 'reused' ? timings.allocating : undefined);
        if (!timing) return [];
        const { medianMs, quartilesMs } = timing;
        return [
          {
            report: letter,
            contender,
            op: workload.op,
            workload: workloadName(workload),
            elements: elementsOf(workload),
            ms: medianMs,
            quartilesMs,
          },
        ];
      }),
    ),
  );
}

/** Speed-ups over the baseline within one report, each with its bootstrap interval. */
export function speedUps({ report }: NamedReport, mode: Mode): readonly RatioPoint[] {
  return report.workloads.flatMap(({ workload, results }) =>
    results.flatMap(({ contender, ratios }) => {
      const measured = ratios[mode] ?? (mode === 'reused' ? ratios.allocating : undefined);
      if (!measured) return [];
      const [low, high] = [1 / measured.interval[1], 1 / measured.interval[0]];
      const { significant } = measured;
      return [{ contender, workload: workloadName(workload), ratio: 1 / measured.ratio, low, high, significant }];
    }),
  );
}

/**
 * How many times as fast A is as B, for workloads and contenders that both ran. The two runs have no rounds in common, so the interval is
 * derived from their quartiles.
 */
export function deviceRatios(a: NamedReport, b: NamedReport, mode: Mode): readonly RatioPoint[] {
  const others = timePoints([b], mode);
  return timePoints([a], mode).flatMap(({ contender, workload, ms, quartilesMs }) => {
    const other = others.find((point) => point.contender === contender && point.workload === workload);
    if (!other) return [];
    const [low, high] = [other.quartilesMs[0] / quartilesMs[1], other.quartilesMs[1] / quartilesMs[0]];
    return [{ contender, workload, ratio: other.ms / ms, low, high, significant: low > 1 || high < 1 }];
  });
}

/** Every contender that has a time, in the order of the reports. */
export function contendersOf(points: readonly TimePoint[]): readonly string[] {
  return [...new Set(points.map(({ contender }) => contender))];
}

function elementsOf({ shape: [rows, classes] }: Workload): number {
  return rows * classes;
}
