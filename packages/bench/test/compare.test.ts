import { beforeAll, describe, expect, test } from 'vitest';
import { compareReports, comparisonTable } from '../src/compare.js';
import { naive } from '../src/peers/naive.js';
import { uniform } from '../src/random.js';
import type { BenchReport } from '../src/report.js';
import { runBench } from '../src/run.js';
import { summarize } from '../src/summary.js';
import { quick, slowed, small, source } from './contenders.js';

let report: BenchReport;

/** Replaces the measured times by steady ones: 1 ms for naive, 3 ms for the other, each within a percent. */
function steady(of: BenchReport, seed: number): BenchReport {
  const random = uniform(seed);
  return timed(of, (ms) => ms * (0.995 + 0.01 * random()));
}

/** Replaces the measured times of 15 rounds: `time` of 1 ms for naive and of 3 ms for the other. */
function timed(of: BenchReport, time: (ms: number, round: number) => number): BenchReport {
  const rounds = (ms: number) => [Array.from({ length: 15 }, (_, round) => time(ms, round))];
  return {
    ...of,
    workloads: of.workloads.map((workload) =>
      summarize({
        ...workload,
        control: rounds(1),
        results: workload.results.map((result) => {
          const ms = result.contender === 'naive' ? 1 : 3;
          return { ...result, samples: { reused: rounds(ms), allocating: rounds(2 * ms) } };
        }),
      }),
    ),
  };
}

beforeAll(async () => {
  const measured = await runBench({ workloads: [small], contenders: [source('right'), naive], ...quick });
  report = steady(measured, 1);
});

describe('a report compared with a changed copy of itself', () => {
  test('nothing changed', () => {
    const { changes, environmentDiffers, unmatched } = compareReports(report, steady(report, 2));
    expect(changes).toHaveLength(4);
    expect(changes.map(({ verdict }) => verdict)).toEqual(Array(4).fill('no difference'));
    expect([environmentDiffers, unmatched]).toEqual([[], []]);
  });

  test('a contender that takes twice as long is slower, one that takes half as long is faster', () => {
    for (const [factor, verdict] of [
      [2, 'slower'],
      [0.5, 'faster'],
    ] as const) {
      const { changes } = compareReports(report, slowed(report, 'right', factor));
      for (const { contender, verdict: told, ratio } of changes) {
        expect(told).toBe(contender === 'right' ? verdict : 'no difference');
        if (contender !== 'right') continue;
        expect(ratio.ratio).toBeCloseTo(factor);
        expect(ratio.interval[0]).toBeGreaterThan(0.9 * factor);
        expect(ratio.interval[1]).toBeLessThan(1.1 * factor);
      }
    }
  });

  test('a change whose interval ends at 1 is not a difference', () => {
    const then = timed(report, (ms) => ms);
    // In six rounds of fifteen the other contender takes as long as before.
    const now = timed(report, (ms, round) => (ms % 3 === 0 && round < 9 ? 2 * ms : ms));
    const of = (...reports: readonly [BenchReport, BenchReport]) =>
      compareReports(...reports).changes.filter(({ contender }) => contender === 'right');
    for (const { ratio, verdict } of of(then, now)) {
      expect(ratio).toEqual({ ratio: 2, interval: [1, 2] });
      expect(verdict).toBe('no difference');
    }
    for (const { ratio, verdict } of of(now, then)) {
      expect(ratio).toEqual({ ratio: 0.5, interval: [0.5, 1] });
      expect(verdict).toBe('no difference');
    }
  });

  test('a change inside the noise of either run is not a difference', () => {
    const now = slowed(report, 'right', 1.2);
    const noisy: BenchReport = {
      ...now,
      workloads: now.workloads.map((workload) => ({ ...workload, noise: { ratio: 1, interval: [0.7, 1.1] } })),
    };
    expect(compareReports(report, now).changes.some(({ verdict }) => verdict === 'slower')).toBe(true);
    expect(compareReports(report, noisy).changes.some(({ verdict }) => verdict === 'slower')).toBe(false);
    expect(compareReports(noisy, report).changes.some(({ verdict }) => verdict === 'faster')).toBe(false);
    expect(compareReports(now, report).changes.some(({ verdict }) => verdict === 'faster')).toBe(true);
  });

  test('a machine that is half as fast makes no contender slower than the baseline', () => {
    const now = slowed(slowed(report, 'right', 2), 'naive', 2);
    const { changes } = compareReports(report, now);
    const of = (name: string) => changes.filter(({ contender }) => contender === name);
    expect(of('right').map(({ verdict, clock }) => [verdict, clock])).toEqual(
      Array(2).fill(['no difference', 'naive']),
    );
    expect(of('naive').map(({ verdict, clock }) => [verdict, clock])).toEqual(Array(2).fill(['slower', null]));
  });
});

test('reports of different machines list the differences, and only relative times are compared', () => {
  const elsewhere: BenchReport = {
    ...report,
    environment: { ...report.environment, processor: 'Abacus 3', logicalProcessors: 1 },
  };
  const comparison = compareReports(report, elsewhere);
  expect(comparison.environmentDiffers).toEqual([
    `processor: ${report.environment.processor}, then Abacus 3`,
    `processors: ${report.environment.logicalProcessors}, then 1`,
  ]);
  expect(comparison.changes.map(({ contender }) => contender)).toEqual(['right', 'right']);
  expect(comparisonTable(comparison).notes).toContain(
    `the environments differ: processor: ${report.environment.processor}, then Abacus 3`,
  );
});

test('every loop that times are relative to is named', () => {
  const { changes } = compareReports(report, steady(report, 2));
  const relative = [...changes, ...changes].map((change, k) => ({ ...change, clock: ['naive', 'fast', null][k % 3] }));
  const { notes } = comparisonTable({ environmentDiffers: [], changes: relative, unmatched: [] });
  expect(notes.at(-1)).toMatch('divided by those of naive, fast in the same rounds');
});

test('a loop without a time in one of the reports is not compared', () => {
  const skipped = (of: BenchReport): BenchReport => ({
    ...of,
    workloads: of.workloads.map((workload) => ({
      ...workload,
      results: workload.results.map((result) => ({ ...result, samples: { ...result.samples, reused: [[null]] } })),
    })),
  });
  const modes = (then: BenchReport, now: BenchReport) => compareReports(then, now).changes.map(({ mode }) => mode);
  expect(modes(skipped(report), report)).toEqual(['allocating', 'allocating']);
  expect(modes(report, skipped(report))).toEqual(['allocating', 'allocating']);
});

test('workloads and contenders in only one of the reports are listed', () => {
  const other = report.workloads.map((workload) => ({ ...workload, workload: { ...small, op: 'vjp' as const } }));
  const { changes, unmatched } = compareReports(report, { ...report, workloads: other });
  expect(changes).toEqual([]);
  expect(unmatched).toEqual(['vjp 3×4 float32 is new', 'softmax 3×4 float32 is gone']);
});

test('the table lists changes, the largest first, and counts the rest', () => {
  const { rows, notes } = comparisonTable(compareReports(report, slowed(slowed(report, 'right', 8), 'naive', 2)));
  expect(rows.map(([, name, , , , , verdict]) => [name, verdict])).toEqual([
    ['right', 'slower'],
    ['right', 'slower'],
    ['naive', 'slower'],
    ['naive', 'slower'],
  ]);
  expect(rows[0][5]).toMatch(/^[34]\.\d\d \(\d\.\d\d–\d\.\d\d\)$/);
  expect(notes).toContain('0 of 4 timings show no difference');
});
