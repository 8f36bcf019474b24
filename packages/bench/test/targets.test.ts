import { describe, expect, test } from 'vitest';
import { costTarget, matrixTable, shareTarget, speedUpTarget, targetsTable } from '../src/performance/targets.js';
import type { BenchReport, RawResult, RawWorkload } from '../src/report.js';
import { summarize } from '../src/summary.js';
import type { BenchOp, BenchShape } from '../src/workloads.js';

/** A workload with steady times in ms: of contenders with a reused output, and of the roofs. */
function workload(
  op: BenchOp,
  shape: BenchShape,
  ms: Readonly<Record<string, number>>,
  { memcpy, fill }: { readonly memcpy: number; readonly fill: number },
): RawWorkload {
  const samples = (time: number) => [[time, time, time]];
  const results = Object.entries(ms).map(
    ([contender, time]): RawResult => ({
      contender,
      kind: 'backend',
      missing: null,
      correctness: null,
      firstCallMs: null,
      samples: { reused: samples(time) },
      emptyCall: null,
    }),
  );
  return {
    workload: { op, shape, dtype: 'float32' },
    results,
    roofs: [
      { name: 'memcpy', from: 'engine', samples: samples(memcpy) },
      { name: 'fill', from: 'engine', samples: samples(fill) },
    ],
    baseline: 'slow',
    control: null,
  };
}

const report: BenchReport = {
  schema: 'softgrad-bench/1',
  environment: {
    date: '2020-01-01T00:00:00.000Z',
    runtime: 'none',
    platform: 'none',
    processor: 'none',
    logicalProcessors: 1,
    crossOriginIsolated: true,
  },
  settings: { rounds: 3, sampleMs: 1, processes: 1 },
  contenders: [],
  unavailable: [],
  workloads: [
    workload('softmax', [10, 3], { fast: 1, slow: 4 }, { memcpy: 0.5, fill: 0.25 }),
    workload('softmax', [10, 100], { fast: 2, slow: 2 }, { memcpy: 0.5, fill: 0.25 }),
    workload('crossEntropy', [10, 100], { fast: 5, slow: 9 }, { memcpy: 1, fill: 1 }),
    workload('vjp', [10, 100], { fast: 3, slow: 9 }, { memcpy: 1, fill: 1 }),
  ].map(summarize),
};

describe('a speed-up', () => {
  const bar = { what: 'x', bar: 'y', op: 'softmax', fast: 'fast', slow: 'slow', mode: 'reused' } as const;

  test('meets its bar where it does at every shape', () => {
    expect(speedUpTarget(report, { ...bar, least: ([, f]) => (f === 3 ? 3.9 : 0.9) })).toEqual({
      what: 'x',
      bar: 'y',
      measured: 'closest to its bar at 10×3: 4.00× (4.00–4.00); geometric mean 2.00×',
      met: true,
    });
  });

  test('misses it where one shape does, which is named', () => {
    expect(speedUpTarget(report, { ...bar, least: () => 2 })).toMatchObject({
      measured: 'closest to its bar at 10×100: 1.00× (1.00–1.00); geometric mean 2.00×; below the bar at 10×100',
      met: false,
    });
  });

  test('misses it in the geometric mean alone, too', () => {
    expect(speedUpTarget(report, { ...bar, least: () => 1, geometricMean: 2.1 }).met).toBe(false);
    expect(speedUpTarget(report, { ...bar, least: () => 1, geometricMean: 1.9 }).met).toBe(true);
  });

  test('that nobody measured is neither met nor missed', () => {
    expect(speedUpTarget(report, { ...bar, slow: 'nobody', least: () => 1 })).toMatchObject({
      measured: 'not measured',
      met: null,
    });
  });
});

test('a share of bandwidth is the time of the bytes at the speed of the loop over that of the op', () => {
  const bar = { what: 'x', bar: 'y', op: 'vjp', contender: 'fast', roof: 'memcpy', bytes: 3 / 2 } as const;
  expect(shareTarget(report, { ...bar, least: () => 0.5 })).toMatchObject({ measured: '10×100: 0.50', met: true });
  expect(shareTarget(report, { ...bar, least: () => 0.51 })).toMatchObject({ met: false });
});

test('one op is compared with another by the same copy, since the machine may have changed in between', () => {
  const bar = {
    what: 'x',
    bar: 'y',
    contender: 'fast',
    of: { op: 'crossEntropy' },
    over: { op: 'softmax' },
    bytes: 1,
  } as const;
  // 5 copies against 4.
  expect(costTarget(report, { ...bar, most: 1.3 })).toMatchObject({ measured: '10×100: 1.25', met: true });
  expect(costTarget(report, { ...bar, most: 1.2 })).toMatchObject({ met: false });
});

test('tables: a row a shape and a column a contender, and a row a bar', () => {
  expect(matrixTable(report, { op: 'softmax' }, 'reused', String)).toEqual({
    head: ['shape', 'fast', 'slow', 'memcpy'],
    rows: [
      ['10×3', '1', '4', '0.5'],
      ['10×100', '2', '2', '0.5'],
    ],
  });
  const target = { what: 'x', bar: 'y', measured: 'z' };
  const { rows } = targetsTable([true, false, null].map((met) => ({ ...target, met })));
  expect(rows.map((row) => row.at(-1))).toEqual(['yes', '**no**', '–']);
});
