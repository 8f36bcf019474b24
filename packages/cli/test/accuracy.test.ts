import { readFileSync } from 'node:fs';
import type { AccuracyReport } from '@softgrad/bench';
import { afterAll, expect, test } from 'vitest';
import { softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

test('a table for each op and dtype, a line an input, a column a contender', async () => {
  const [md, json] = ['accuracy.md', 'accuracy.json'].map(folder.at);
  const chosen = ['--backends', 'cpu', '--peers', 'naive', '--classes', '10', '--dtype', 'float32'];
  const args = ['accuracy', '--ops', 'softmax,logSoftmax', ...chosen, '--md', md, '--json', json];
  const { status, stdout, stderr } = await softgrad(args);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  for (const op of ['softmax', 'logSoftmax']) {
    expect(stdout).toContain(`${op} float32: largest error in ULP over results of at least 1e-30\n┌`);
  }
  expect(stdout).toMatch(/│ classes │ logits +│ cpu +│ naive +│/);
  expect(stdout.match(/│ 10 +│ (±1|±20|±80|10000 ± 8) +│ [\d.e+]+ +│ [\d.e+]+ +│/g)).toHaveLength(8);
  expect(readFileSync(md, 'utf8')).toMatch(/^### softmax float32: .*\n\n\| classes \| logits \| cpu \| naive \|\n/);
  const report: AccuracyReport = JSON.parse(readFileSync(json, 'utf8'));
  expect(report.results).toHaveLength(16);
});

test('with - for a file standard output is that file and nothing else', async () => {
  const args = ['accuracy', '--backends', 'cpu', '--dtype', 'float32', '--classes', '3'];
  const { status, stdout } = await softgrad([...args, '--json', '-']);
  expect(status).toBe(0);
  const report: AccuracyReport = JSON.parse(stdout);
  expect(report.schema).toBe('softgrad-accuracy/1');
  expect(report.results).toHaveLength(4);
  for (const { contender, worstUlp } of report.results) {
    expect(contender).toBe('cpu');
    expect(worstUlp).toBeLessThanOrEqual(1);
  }
  const markdown = (await softgrad([...args, '--md', '-'], { terminal: true })).stdout;
  expect(markdown).toMatch(/^### softmax float32: largest/);
  expect(markdown).not.toContain('┌');
});

test('what it does not know is refused in one line', async () => {
  for (const [args, message] of [
    [['--ops', 'vjp'], /--ops.*Expected softmax, logSoftmax/],
    [['--dtype', 'float8'], /--dtype.*Expected float32, float64/],
    [['--classes', 'many'], /--classes.*whole number above 0/],
    [['--json', '-', '--md', '-'], /only one of --json and --md can be - \(standard output\)\n$/],
  ] as const) {
    const { status, stderr } = await softgrad(['accuracy', ...args]);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  }
});
