import {
  type BenchOp,
  type BenchReport,
  type BenchShape,
  type RawResult,
  type RawWorkload,
  summarize,
} from '@softgrad/bench';
import { describe, expect, test } from 'vitest';
import { plainWasm, relaxedWasm } from '../src/names.js';
import { optionCosts, optionTimes } from '../src/options-tables.js';
import { absences, boundsTable, matrixTable, ratioTable } from '../src/tables.js';
import { boundTarget, costTarget, shareTarget, speedUpTarget, targetsTable } from '../src/targets.js';

/** A workload with constant times in ms: of contenders with a reused output, and of the reference loops. */
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

  test('is met if it is met at every shape', () => {
    expect(speedUpTarget(report, { ...bar, least: ([, f]) => (f === 3 ? 3.9 : 0.9) })).toEqual({
      what: 'x',
      bar: 'y',
      measured: 'closest to its target at 10×3: 4.00× (4.00–4.00); geometric mean 2.00×',
      met: true,
    });
  });

  test('is missed if one shape misses it, which is named', () => {
    expect(speedUpTarget(report, { ...bar, least: () => 2 })).toMatchObject({
      measured: 'closest to its target at 10×100: 1.00× (1.00–1.00); geometric mean 2.00×; below the target at 10×100',
      met: false,
    });
  });

  test('is missed if only the geometric mean misses it', () => {
    expect(speedUpTarget(report, { ...bar, least: () => 1, geometricMean: 2.1 }).met).toBe(false);
    expect(speedUpTarget(report, { ...bar, least: () => 1, geometricMean: 1.9 }).met).toBe(true);
  });

  test('is not met if some shapes were not measured', () => {
    const [first, second] = report.workloads;
    const results = second.results.map((line) => (line.contender === 'slow' ? { ...line, samples: {} } : line));
    const partly = { ...report, workloads: [first, { ...second, results }] };
    expect(speedUpTarget(partly, { ...bar, least: () => 1 })).toMatchObject({
      measured: 'closest to its target at 10×3: 4.00× (4.00–4.00); geometric mean 4.00×; not measured at 10×100',
      met: null,
    });
    expect(speedUpTarget(partly, { ...bar, least: () => 5 }).met).toBe(false);
  });

  test('that was not measured is neither met nor missed', () => {
    expect(speedUpTarget(report, { ...bar, slow: 'not-measured', least: () => 1 })).toMatchObject({
      measured: 'not measured',
      met: null,
    });
  });
});

test('a share of bandwidth is the time for the bytes at the speed of the loop divided by that of the op', () => {
  const bar = { what: 'x', bar: 'y', op: 'vjp', contender: 'fast', roof: 'memcpy', bytes: 3 / 2 } as const;
  expect(shareTarget(report, { ...bar, least: () => 0.5 })).toMatchObject({
    measured: '10×100: 0.50 (0.50–0.50)',
    met: true,
  });
  expect(shareTarget(report, { ...bar, least: () => 0.51 })).toMatchObject({ met: false });
});

test('a share of a bound is that of the tables: of memory, exp, or the call', () => {
  const bar = { what: 'x', bar: 'y', op: 'vjp', contender: 'fast' } as const;
  expect(boundTarget(report, { ...bar, least: 0.5 })).toEqual({
    what: 'x',
    bar: 'y',
    measured: '10×100: 0.50',
    met: true,
  });
  expect(boundTarget(report, { ...bar, least: 0.51 }).met).toBe(false);
  expect(boundTarget(report, { ...bar, contender: 'not-measured', least: 0 })).toMatchObject({
    measured: 'not measured',
    met: null,
  });
});

test('the cost of one op relative to another uses their rounds, for the given shapes and contender', () => {
  const [of, over] = (['crossEntropy', 'softmax'] as const).map((op) => ({
    op,
    shape: [10, 100] as const,
    dtype: 'float32' as const,
  }));
  // The machine slows down by half during the run; the quotients of the rounds do not change.
  const costs = [
    { contender: 'fast', of, over, ofSamples: [[5, 10, null]], overSamples: [[4, 8, 9]] },
    { contender: 'slow', of, over, ofSamples: [[9, 9, 9]], overSamples: [[1, 1, 1]] },
    { contender: 'fast', of: { ...of, dtype: 'float64' as const }, over, ofSamples: [[9]], overSamples: [[1]] },
  ];
  const bar = { what: 'x', bar: 'y', contender: 'fast', of: { op: 'crossEntropy' }, over: { op: 'softmax' } } as const;
  expect(costTarget(costs, { ...bar, most: 1.25 })).toMatchObject({
    measured: '10×100: 1.25 (1.25–1.25)',
    met: true,
  });
  expect(costTarget(costs, { ...bar, most: 1.24 })).toMatchObject({ met: false });
  expect(costTarget(costs, { ...bar, contender: 'not-measured', most: 9 })).toMatchObject({ met: null });
});

describe('tables', () => {
  test('of times: a row for each shape and a column for each contender', () => {
    expect(matrixTable(report, { op: 'softmax' }, 'reused')).toEqual({
      head: ['shape', 'fast', 'slow'],
      rows: [
        ['10×3', '1.00 ms', '4.00 ms'],
        ['10×100', '2.00 ms', '2.00 ms'],
      ],
    });
  });

  test('of ratios: each with its interval, and a mark if it is no difference', () => {
    expect(ratioTable(report, { op: 'softmax' }, 'reused', 'fast')).toEqual({
      head: ['shape', 'over slow'],
      rows: [
        ['10×3', '4.00× (4.00–4.00)'],
        ['10×100', '≈ 1.00× (1.00–1.00)'],
      ],
    });
    expect(ratioTable(report, { op: 'softmax' }, 'reused', 'not-measured').rows).toEqual([]);
  });

  test('of bounds: the loops, the tightest bound, and its share of each time', () => {
    expect(boundsTable(report, { op: 'vjp' })).toEqual({
      head: ['shape', 'memcpy', 'fill', 'bound', 'fast', 'slow'],
      rows: [['10×100', '1.00 ms', '1.00 ms', 'memory: 1.50 ms (memcpy)', '50 %', '17 %']],
    });
    const [called] = [workload('softmax', [10, 100], { fast: 2, slow: 4 }, { memcpy: 0.5, fill: 0.25 })].map((raw) => ({
      ...raw,
      roofs: [...raw.roofs, { name: 'exp' as const, from: 'a SIMD loop', samples: [[0.8, 0.8, 0.8]] }],
      results: raw.results.map((result) => ({
        ...result,
        emptyCall: result.contender === 'fast' ? [[1, 1, 1]] : null,
      })),
    }));
    expect(boundsTable({ ...report, workloads: [summarize(called)] }, { op: 'softmax' })).toEqual({
      head: ['shape', 'memcpy', 'fill', 'exp (SIMD)', 'bound', 'fast', 'slow'],
      rows: [['10×100', '500 µs', '250 µs', '800 µs', 'exp: 800 µs (a SIMD loop)', '50 % (call: 1.00 ms)', '20 %']],
    });
    const inJavaScript = workload('softmax', [10, 100], { cpu: 4, slow: 4 }, { memcpy: 0.5, fill: 0.25 });
    const roofs = [
      ...inJavaScript.roofs,
      { name: 'exp' as const, from: 'a JavaScript loop', samples: [[3, 3, 3]] },
      { name: 'exp' as const, from: 'naive', samples: [[9, 9, 9]] },
    ];
    const withLoop = { ...report, workloads: [summarize({ ...inJavaScript, roofs })] };
    expect(boundsTable(withLoop, { op: 'softmax' })).toEqual({
      head: ['shape', 'memcpy', 'fill', 'exp (JavaScript)', 'exp (Math.exp)', 'bound', 'cpu', 'slow'],
      rows: [
        [
          '10×100',
          '500 µs',
          '250 µs',
          '3.00 ms',
          '9.00 ms',
          'exp: 3.00 ms (a JavaScript loop)',
          '75 % (JavaScript: 75 %)',
          '75 %',
        ],
      ],
    });
  });

  test('of options: time over the plain call by the rounds of both, and how many times as fast as competitors', () => {
    const shape = [10, 100] as const;
    const times = { cpu: 8, [plainWasm]: 2, [relaxedWasm]: 1, naive: 10, other: 2 };
    const roofs = { memcpy: 0.5, fill: 0.25 };
    const raw = (['crossEntropy:weight', 'softmax:causalMask', 'softmax', 'softmax:paddingMask'] as const).map((op) => {
      const one = workload(op, shape, times, roofs);
      const results = one.results.map((line): RawResult => {
        const kind = line.contender === 'naive' || line.contender === 'other' ? 'peer' : 'backend';
        const allocating = line.samples.reused ?? [];
        return {
          ...line,
          kind,
          samples: line.contender === 'other' && op !== 'softmax:causalMask' ? {} : { allocating },
        };
      });
      return { ...one, results, baseline: 'naive', control: [[10, 10, 10]] };
    });
    const measured = { ...report, workloads: raw.map(summarize) };
    const [of, over] = (['softmax:causalMask', 'softmax'] as const).map((op) => ({
      op,
      shape,
      dtype: 'float32' as const,
    }));
    const costs = [
      { contender: 'cpu', of: { ...of, shape: [9, 100] as const }, over, ofSamples: [[7]], overSamples: [[1]] },
      {
        contender: 'cpu',
        of: { ...of, op: 'softmax' as const, dtype: 'float64' as const },
        over,
        ofSamples: [[6]],
        overSamples: [[1]],
      },
      { contender: 'cpu', of, over, ofSamples: [[3, 6]], overSamples: [[2, 4]] },
      { contender: relaxedWasm, of, over, ofSamples: [[5]], overSamples: [[4]] },
    ];
    const head = [
      'call',
      'shape',
      'cpu, time over plain',
      'wasm (SIMD), time over plain',
      'wasm (relaxed SIMD), time over plain',
      'wasm (SIMD) over naive',
      'wasm (SIMD) over other',
    ];
    expect(optionCosts(measured, costs, false)).toEqual({
      head,
      rows: [
        ['`softmax:paddingMask`', '10×100', '', '', '', '5.00×', ''],
        ['`softmax:causalMask`', '10×100', '1.50', '', '1.25', '5.00×', '≈ 1.00×'],
        ['`crossEntropy:weight`', '10×100', '', '', '', '5.00×', ''],
      ],
    });
    expect(optionCosts(measured, costs, true).rows[1]).toEqual([
      '`softmax:causalMask`',
      '10×100',
      '1.50 (1.50–1.50)',
      '',
      '1.25 (1.25–1.25)',
      '5.00× (5.00–5.00)',
      '≈ 1.00× (1.00–1.00)',
    ]);
    expect(optionTimes(measured)).toEqual({
      head: ['call', 'shape', 'cpu', 'wasm (SIMD)', 'wasm (relaxed SIMD)', 'naive', 'other'],
      rows: [
        ['`softmax:paddingMask`', '10×100', '8.00 ms', '2.00 ms', '1.00 ms', '10.0 ms', ''],
        ['`softmax:causalMask`', '10×100', '8.00 ms', '2.00 ms', '1.00 ms', '10.0 ms', '2.00 ms'],
        ['`crossEntropy:weight`', '10×100', '8.00 ms', '2.00 ms', '1.00 ms', '10.0 ms', ''],
      ],
    });
  });

  test('list every contender that is left out, with wrong results or an unsupported operation', () => {
    const failing = report.workloads.map((result) => ({
      ...result,
      results: result.results.map((line) =>
        line.contender === 'slow' ? { ...line, missing: 'wrong: [0, 1] is 3', samples: {}, timings: {} } : line,
      ),
    }));
    const failed = { ...report, workloads: failing };
    expect(absences(failed, { op: 'softmax' })).toEqual(['10×3, 10×100: slow: wrong: [0, 1] is 3']);
    expect(absences(report, { op: 'softmax' })).toEqual([]);
  });

  test('of targets: a row for each, with whether it is met', () => {
    const target = { what: 'x', bar: 'y', measured: 'z' };
    const { rows } = targetsTable([true, false, null].map((met) => ({ ...target, met })));
    expect(rows.map((row) => row.at(-1))).toEqual(['yes', '**no**', '–']);
  });
});
