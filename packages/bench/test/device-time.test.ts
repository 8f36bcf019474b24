import { parseHTML } from 'linkedom';
import { beforeAll, describe, expect, test } from 'vitest';
import { compareReports, comparisonTable } from '../src/compare.js';
import type { DeviceBatch, Job } from '../src/contender.js';
import { toHtml } from '../src/html.js';
import { toMarkdown } from '../src/markdown.js';
import { naive } from '../src/peers/naive.js';
import type { BenchReport } from '../src/report.js';
import { parseReport, stringifyReport } from '../src/report-file.js';
import { runBench } from '../src/run.js';
import { mergeProcesses } from '../src/summary.js';
import { resultTable } from '../src/table.js';
import { quick, slowed, small, source } from './contenders.js';

/** A contender with this device clock. */
const clocked = (name: string, device: DeviceBatch) =>
  source(name, { change: (job: Job): Job => ({ ...job, device }) });

const run = (...contenders: Parameters<typeof runBench>[0]['contenders']) =>
  runBench({ workloads: [small], contenders: [...contenders, naive], ...quick });

let report: BenchReport;
let without: BenchReport;
beforeAll(async () => {
  const broken: DeviceBatch = async () => {
    throw new Error('it was reset');
  };
  report = await run(
    clocked('clocked', async (calls) => 0.25 * calls),
    clocked('clockless', async () => null),
    clocked('broken', broken),
  );
  without = await run(source('clocked'));
});

describe('device time', () => {
  test('is per call, in addition to host times, and not compared with a baseline without device time', () => {
    const [{ timings, ratios, samples }] = report.workloads[0].results;
    expect(Object.keys(timings)).toEqual(['reused', 'allocating', 'endToEnd', 'device']);
    expect(samples.device).toEqual([[0.25, 0.25, 0.25]]);
    expect(timings.device?.medianMs).toBe(0.25);
    expect(ratios.device).toBeUndefined();
  });

  test('is a column of the tables, and a note lists contenders without it, with the reason', () => {
    const { head, rows, notes } = resultTable(report.workloads[0]);
    expect(head.slice(0, 6)).toEqual(['', 'reused out', 'allocating', 'end to end', 'on the device', 'first call']);
    expect(rows.map((cells) => cells[4])).toEqual(['250 µs', '', '', '']);
    for (const cells of rows) expect(cells).toHaveLength(head.length);
    expect(notes.filter((note) => note.includes('no time on the device'))).toEqual([
      'clockless: no time on the device: its device has no clock',
      'broken: no time on the device: it was reset',
    ]);
  });

  test('has no column if no contender has a clock', () => {
    expect(resultTable(without.workloads[0]).head).not.toContain('on the device');
  });

  test('is in the Markdown and in the HTML page', () => {
    expect(toMarkdown(report)).toContain('| end to end | on the device | first call |');
    const { document } = parseHTML(toHtml(report));
    const headings = [...document.querySelectorAll('th[scope=col]')].map(({ textContent }) => textContent);
    expect(headings[4]).toBe('on the device');
    expect(document.querySelector('main')?.textContent).toContain('by its own clock');
    expect(toHtml(without)).not.toContain('by its own clock');
    for (const row of document.querySelectorAll('tr')) expect(row.children).toHaveLength(9);
  });

  test('is in the file; a file without it is read and compared as before', () => {
    expect(parseReport(stringifyReport(report), 'a.json')).toEqual(report);
    const earlier = parseReport(stringifyReport(without), 'b.json');
    const modes = compareReports(earlier, report).changes.map(({ mode }) => mode);
    expect(modes).not.toContain('device');
    expect(modes).toContain('reused');
    expect(resultTable(earlier.workloads[0]).rows).toHaveLength(2);
  });

  test('is compared with an earlier one in absolute terms if the baseline has no clock', () => {
    // Without the noise of the machine, in which a change of any size can be lost.
    const calm = { ...report, workloads: report.workloads.map((workload) => ({ ...workload, noise: null })) };
    const { changes } = compareReports(calm, slowed(calm, 'clocked', 1000));
    const change = changes.find(({ mode }) => mode === 'device');
    expect(change).toMatchObject({ contender: 'clocked', verdict: 'slower', clock: null, thenMs: 0.25 });
    const table = comparisonTable({ environmentDiffers: [], changes, unmatched: [] });
    expect(table.rows.map((cells) => cells[2])).toContain('on the device');
  });

  test('of several processes is combined', () => {
    const [part] = report.workloads;
    expect(mergeProcesses([part, part]).results[0].samples.device).toHaveLength(2);
  });
});
