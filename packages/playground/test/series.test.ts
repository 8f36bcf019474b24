import { type BenchReport, environment, summarize } from '@softgrad/bench';
import { expect, test } from 'vitest';
import { deviceRatios, speedUps, timePoints } from '../src/panels/bench/series.js';

/** A contender whose rounds took these times. */
function timed(contender: string, reused: readonly number[] | null, allocating: readonly number[]) {
  return {
    contender,
    kind: 'peer' as const,
    missing: null,
    correctness: null,
    firstCallMs: 1,
    emptyCall: null,
    samples: { ...(reused && { reused: [reused] }), allocating: [allocating] },
  };
}

/** A report of one workload on these contenders, the first of which is the baseline. */
function reportOf(results: readonly ReturnType<typeof timed>[], rows = 4): BenchReport {
  const raw = {
    workload: { op: 'softmax', shape: [rows, 10], dtype: 'float32' },
    baseline: results[0]?.contender ?? null,
    control: null,
    roofs: [],
    results,
  } as const;
  return {
    schema: 'softgrad-bench/1',
    environment: environment(),
    settings: { rounds: 3, sampleMs: 1, processes: 1 },
    contenders: [],
    unavailable: [],
    workloads: [summarize(raw)],
  };
}

const a = {
  letter: 'A',
  report: reportOf([
    timed('base', [4, 4, 4], [8, 8, 8]),
    timed('fast', [1, 2, 4], [5, 5, 5]),
    timed('other', null, [16, 16, 16]),
  ]),
} as const;

test('times of a reused output, or of an allocated one where a contender has no other', () => {
  const points = timePoints([a], 'reused').map(({ contender, ms, elements }) => [contender, ms, elements]);
  expect(points).toEqual([
    ['base', 4, 40],
    ['fast', 2, 40],
    ['other', 16, 40],
  ]);
  expect(timePoints([a], 'allocating').map(({ ms }) => ms)).toEqual([8, 5, 16]);
  expect(timePoints([a], 'endToEnd')).toEqual([]);
});

test('a speed-up is above 1 for a contender that is faster than the baseline, and inside its interval', () => {
  const [fast] = speedUps(a, 'reused');
  expect(fast).toMatchObject({ contender: 'fast', workload: 'softmax 4×10 float32', ratio: 2, low: 1, high: 4 });
  const [, other] = speedUps(a, 'allocating');
  expect(other).toMatchObject({ contender: 'other', ratio: 0.5, low: 0.5, high: 0.5, significant: true });
});

test('A is above 1 times as fast as B where A takes less time, in the range that both runs’ quartiles allow', () => {
  const slower = [timed('fast', [8, 16, 32], [10, 10, 10]), timed('base', [4, 4, 4], [8, 8, 8])];
  const b = { letter: 'B', report: reportOf([...slower, timed('only B', [1, 1, 1], [1, 1, 1])]) } as const;
  expect(deviceRatios(a, b, 'reused')).toEqual([
    { contender: 'base', workload: 'softmax 4×10 float32', ratio: 1, low: 1, high: 1, significant: false },
    // Quartiles of A 1.5 and 3, of B 12 and 24.
    { contender: 'fast', workload: 'softmax 4×10 float32', ratio: 8, low: 4, high: 16, significant: true },
  ]);
  expect(deviceRatios(b, a, 'reused').map(({ ratio, significant }) => [ratio, significant])).toEqual([
    [1 / 8, true],
    [1, false],
  ]);
  const elsewhere = { letter: 'B', report: reportOf(slower, 5) } as const;
  expect(deviceRatios(a, elsewhere, 'reused')).toEqual([]);
});
