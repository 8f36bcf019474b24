import { differences } from './environment.js';
import { type BenchReport, type ContenderResult, type Timed, timedKinds, type WorkloadResult } from './report.js';
import { pairedQuotients, quotientOfMedians, type Ratio, type Samples } from './statistics.js';
import { formatMs, type TextTable } from './table.js';
import { workloadName } from './workloads.js';

/** One contender in one mode on one workload, in both reports. */
export interface Change {
  readonly workload: string;
  readonly contender: string;
  readonly mode: Timed;
  /** Time now over time then, with its 99 % interval; above 1 is slower. */
  readonly ratio: Ratio;
  readonly verdict: 'slower' | 'faster' | 'no difference';
  /** The baseline by which both runs' times were divided, so that a slower machine does not look like a slower contender; null if none. */
  readonly clock: string | null;
  readonly thenMs: number;
  readonly nowMs: number;
}

/** What differs between two reports. */
export interface Comparison {
  /** How the two environments differ. If they do, absolute times are not comparable, and only relative times are compared. */
  readonly environmentDiffers: readonly string[];
  readonly changes: readonly Change[];
  /** Descriptions of what only one of the reports contains. */
  readonly unmatched: readonly string[];
}

/** Higher than 95 %: many comparisons are made at once, and two runs differ in more than the code they measure. */
const confidence = 0.99;

/**
 * What got slower and what got faster between two reports. If both have the same baseline, times are relative to it, so that drift
 * of the machine cancels. A change inside the noise of either run is not reported as a difference.
 *
 * Each ratio is the quotient of the medians of both runs with its 99 % percentile bootstrap interval, as of `pairedRatio`; the runs are resampled
 * independently.
 *
 * @example
 * const then = parseReport(stringifyReport(report), 'then.json');
 * const { changes, unmatched } = compareReports(then, report);
 * changes.every(({ verdict }) => verdict === 'no difference'); // true
 * unmatched; // []
 */
export function compareReports(then: BenchReport, now: BenchReport): Comparison {
  const environmentDiffers = differences(then.environment, now.environment);
  const changes: Change[] = [];
  const unmatched: string[] = [];
  for (const current of now.workloads) {
    const name = workloadName(current.workload);
    const earlier = then.workloads.find(({ workload }) => workloadName(workload) === name);
    if (!earlier) {
      unmatched.push(`${name} is new`);
      continue;
    }
    for (const result of current.results) {
      const before = earlier.results.find(({ contender }) => contender === result.contender);
      if (before?.missing === null && result.missing !== null)
        unmatched.push(`${name}, ${result.contender}: now ${result.missing}`);
      if (!before || before.missing !== null || result.missing !== null) continue;
      for (const mode of timedKinds) {
        const change = changeOf(
          mode,
          { workload: earlier, result: before },
          { workload: current, result },
          environmentDiffers,
        );
        if (change) changes.push({ workload: name, contender: result.contender, mode, ...change });
      }
    }
  }
  for (const { workload } of then.workloads) {
    const name = workloadName(workload);
    if (!now.workloads.some((current) => workloadName(current.workload) === name)) unmatched.push(`${name} is gone`);
  }
  return { environmentDiffers, changes, unmatched };
}

interface Side {
  readonly workload: WorkloadResult;
  readonly result: ContenderResult;
}

function changeOf(
  mode: Timed,
  then: Side,
  now: Side,
  environmentDiffers: readonly string[],
): Omit<Change, 'workload' | 'contender' | 'mode'> | null {
  const [before, after] = [then.result.samples[mode], now.result.samples[mode]];
  if (!before || !after) return null;
  const [clockBefore, clockAfter] = [clockOf(then, mode), clockOf(now, mode)];
  const sameClock = clockBefore !== null && clockAfter !== null && then.workload.baseline === now.workload.baseline;
  if (!sameClock && environmentDiffers.length > 0) return null;
  const relative = (own: Samples, clock: Samples | null) =>
    sameClock && clock ? pairedQuotients(own, clock) : own.map((rounds) => rounds.filter((time) => time !== null));
  const [a, b] = [relative(after, clockAfter), relative(before, clockBefore)];
  if (a.flat().length === 0 || b.flat().length === 0) return null;
  const ratio = quotientOfMedians(a, b, confidence);
  return {
    ratio,
    verdict: verdictOf(ratio, [then.workload.noise, now.workload.noise]),
    clock: sameClock ? now.workload.baseline : null,
    thenMs: then.result.timings[mode]?.medianMs ?? Number.NaN,
    nowMs: now.result.timings[mode]?.medianMs ?? Number.NaN,
  };
}

/** The baseline's times in the same rounds, for any other contender. */
function clockOf({ workload, result }: Side, mode: Timed): Samples | null {
  if (workload.baseline === null || result.contender === workload.baseline) return null;
  return workload.results.find(({ contender }) => contender === workload.baseline)?.samples[mode] ?? null;
}

function verdictOf({ ratio, interval }: Ratio, noises: readonly (Ratio | null)[]): Change['verdict'] {
  const most = Math.max(1, ...noises.flatMap((noise) => (noise ? [noise.interval[1], 1 / noise.interval[0]] : [])));
  if (interval[0] > 1 && ratio > most) return 'slower';
  if (interval[1] < 1 && ratio < 1 / most) return 'faster';
  return 'no difference';
}

const modeWords: Record<Timed, string> = {
  reused: 'reused out',
  allocating: 'allocating',
  endToEnd: 'end to end',
  device: 'on the device',
};

/**
 * A comparison as a table of what changed, the largest changes first; the notes have the rest.
 *
 * @example
 * const { rows, notes } = comparisonTable(compareReports(report, report));
 * rows; // []
 * notes[0]; // '2 of 2 timings show no difference'
 */
export function comparisonTable({ environmentDiffers, changes, unmatched }: Comparison): TextTable {
  const changed = changes.filter(({ verdict }) => verdict !== 'no difference');
  const size = ({ ratio }: Change) => Math.abs(Math.log(ratio.ratio));
  const clocks = [...new Set(changes.flatMap(({ clock }) => (clock === null ? [] : [clock])))];
  return {
    title: 'Compared with the earlier report',
    head: ['workload', '', 'mode', 'then', 'now', 'time now / then (99 % interval)', ''],
    rows: [...changed]
      .sort((a, b) => size(b) - size(a))
      .map(({ workload, contender, mode, thenMs, nowMs, ratio, verdict }) => [
        workload,
        contender,
        modeWords[mode],
        formatMs(thenMs),
        formatMs(nowMs),
        `${ratio.ratio.toFixed(2)} (${ratio.interval.map((end) => end.toFixed(2)).join('–')})`,
        verdict,
      ]),
    notes: [
      ...environmentDiffers.map((difference) => `the environments differ: ${difference}`),
      ...(environmentDiffers.length > 0 ? ['so only times relative to a common baseline are compared'] : []),
      `${changes.length - changed.length} of ${changes.length} timings show no difference`,
      ...(clocks.length > 0
        ? [
            `time now / then is that of the times divided by those of ${clocks.join(', ')} in the same rounds, because the speed of a machine varies; the times in the table are as measured`,
          ]
        : []),
      ...unmatched,
    ],
  };
}
