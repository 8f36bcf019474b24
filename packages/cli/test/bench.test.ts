import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { parseReport } from '@softgrad/bench';
import { afterAll, describe, expect, test } from 'vitest';
import { main, softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

const least = ['--shapes', '8x5', '--backends', 'cpu', '--peers', 'naive', '--rounds', '3', '--sample-ms', '1'];
const bench = (...args: readonly string[]) => softgrad(['bench', '--ops', 'softmax', ...least, ...args]);

describe('a small run', () => {
  const [json, md, html] = ['report.json', 'report.md', 'report.html'].map(folder.at);
  const { status, stdout, stderr } = bench('--json', json, '--md', md, '--html', html);

  test('prints a table, what ran and on what', () => {
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^softmax 8×5 float32, speed-up over naive\n┌/);
    expect(stdout).toMatch(/│ cpu +│ \d/);
    expect(stdout).toMatch(/\n {2}exp bound: .* \(exp alone, by a (relaxed )?SIMD loop\)\n/);
    expect(stdout).toMatch(/\nnaive: plain loops over typed arrays with Math.exp \(opens in .*\)\n$/);
  });

  test('writes the report as JSON, as Markdown and as a page', () => {
    const report = parseReport(readFileSync(json, 'utf8'), json);
    expect(report.workloads[0].results.map(({ contender, missing }) => [contender, missing])).toEqual([
      ['cpu', null],
      ['naive', null],
    ]);
    expect(readFileSync(md, 'utf8')).toContain('### softmax 8×5 float32, speed-up over naive\n\n|  | reused out |');
    expect(readFileSync(html, 'utf8')).toMatch(/^<!doctype html>[\s\S]*<svg [\s\S]*<\/html>\n$/);
    expect(readdirSync(folder.path).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('is compared with an earlier one', () => {
    const { status, stdout } = bench('--compare', json);
    expect(status).toBe(0);
    expect(stdout).toMatch(/\nCompared with the earlier report\n/);
    expect(stdout).toMatch(/\n {2}\d of 6 timings show no difference\n/);
  });

  test('made elsewhere says so when it is compared', () => {
    const report = JSON.parse(readFileSync(json, 'utf8'));
    report.environment.processor = 'Abacus 3';
    const elsewhere = folder.write('elsewhere.json', JSON.stringify(report));
    const { stdout } = bench('--compare', elsewhere);
    expect(stdout).toMatch(/\n {2}the environments differ: processor: Abacus 3, then /);
    expect(stdout).toMatch(/\n {2}\d of 3 timings show no difference\n/);
  });
});

test('with - for a file standard output is that file and nothing else', () => {
  const { status, stdout } = bench('--json', '-', '--peers', 'naive,tfjs-cpu,jax,onnxruntime-web');
  expect(status).toBe(0);
  const report = parseReport(stdout, '-');
  expect(report.contenders.map(({ name }) => name)).toEqual(['cpu', 'naive', 'tfjs-cpu', 'jax', 'onnxruntime-web']);
  for (const { missing } of report.workloads[0].results) expect(missing).toBeNull();
});

test('several processes put their rounds side by side', () => {
  const { status, stdout } = bench('--processes', '2', '--json', '-');
  expect(status).toBe(0);
  const { workloads, settings } = parseReport(stdout, '-');
  expect(settings.processes).toBe(2);
  expect(workloads[0].results[0].samples.reused).toHaveLength(2);
});

test('--composed times what is composed beside what is fused', () => {
  const { stdout } = softgrad(['bench', '--ops', 'logSoftmax', ...least, '--composed']);
  expect(stdout).toMatch(/│ cpu +│/);
  expect(stdout).toMatch(/│ cpu \(composed\) +│/);
});

test('--quick takes small shapes, of the ops, backends and peers that are chosen', () => {
  const chosen = ['--ops', 'vjp,jacobian', '--backends', 'cpu', '--peers', 'none', '--rounds', '1', '--sample-ms', '1'];
  const { status, stdout } = softgrad(['bench', '--quick', ...chosen, '--json', '-']);
  expect(status).toBe(0);
  const { workloads, contenders } = parseReport(stdout, '-');
  expect(contenders.map(({ name }) => name)).toEqual(['cpu']);
  expect(workloads.map(({ workload: { op, shape } }) => `${op} ${shape.join('x')}`)).toEqual([
    ...['64x10', '4096x10', '256x1000'].map((shape) => `vjp ${shape}`),
    ...['4096x10', '64x128'].map((shape) => `jacobian ${shape}`),
  ]);
});

describe('what cannot be run is refused in one line before anything is measured', () => {
  test.each([
    [['--ops', 'hardmax'], /there is no op 'hardmax'; expected softmax, /],
    [['--shapes', 'big'], /shape 'big': expected rows and classes/],
    [['--ops', 'jacobian', '--shapes', '1x10000000'], /jacobian of shape 1x10000000 has 100000000000000 results/],
    [['--peers', 'nobody'], /there is no peer 'nobody'/],
    [['--backends', 'wasm:2'], /expected options like wasm:threads=2/],
    [['--rounds', '0'], /--rounds.*whole number above 0/],
    [['--json', '-', '--md', '-'], /only one of --json, --md and --html can be -/],
    [['--compare', folder.at('nowhere.json')], /nowhere\.json: cannot be read: /],
    [
      ['--compare', folder.write('list.json', '[1]')],
      /list\.json: no report; expected what softgrad bench --json wrote/,
    ],
  ])('%j', (args, message) => {
    const { status, stdout, stderr } = softgrad(['bench', ...args]);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stdout).toBe('');
    expect(status).toBe(2);
  });
});

test.each([1, 2])(
  'interrupted with %i process(es), it ends at once and leaves the file that was there',
  async (processes) => {
    const before = folder.write('before.json', 'as it was');
    const args = ['bench', '--ops', 'softmax,vjp', ...least, '--processes', String(processes), '--json', before];
    // Enough rounds of the second op to be in the middle of them.
    const child = spawn(process.execPath, [main, ...args, '--rounds', '150'], { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    const [code] = await once(child, 'close');
    expect(code).toBe(130);
    expect(readFileSync(before, 'utf8')).toBe('as it was');
    expect(existsSync(`${before}.tmp`)).toBe(false);
    expect(readdirSync(folder.path).filter((name) => name.includes('tmp'))).toEqual([]);
  },
);
