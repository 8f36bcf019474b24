import { expect, test } from 'vitest';
import { compareReports, comparisonTable } from '../src/compare.js';
import { toHtml } from '../src/html.js';
import { describeColumns } from '../src/legend.js';
import { markdownTable, toMarkdown } from '../src/markdown.js';
import type { BenchReport, ContenderResult, RawResult } from '../src/report.js';
import { wrongPart } from '../src/report-check.js';
import { parseNumbers, parseReport, stringifyReport } from '../src/report-file.js';
import { summarize } from '../src/summary.js';
import { slowed } from './contenders.js';
import { fixedReport } from './fixed-report.js';

const tableOfNothing = { title: 'More of *it*', head: ['a'], rows: [], notes: ['a < b & "c"'] };

test('only columns that the tables have are described', () => {
  const beginnings = (of: BenchReport) => describeColumns(of).map((line) => line.slice(0, line.indexOf(':')));
  const every = [
    'reused out',
    'allocating',
    'end to end',
    'on the device',
    'first call',
    'speed-up',
    'of its bound',
    'error',
  ];
  const without = (change: Partial<ContenderResult>, baseline?: null): BenchReport => ({
    ...fixedReport,
    workloads: fixedReport.workloads.map((workload) => ({
      ...workload,
      ...(baseline === null ? { baseline } : {}),
      results: workload.results.map((result) => ({ ...result, ...change })),
    })),
  });
  const allBut = (name: string) => every.filter((one) => one !== name);
  expect(beginnings(fixedReport)).toEqual(every);
  expect(beginnings(without({}, null))).toEqual(allBut('speed-up'));
  expect(beginnings(without({ bound: null }))).toEqual(allBut('of its bound'));
  expect(beginnings(without({ correctness: null }))).toEqual(allBut('error'));
  expect(beginnings(without({ missing: 'not here' }))).toEqual([]);
});

test('the Markdown of given numbers', () => {
  expect(toMarkdown(fixedReport, [tableOfNothing])).toMatchInlineSnapshot(`
    "Node 20.0.0, V8 11.3, linux x64, Abacus \\<3\\>, 2 processors; medians of 3 interleaved rounds in each of 2 processes.

    - fast: the 1. & only (opens in 500 µs)
    - alike: the 2. & only (opens in 1.50 ms)
    - calls: the 3. & only (opens in 2.50 ms)
    - clocked: the 4. & only (opens in 3.50 ms)
    - naive: the 5. & only (opens in 4.50 ms)
    - wrong: the 6. & only (opens in 5.50 ms)
    - none: the 7. & only (opens in 6.50 ms)
    - gone: not run: not here

    Columns:

    - reused out: the median time of a call whose operands are on the device, into an output that exists
    - allocating: the same with a new output for each call
    - end to end: from arrays on the host to an array on the host: copy to the device, compute, copy back
    - on the device: the kernels alone, by the device's own clock
    - first call: from data on the host, with nothing loaded or compiled
    - speed-up: the time of naive divided by the time of the row, both into an existing output where they can: 2× takes half as long, 0.5× twice as long. In parentheses is the range that contains it with 95 % confidence; "no difference" if that contains 1, "within the noise" if the baseline timed twice differs as much
    - of its bound: the least possible time divided by the time of the row; at 100 %, which noise can exceed, one thread cannot be faster. The bound is the largest of the time to read and write the data (memory), to take its exponentials (exp) and of an empty call (call)
    - error: the largest error of any entry, for softmax in units of the last place (ULP), otherwise as a share of what the conformance suite allows

    ### softmax 1000×100 float32, speed-up over naive

    |  | reused out | allocating | end to end | on the device | first call | speed-up | of its bound | error |
    | --- | --- | --- | --- | --- | --- | --- | --- | --- |
    | fast | 250 µs | 500 µs |  |  | 12.5 ms | 4.00× (3.33–5.00) | 40 % of exp | 250 ULP |
    | alike | 1.00 ms | 2.00 ms |  |  | 12.5 ms | no difference (0.990–1.01) | 20 % of call | 0.75 ULP |
    | calls |  |  | 4.00 µs |  | 12.5 ms |  |  | 0.75 ULP |
    | clocked |  | 300 ms |  | 500 ns | 12.5 ms | 0.00667× (0.00645–0.00690) | \\< 1 % of exp | 0.75 ULP |
    | naive | 1.00 ms | 2.00 ms |  |  |  | 1 (baseline) | 10 % of exp | 0.75 ULP |

    - exp bound: 100 µs (exp alone, by a SIMD loop)
    - memory bound: 30.0 µs (its bytes at the speed of fill)
    - noise: naive, timed twice in the same rounds, is 0.980–1.02 times as fast as itself
    - wrong: wrong: the results contain NaN
    - none: no softmax

    ### jacobian 10×20 float32, speed-up over naive

    |  | reused out | allocating | end to end | first call | speed-up | of its bound | error |
    | --- | --- | --- | --- | --- | --- | --- | --- |
    | fast | 250 µs | 500 µs |  | 12.5 ms | 4.00× (3.33–5.00) | 12 % of memory | 50 % of allowed |
    | clocked | 1.50 s | 3.00 s |  | 12.5 ms | 0.000667× (0.000667–0.000667) | \\< 1 % of memory | \\< 1 % of allowed |
    | naive | 1.00 ms | 2.00 ms |  | 12.5 ms | 1 (baseline) | 3 % of memory | \\< 1 % of allowed |

    - memory bound: 30.0 µs (its bytes at the speed of fill)
    - clocked: no time on the device: it was reset

    ### softmax 4000×100 float32, speed-up over naive

    |  | reused out | allocating | end to end | on the device | first call | speed-up | of its bound | error |
    | --- | --- | --- | --- | --- | --- | --- | --- | --- |
    | fast | 250 µs | 500 µs |  |  | 12.5 ms | 4.00× (3.33–5.00) | 40 % of exp | 250 ULP |
    | alike | 1.00 ms | 2.00 ms |  |  | 12.5 ms | no difference (0.990–1.01) | 20 % of call | 0.75 ULP |
    | calls |  |  | 4.00 µs |  | 12.5 ms |  |  | 0.75 ULP |
    | clocked |  | 300 ms |  | 500 ns | 12.5 ms | 0.00667× (0.00645–0.00690) | \\< 1 % of exp | 0.75 ULP |
    | naive | 1.00 ms | 2.00 ms |  |  |  | 1 (baseline) | 10 % of exp | 0.75 ULP |

    - exp bound: 100 µs (exp alone, by a SIMD loop)
    - memory bound: 30.0 µs (its bytes at the speed of fill)
    - noise: naive, timed twice in the same rounds, is 0.980–1.02 times as fast as itself
    - wrong: wrong: the results contain NaN
    - none: no softmax

    ### softmax 2×5 float64

    |  | reused out | allocating | end to end | first call | speed-up | of its bound | error |
    | --- | --- | --- | --- | --- | --- | --- | --- |
    | fast |  |  | 250 µs | 12.5 ms |  |  |  |


    ### More of \\*it\\*

    - a \\< b & "c"
    "
  `);
});

test('the HTML page of given numbers: head, charts and tables', () => {
  expect(toHtml(fixedReport, [tableOfNothing])).toMatchSnapshot();
});

/** The report after its contenders' times changed by these factors, with statistics to match. */
function later(factors: Readonly<Record<string, number>>): BenchReport {
  const changed = Object.entries(factors).reduce((report, [name, factor]) => slowed(report, name, factor), fixedReport);
  return { ...changed, workloads: changed.workloads.map(summarize) };
}

test('the comparison of given numbers, on the same machine and on another one', () => {
  const now = later({ fast: 2, clocked: 0.5, naive: 1.25, alike: 1.3 });
  expect(markdownTable(comparisonTable(compareReports(fixedReport, now)))).toMatchInlineSnapshot(`
    "
    ### Compared with the earlier report

    | workload |  | mode | then | now | time now / then (99 % interval) |  |
    | --- | --- | --- | --- | --- | --- | --- |
    | softmax 1000×100 float32 | clocked | allocating | 300 ms | 150 ms | 0.40 (0.37–0.43) | faster |
    | jacobian 10×20 float32 | clocked | reused out | 1.50 s | 750 ms | 0.40 (0.40–0.40) | faster |
    | jacobian 10×20 float32 | clocked | allocating | 3.00 s | 1.50 s | 0.40 (0.40–0.40) | faster |
    | softmax 4000×100 float32 | clocked | allocating | 300 ms | 150 ms | 0.40 (0.37–0.43) | faster |
    | softmax 1000×100 float32 | clocked | on the device | 500 ns | 250 ns | 0.50 (0.33–0.75) | faster |
    | softmax 4000×100 float32 | clocked | on the device | 500 ns | 250 ns | 0.50 (0.33–0.75) | faster |
    | softmax 1000×100 float32 | fast | reused out | 250 µs | 500 µs | 1.60 (1.07–2.40) | slower |
    | softmax 1000×100 float32 | fast | allocating | 500 µs | 1.00 ms | 1.60 (1.07–2.40) | slower |
    | jacobian 10×20 float32 | fast | reused out | 250 µs | 500 µs | 1.60 (1.07–2.40) | slower |
    | jacobian 10×20 float32 | fast | allocating | 500 µs | 1.00 ms | 1.60 (1.07–2.40) | slower |
    | softmax 4000×100 float32 | fast | reused out | 250 µs | 500 µs | 1.60 (1.07–2.40) | slower |
    | softmax 4000×100 float32 | fast | allocating | 500 µs | 1.00 ms | 1.60 (1.07–2.40) | slower |
    | jacobian 10×20 float32 | naive | reused out | 1.00 ms | 1.25 ms | 1.25 (1.25–1.25) | slower |
    | jacobian 10×20 float32 | naive | allocating | 2.00 ms | 2.50 ms | 1.25 (1.25–1.25) | slower |

    - 11 of 25 timings show no difference
    - time now / then is that of the times divided by those of naive in the same rounds, because the speed of a machine varies; the times in the table are as measured"
  `);
  const elsewhere = {
    ...now,
    environment: { ...now.environment, runtime: 'Node 99', platform: 'other', crossOriginIsolated: false },
  };
  expect(markdownTable(comparisonTable(compareReports(fixedReport, elsewhere)))).toMatchInlineSnapshot(`
    "
    ### Compared with the earlier report

    | workload |  | mode | then | now | time now / then (99 % interval) |  |
    | --- | --- | --- | --- | --- | --- | --- |
    | softmax 1000×100 float32 | clocked | allocating | 300 ms | 150 ms | 0.40 (0.37–0.43) | faster |
    | jacobian 10×20 float32 | clocked | reused out | 1.50 s | 750 ms | 0.40 (0.40–0.40) | faster |
    | jacobian 10×20 float32 | clocked | allocating | 3.00 s | 1.50 s | 0.40 (0.40–0.40) | faster |
    | softmax 4000×100 float32 | clocked | allocating | 300 ms | 150 ms | 0.40 (0.37–0.43) | faster |
    | softmax 1000×100 float32 | fast | reused out | 250 µs | 500 µs | 1.60 (1.07–2.40) | slower |
    | softmax 1000×100 float32 | fast | allocating | 500 µs | 1.00 ms | 1.60 (1.07–2.40) | slower |
    | jacobian 10×20 float32 | fast | reused out | 250 µs | 500 µs | 1.60 (1.07–2.40) | slower |
    | jacobian 10×20 float32 | fast | allocating | 500 µs | 1.00 ms | 1.60 (1.07–2.40) | slower |
    | softmax 4000×100 float32 | fast | reused out | 250 µs | 500 µs | 1.60 (1.07–2.40) | slower |
    | softmax 4000×100 float32 | fast | allocating | 500 µs | 1.00 ms | 1.60 (1.07–2.40) | slower |

    - the environments differ: runtime: Node 20.0.0, V8 11.3, then Node 99
    - the environments differ: platform: linux x64, then other
    - the environments differ: cross-origin isolated: true, then false
    - so only times relative to a common baseline are compared
    - 4 of 14 timings show no difference
    - time now / then is that of the times divided by those of naive in the same rounds, because the speed of a machine varies; the times in the table are as measured"
  `);
});

test('a change that its spread can explain is no difference, in either direction', () => {
  for (const factor of [1.3, 0.8]) {
    const { changes } = compareReports(fixedReport, later({ fast: factor }));
    expect(new Set(changes.map(({ verdict }) => verdict))).toEqual(new Set(['no difference']));
  }
});

test('times are absolute unless both reports have the baseline, in that mode', () => {
  const without = (report: BenchReport): BenchReport => ({
    ...report,
    workloads: report.workloads.map((workload) =>
      summarize({ ...workload, results: workload.results.filter(({ contender }) => contender !== 'naive') }),
    ),
  });
  const clocks = (then: BenchReport, now: BenchReport) =>
    compareReports(then, now)
      .changes.filter(({ contender }) => contender === 'fast')
      .map(({ clock }) => clock);
  expect(new Set(clocks(fixedReport, fixedReport).slice(0, 6))).toEqual(new Set(['naive']));
  expect(new Set(clocks(without(fixedReport), fixedReport))).toEqual(new Set([null]));
  expect(new Set(clocks(fixedReport, without(fixedReport)))).toEqual(new Set([null]));
  const rebased = { ...fixedReport, workloads: fixedReport.workloads.map((one) => ({ ...one, baseline: 'alike' })) };
  expect(new Set(clocks(fixedReport, rebased))).toEqual(new Set([null]));
});

test('a contender that is new is not compared, and one that lacks its times now is listed', () => {
  const [first] = fixedReport.workloads;
  const edited = (edit: (result: RawResult) => readonly RawResult[]): BenchReport => ({
    ...fixedReport,
    workloads: [summarize({ ...first, results: first.results.flatMap(edit) })],
  });
  const now = edited((result) => {
    if (result.contender === 'fast') return [{ ...result, missing: 'not installed', samples: {} }];
    return result.contender === 'alike' ? [{ ...result, contender: 'new' }] : [result];
  });
  const { changes, unmatched } = compareReports({ ...fixedReport, workloads: [first] }, now);
  expect(changes.map(({ contender, mode }) => `${contender}, ${mode}`)).toEqual([
    'calls, endToEnd',
    'clocked, allocating',
    'clocked, device',
    'naive, reused',
    'naive, allocating',
  ]);
  expect(unmatched).toEqual(['softmax 1000×100 float32, fast: now not installed']);
});

/** Every place of a value, of a list only its first element: the keys that lead there, and the value there. */
function places(value: unknown, keys: readonly string[] = []): readonly (readonly [readonly string[], unknown])[] {
  if (typeof value !== 'object' || value === null) return [[keys, value]];
  const parts = Array.isArray(value) ? Object.entries(value).slice(0, 1) : Object.entries(value);
  return [[keys, value], ...parts.flatMap(([key, part]) => places(part, [...keys, key]))];
}

/** A copy in which another value is at a place. */
function replaced(value: unknown, keys: readonly string[], by: unknown): unknown {
  const [key, ...rest] = keys;
  if (key === undefined) return by;
  if (typeof value !== 'object' || value === null) throw new Error(`nothing at ${key}`);
  const part = replaced(Reflect.get(value, key), rest, by);
  if (Array.isArray(value)) return value.map((one, k) => (String(k) === key ? part : one));
  return { ...value, [key]: part };
}

test('a wrong value is refused at every place of a report, with the place', () => {
  // These are not read by programs.
  const unchecked = ['schema', 'rowsChecked', 'noDeviceTime', 'device'];
  const report = parseNumbers(stringifyReport(fixedReport));
  const checked = places(report).filter(([keys]) => !keys.some((key) => unchecked.includes(key)));
  expect(checked.length).toBeGreaterThan(90);
  const passed = checked.flatMap(([keys, value]) => {
    const place = keys.reduce((path, key) => (/^\d+$/.test(key) ? `${path}[${key}]` : `${path}.${key}`), '').slice(1);
    const wrong = Array.isArray(value) || value === null ? true : [];
    const refusal = wrongPart(replaced(report, keys, wrong)) ?? 'none';
    return refusal.startsWith(place === '' ? 'it ' : `${place} `) ? [] : [`${place}: ${refusal}`];
  });
  expect(passed).toEqual([]);
});

test('a report reads back unchanged, and unknown names, fractions and lists of another length are refused', () => {
  const text = stringifyReport(fixedReport);
  expect(parseReport(text, 'a.json')).toEqual(fixedReport);
  const report = parseNumbers(text);
  const first = ['workloads', '0'];
  const at = (keys: readonly string[], value: unknown) => wrongPart(replaced(report, [...first, ...keys], value));
  expect([
    at(['workload', 'shape'], [3]),
    at(['workload', 'shape', '1'], 2.5),
    at(['workload', 'shape', '1'], 0),
    at(['workload', 'shape', '1'], 1),
    at(['workload', 'dtype'], 'float16'),
    at(['results', '1', 'kind'], 'friend'),
    at(['results', '1', 'timings', 'reused', 'quartilesMs'], [1, 2, 3]),
    at(['results', '0', 'bound', 'name'], 'x'.repeat(50)),
    at(['roofs', '0', 'name'], 'x'.repeat(38)),
    at(['results', '1', 'correctness'], [1]),
    at(['results', '1', 'bound'], null),
    at(['baseline'], null),
  ]).toMatchInlineSnapshot(`
    [
      "workloads[0].workload.shape is [3]; expected a pair",
      "workloads[0].workload.shape[1] is 2.5; expected a whole number above 0",
      "workloads[0].workload.shape[1] is 0; expected a whole number above 0",
      null,
      "workloads[0].workload.dtype is "float16"; expected one of float32, float64",
      "workloads[0].results[1].kind is "friend"; expected one of backend, peer",
      "workloads[0].results[1].timings.reused.quartilesMs is [1,2,3]; expected a pair",
      "workloads[0].results[0].bound.name is "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…; expected one of memory, exp, call",
      "workloads[0].roofs[0].name is "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"; expected one of memcpy, fill, store, exp",
      "workloads[0].results[1].correctness must be an object",
      null,
      null,
    ]
  `);
});
