import { readFileSync } from 'node:fs';
import type { AccuracyReport } from '@softgrad/bench';
import { afterAll, expect, test } from 'vitest';
import { softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

test('a table for each dtype, a line an input, a column a contender', () => {
  const md = folder.at('accuracy.md');
  const { status, stdout, stderr } = softgrad([
    'accuracy',
    '--backends',
    'cpu',
    '--peers',
    'naive',
    '--classes',
    '1,10',
    '--md',
    md,
  ]);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  for (const dtype of ['float32', 'float64']) {
    expect(stdout).toContain(`softmax ${dtype}: largest error in ULP over results of at least 1e-30\n┌`);
  }
  expect(stdout).toMatch(/│ classes │ logits +│ cpu +│ naive +│/);
  expect(stdout.match(/│ 10 +│ (±1|±20|±80|10000 ± 8) +│ [\d.]+ +│ [\d.]+ +│/g)).toHaveLength(8);
  expect(readFileSync(md, 'utf8')).toMatch(/^### softmax float32: .*\n\n\| classes \| logits \| cpu \| naive \|\n/);
});

test('as JSON, and nothing else', () => {
  const { status, stdout } = softgrad([
    'accuracy',
    '--backends',
    'cpu',
    '--dtype',
    'float32',
    '--classes',
    '3',
    '--json',
    '-',
  ]);
  expect(status).toBe(0);
  const report: AccuracyReport = JSON.parse(stdout);
  expect(report.schema).toBe('softgrad-accuracy/1');
  expect(report.results).toHaveLength(4);
  for (const { contender, worstUlp } of report.results) {
    expect(contender).toBe('cpu');
    expect(worstUlp).toBeLessThanOrEqual(1);
  }
});

test('what it does not know is refused in one line', () => {
  for (const [args, message] of [
    [['--ops', 'vjp'], /--ops.*Expected softmax, logSoftmax/],
    [['--dtype', 'float8'], /--dtype.*Expected float32, float64/],
    [['--classes', 'many'], /--classes.*whole number above 0/],
    [['--json', '-', '--md', '-'], /only one of --json and --md/],
  ] as const) {
    const { status, stderr } = softgrad(['accuracy', ...args]);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  }
});
