import { parseHTML } from 'linkedom';
import { beforeAll, describe, expect, test } from 'vitest';
import { toHtml } from '../src/html.js';
import { toMarkdown } from '../src/markdown.js';
import { naive } from '../src/peers/naive.js';
import type { BenchReport } from '../src/report.js';
import { parseNumbers, parseReport, stringifyReport } from '../src/report-file.js';
import { runBench } from '../src/run.js';
import { summarize } from '../src/summary.js';
import { describeRun, formatMs, formatSpeedUp, resultTable } from '../src/table.js';
import { quick, small, source, withResult } from './contenders.js';

let report: BenchReport;

beforeAll(async () => {
  const wrong = source('wrong', { change: withResult((result) => void result.fill(Number.NaN)) });
  report = await runBench({
    workloads: [small, { ...small, shape: [5, 7] }, { ...small, op: 'vjp' }],
    contenders: [source('a <b> | & "c"'), wrong, naive, { name: 'gone', kind: 'peer', open: async () => 'not | here' }],
    ...quick,
  });
});

test('errors of softmax are in ULP, with an option as well; others are shares of what is allowed', async () => {
  const ops = ['softmax', 'softmax:causalMask', 'vjp', 'crossEntropy:weight'] as const;
  const { workloads } = await runBench({
    workloads: ops.map((op) => ({ ...small, op })),
    contenders: [naive],
    ...quick,
  });
  const errors = workloads.map((result) =>
    resultTable(result)
      .rows[0]?.at(-1)
      ?.replaceAll(/[\d.<]+ /g, ''),
  );
  expect(errors).toEqual(['ULP', 'ULP', '% of allowed', '% of allowed']);
});

describe('a report as a file', () => {
  test('is read back unchanged, including NaN', () => {
    expect(report.workloads[0].results[1].correctness?.worstShareOfBound).toBeNaN();
    expect(parseReport(stringifyReport(report), 'report.json')).toEqual(report);
  });

  test('is refused if it is something else, naming the file', () => {
    expect(() => parseReport('{', 'a.json')).toThrow(
      /^a\.json: not JSON: .*; expected what softgrad bench --json wrote$/,
    );
    for (const other of ['[1, 2]', 'null', '3', '"text"', '{}'])
      expect(() => parseReport(other, 'a.json')).toThrow(
        expect.objectContaining({
          code: 'ERR_VALUE',
          message: 'a.json: not a report; expected what softgrad bench --json wrote',
        }),
      );
    expect(() => parseReport('{"schema": "softgrad-bench/9"}', 'a.json')).toThrow(
      'a report of schema softgrad-bench/9',
    );
    expect(() => parseReport('{"schema": "softgrad-bench/1"}', 'a.json')).toThrow(
      'a.json: environment must be an object',
    );
  });

  test.each<[string, unknown, RegExp]>([
    ['environment.date', undefined, /environment\.date is missing; expected text/],
    ['environment.date', 5, /environment\.date is 5; expected text/],
    ['contenders.0', null, /contenders\[0\] must be an object/],
    ['unavailable.0.reason', 7, /unavailable\[0\]\.reason is 7/],
    ['workloads.0', 'x', /workloads\[0\] must be an object/],
    ['workloads.1.workload.shape', 'x', /workloads\[1\]\.workload\.shape is "x"; expected a pair/],
    ['workloads.1.workload.shape.0', -1, /workload\.shape\[0\] is -1; expected a whole number above 0/],
    ['workloads.0.workload.op', 'hardmax', /op is "hardmax"; expected one of softmax, /],
    ['workloads.0.results.0', null, /workloads\[0\]\.results\[0\] must be an object/],
    ['workloads.0.results.0.timings', undefined, /results\[0\]\.timings must be an object/],
    ['workloads.0.results.0.timings.reused.medianMs', 'fast', /timings\.reused\.medianMs is "fast"; expected a number/],
    ['workloads.0.results.0.ratios', undefined, /ratios must be an object/],
    ['workloads.0.results.0.samples.reused.0', 'abc', /samples\.reused\[0\] must be a list/],
    ['workloads.0.roofs', undefined, /roofs must be a list/],
  ])('with %s = %j it is refused, naming the place', (path, wrong, message) => {
    const broken = JSON.parse(stringifyReport(report));
    const keys = path.split('.');
    const last = keys.pop() ?? '';
    const parent = keys.reduce((part, key) => part[key], broken);
    if (wrong === undefined) delete parent[last];
    else parent[last] = wrong;
    expect(() => parseReport(JSON.stringify(broken), 'a.json')).toThrow(message);
  });

  test('may have properties that this version does not know', () => {
    const more = { ...JSON.parse(stringifyReport(report)), later: { than: 'this' } };
    expect(parseReport(JSON.stringify(more), 'a.json')).toMatchObject({ later: { than: 'this' } });
  });
});

test('NaN and the infinities are text in a file', () => {
  const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1.5e-7, 'x', null];
  const text = stringifyReport({ values, samples: [[1, null, 2.5]] });
  expect(text).toContain('[1,null,2.5]');
  expect(parseNumbers(text)).toEqual({ values, samples: [[1, null, 2.5]] });
});

describe('a table', () => {
  test('has a row for each contender with times, and a note for each without', () => {
    const { head, rows, notes } = resultTable(report.workloads[0]);
    expect(rows.map(([name]) => name)).toEqual(['a <b> | & "c"', 'naive']);
    for (const row of rows) expect(row).toHaveLength(head.length);
    expect(notes.at(-1)).toBe('wrong: wrong: the results contain NaN');
    expect(notes[0]).toMatch(/^(exp|memory) bound: .* \(.*\)$/);
  });

  test('shows the speed-up with its interval, or in words that it is not significant', () => {
    const ratio = { ratio: 0.5, interval: [0.4, 0.625] } as const;
    expect(formatSpeedUp({ ...ratio, significant: true })).toBe('2.00× (1.60–2.50)');
    expect(formatSpeedUp({ ...ratio, significant: false })).toBe('within the noise (1.60–2.50)');
    const large = { ratio: 1 / 1234, interval: [1 / 1500, 1 / 999] } as const;
    expect(formatSpeedUp({ ...large, significant: true })).toBe('1234× (999–1500)');
    const around = { ratio: 1.01, interval: [0.8, 1.25] } as const;
    expect(formatSpeedUp({ ...around, significant: false })).toBe('no difference (0.800–1.25)');
  });

  test('has times with units', () => {
    expect([2.5e-5, 0.0123, 4.56, 78901].map(formatMs)).toEqual(['25.0 ns', '12.3 µs', '4.56 ms', '78.9 s']);
    expect([1e-3, 1, 1000, 0.00099].map(formatMs)).toEqual(['1.00 µs', '1.00 ms', '1.00 s', '990 ns']);
    expect(formatMs(undefined)).toBe('');
  });

  test('comes after the environment and the contenders that ran or did not run', () => {
    const [how, ...participants] = describeRun(report);
    expect(how).toMatch(/^Node 2\d.*medians of 3 interleaved rounds$/);
    expect(participants).toHaveLength(4);
    expect(participants.at(-1)).toBe('gone: not run: not | here');
  });
});

describe('Markdown', () => {
  test('has the same number of cells in the head and in each row', () => {
    const text = toMarkdown(report);
    const tables = text.split('\n\n').filter((block) => block.startsWith('|'));
    expect(tables).toHaveLength(3);
    for (const table of tables) {
      const cells = table.split('\n').map((line) => line.replaceAll('\\|', '').split('|').length);
      expect(new Set(cells).size).toBe(1);
    }
    expect(text).toContain('a \\<b\\> \\| & "c"');
    expect(text).toContain('- gone: not run: not \\| here');
  });
});

describe('HTML', () => {
  test('is one page with charts and tables, with accessible names', () => {
    const { document } = parseHTML(toHtml(report));
    expect(document.querySelector('html')?.getAttribute('lang')).toBe('en');
    expect(document.querySelector('title')?.textContent).toBe('softgrad bench');
    const charts = [...document.querySelectorAll('figure > svg')].map((svg) => svg.getAttribute('aria-label'));
    expect(charts).toEqual([
      'softmax float32: time of a call against the number of results',
      'softmax float32: speed-up over naive',
      'vjp float32: time of a call against the number of results',
      'vjp float32: speed-up over naive',
    ]);
    expect(document.querySelectorAll('table')).toHaveLength(3);
    for (const row of document.querySelectorAll('tr')) expect(row.children).toHaveLength(8);
  });

  test('has a dot for each contender at each shape, with its numbers as title', () => {
    const { document } = parseHTML(toHtml(report));
    const [times] = document.querySelectorAll('figure > svg');
    const titles = [...times.querySelectorAll('[aria-label=dot] title')].map(
      (title) => title.textContent?.split(':')[0],
    );
    expect(titles.sort()).toEqual(['a <b> | & "c", 3×4', 'a <b> | & "c", 5×7', 'naive, 3×4', 'naive, 5×7']);
  });

  test('contenders differ in their symbols, in the legend as well, for whoever cannot tell the colours apart', () => {
    const { document } = parseHTML(toHtml(report));
    const legend = [...document.querySelectorAll('.legend')].map(({ children }) =>
      [...children].map(({ textContent }) => textContent),
    );
    expect(legend[0]).toEqual(['● a <b> | & "c"', '■ wrong', '▲ naive']);
    const outlines = (chart: number, contender: string) =>
      [...document.querySelectorAll('figure > svg')[chart].querySelectorAll('[aria-label=dot] path')]
        .filter((dot) => dot.textContent?.startsWith(contender))
        .map((dot) => dot.getAttribute('d'));
    const [first, other] = ['a <b>', 'naive'].map((contender) => outlines(0, contender));
    expect([new Set(first).size, new Set(other).size]).toEqual([1, 1]);
    expect(first[0]).not.toBe(other[0]);
  });

  test('an axis of times or of speed-ups has two numbers at least, whatever its range', () => {
    for (const factor of [1.3, 3, 7, 30, 5000]) {
      const workloads = [1, 2].map((rows) =>
        summarize({
          workload: { op: 'softmax', shape: [rows, 10], dtype: 'float32' },
          baseline: 'slow',
          control: null,
          roofs: [],
          results: ['slow', 'fast'].map((contender, k) => ({
            contender,
            kind: 'backend',
            missing: null,
            correctness: null,
            firstCallMs: 1,
            emptyCall: null,
            samples: { reused: [[(0.22 * rows) / factor ** k]] },
          })),
        }),
      );
      const contenders = ['slow', 'fast'].map(
        (name) => ({ name, kind: 'backend', description: '', openMs: 1 }) as const,
      );
      const { document } = parseHTML(toHtml({ ...report, workloads, contenders }));
      const [times, speedUps] = document.querySelectorAll('figure > svg');
      for (const [chart, axis] of [
        [times, 'y'],
        [speedUps, 'x'],
      ] as const) {
        const labels = [...chart.querySelectorAll(`[aria-label="${axis}-axis tick label"] text`)];
        const shown = labels.map(({ textContent }) => textContent).filter((text) => text !== '');
        expect(shown.length, `${axis} axis, factor ${factor}: ${shown}`).toBeGreaterThan(1);
      }
    }
  });

  test('the line of a contender goes from the smallest to the largest size, in whatever order they were timed', () => {
    const [first, second, ...others] = report.workloads;
    const { document } = parseHTML(toHtml({ ...report, workloads: [second, first, ...others] }));
    const line = document.querySelector('figure > svg [aria-label=line] path')?.getAttribute('d') ?? '';
    const places = [...line.matchAll(/[ML]([\d.]+),/g)].map(([, x]) => Number(x));
    expect(places).toHaveLength(2);
    expect(places[0]).toBeLessThan(places[1]);
  });

  test('is self-contained: no script, no URL, no import', () => {
    const html = toHtml(report);
    expect(html).not.toMatch(/<script|https?:|\ssrc=|href=|@import|url\(/i);
  });

  test('escapes names', () => {
    const { document } = parseHTML(toHtml(report));
    expect(document.querySelector('tbody th')?.textContent).toBe('a <b> | & "c"');
    expect(document.querySelector('b')).toBeNull();
  });
});
