import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type AccuracyReport, selectAccuracyOps } from '@softgrad/bench';
import { register } from '@softgrad/core';
import { afterAll, expect, test } from 'vitest';
import { ownBackends } from '../src/backend.js';
import { fakeBackends, softgrad, temporaryFolder, watchBars } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

test('a table of the largest errors in words, and with --details one for each op and dtype, with a row for each input and a column for each contender', async () => {
  const [md, json] = ['accuracy.md', 'accuracy.json'].map(folder.at);
  const chosen = ['--backends', 'cpu', '--peers', 'naive', '--classes', '1', '--dtype', 'float32', '--results', '100'];
  const args = ['accuracy', '--ops', 'softmax,logSoftmax', ...chosen, '--md', md, '--json', json];
  const short = await softgrad(args);
  const { status, stdout, stderr } = await softgrad([...args, '--details']);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout.startsWith(short.stdout)).toBe(true);
  expect(short.stdout).toMatch(/^Largest error over all inputs, in units in the last place \(ULP\)\n┌/);
  expect(short.stdout.match(/^│ \S+ +│ \S+ +│ [\d.]+ \(1 class, .*\) +│$/gm)).toHaveLength(4);
  for (const op of ['softmax', 'logSoftmax']) {
    expect(stdout).toContain(`${op} float32: largest error in ULP over results of at least 1e-30\n┌`);
  }
  expect(stdout).toMatch(/│ classes │ logits +│ cpu +│ naive +│/);
  expect(stdout.match(/│ 1 +│ (±1|±20|±80|1e[46] ± 8) +│ [\d.e+]+ +│ [\d.e+]+ +│/g)).toHaveLength(10);
  const markdown = readFileSync(md, 'utf8');
  expect(markdown).toMatch(/^### Largest error in ULP over all inputs\n\n\| op \| cpu float32 \| naive float32 \|\n/);
  expect(markdown).toMatch(/\n### softmax float32: .*\n\n\| classes \| logits \| cpu \| naive \|\n/);
  const report: AccuracyReport = JSON.parse(readFileSync(json, 'utf8'));
  expect(report.results).toHaveLength(20);
});

test('with - for a file, standard output has only that file', async () => {
  const args = ['accuracy', '--backends', 'cpu', '--dtype', 'float32', '--classes', '1', '--results', '100'];
  const { status, stdout } = await softgrad([...args, '--json', '-']);
  expect(status).toBe(0);
  const report: AccuracyReport = JSON.parse(stdout);
  expect(report.schema).toBe('softgrad-accuracy/2');
  expect(report.results).toHaveLength(5);
  for (const { contender, worstUlp } of report.results) {
    expect(contender).toBe('cpu');
    expect(worstUlp).toBeLessThanOrEqual(1);
  }
  const markdown = (await softgrad([...args, '--md', '-'], { terminal: true })).stdout;
  expect(markdown).toMatch(/^### Largest error/);
  expect(markdown).not.toContain('┌');
});

test('the backend of a module is measured alone, or with the named backends', async () => {
  const fixture = fileURLToPath(new URL('fixtures/right-backend.mjs', import.meta.url));
  const args = ['accuracy', '--dtype', 'float64', '--classes', '3', '--results', '30', '--json', '-'];
  const measured = async (...more: readonly string[]) => {
    const { stdout } = await softgrad([...args, '--module', fixture, ...more]);
    const { contenders, results }: AccuracyReport = JSON.parse(stdout);
    for (const { contender, worstUlp } of results) if (contender === 'right') expect(worstUlp ?? 0).toBeLessThan(4);
    expect(results.some(({ contender, worstUlp }) => contender === 'right' && worstUlp !== null)).toBe(true);
    return contenders.map(({ name }) => name);
  };
  expect(await measured()).toEqual(['right']);
  expect(await measured('--backends', 'cpu')).toEqual(['right', 'cpu']);
  expect(await measured('--peers', 'naive')).toEqual(['right', 'naive']);
});

test('without --backends all are measured, one that cannot run is named with the reason, and a bar shows the inputs', async () => {
  const cpu = await ownBackends.load('cpu');
  const unavailable = async () => 'no such chip';
  for (const name of ['absent', 'gone']) register(name, async () => ({ default: { ...cpu, name, unavailable } }));
  const backends = fakeBackends({ cpu, absent: cpu, gone: cpu });
  const args = ['accuracy', '--dtype', 'float32', '--classes', '1', '--results', '20'];
  for (const chosen of [[], ['--backends', 'all'], ['--backends', 'cpu,absent,gone']]) {
    using bars = watchBars();
    const md = folder.at('not-run.md');
    const { status, stdout, stderr } = await softgrad([...args, ...chosen, '--md', md], { backends, terminal: true });
    expect(status).toBe(0);
    expect(stdout).toMatch(/\n\nabsent: not run: .*no such chip\ngone: not run: .*no such chip\n$/);
    expect(readFileSync(md, 'utf8')).toMatch(/\n- absent: not run: .*no such chip\n- gone: not run: .*no such chip\n$/);
    expect(stderr).toMatch(/accuracy: loading \S{30} 0% /);
    const steps = bars.steps();
    expect(steps[0][0]).toMatch(/^softmax float32, 1 classes, /);
    const shares = steps.map(([, done]) => done);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect([shares[0], shares.at(-1)]).toEqual([0, 1]);
    expect(stderr).toMatch(/--details prints the errors of every input\n$/);
  }
  const some = ['accuracy', ...args.slice(3), '--backends', 'cpu', '--json', '-'];
  const report: AccuracyReport = JSON.parse((await softgrad(some, { backends })).stdout);
  expect(report.unavailable).toEqual([]);
  expect(new Set(report.results.map(({ dtype }) => dtype))).toEqual(new Set(['float32', 'float64']));
});

test('a run in which nothing is measured is an error with the reasons, after the report', async () => {
  const cpu = await ownBackends.load('cpu');
  register('broken', async () => ({ default: { ...cpu, name: 'broken', unavailable: async () => 'no such chip' } }));
  const size = ['--classes', '2', '--results', '2', '--dtype', 'float64'];
  const run = (...more: readonly string[]) => softgrad(['accuracy', ...size, '--backends', ...more]);
  const broken = await run('broken');
  expect(broken.stdout).toMatch(/\nbroken: not run: .*no such chip\n$/);
  expect(broken.stderr).toMatch(/^softgrad: accuracy: nothing was measured: broken: .*no such chip\n$/);
  expect(broken.status).toBe(2);
  const json = folder.at('unsupported.json');
  const unsupported = await run('gpujs:mode=cpu', '--json', json);
  expect(unsupported.stderr).toBe(
    'softgrad: accuracy: nothing was measured: gpujs:mode=cpu: softmax in float64 is not supported\n',
  );
  expect(unsupported.status).toBe(2);
  expect(JSON.parse(readFileSync(json, 'utf8')).contenders).toHaveLength(1);
  expect((await run('gpujs:mode=cpu,cpu', '--peers', 'none')).status).toBe(0);
});

test('all ops of all backends can be selected by name', async () => {
  const { status, stdout } = await softgrad([
    ...[
      'accuracy',
      '--ops',
      'all',
      '--backends',
      'cpu',
      '--classes',
      '2',
      '--dtype',
      'float64',
      '--results',
      '20',
      '--json',
      '-',
    ],
  ]);
  expect(status).toBe(0);
  const report: AccuracyReport = JSON.parse(stdout);
  expect(new Set(report.results.map(({ op }) => op))).toEqual(new Set(selectAccuracyOps(['all'])));
});

test('all stands for each backend as it opens without options, and modes are chosen beside it by name', async () => {
  const cpu = await ownBackends.load('cpu');
  const backends = fakeBackends({ cpu, wasm: await ownBackends.load('wasm') });
  const chosen = ['--backends', 'gpujs:mode=webasm,all,cpu,tfjs:engine=cpu'];
  const size = ['--dtype', 'float32', '--classes', '2', '--results', '20', '--json', '-'];
  const { status, stdout } = await softgrad(['accuracy', ...chosen, ...size], { backends });
  expect(status).toBe(0);
  const report: AccuracyReport = JSON.parse(stdout);
  expect(report.contenders.map(({ name, description }) => `${name} ${description}`)).toEqual([
    expect.stringMatching(/^gpujs:mode=webasm webasm: /),
    expect.stringMatching(/^cpu /),
    expect.stringMatching(/^wasm /),
    expect.stringMatching(/^tfjs:engine=cpu .*\(tfjs cpu\)$/),
  ]);
});

test('unknown options are one-line errors', async () => {
  for (const [args, message] of [
    [
      ['--ops', 'vjp'],
      /^softgrad: --ops vjp: unknown; did you mean one of softmax\.vjp, logSoftmax\.vjp, logSumExp\.vjp, crossEntropy\.vjp, sigmoid\.vjp, relu\.vjp\?\n$/,
    ],
    [
      ['--ops', 'softmax,crossEntropy'],
      /; did you mean one of crossEntropy\.loss, crossEntropy\.gradient, crossEntropy\.vjp, crossEntropy\.jvp, crossEntropy\.hvp\?\n$/,
    ],
    [['--ops', 'log-softmax'], /^softgrad: --ops log-softmax: unknown; did you mean logSoftmax\?\n$/],
    [['--ops', 'relu.gradient'], /; did you mean relu\?\n$/],
    [
      ['--ops', 'hardmax'],
      /unknown op 'hardmax'; expected all or some of softmax, softmax\.jacobian, .*crossEntropy\.gradient, .*relu/,
    ],
    [['--results', 'few'], /--results.*whole number above 0/],
    [['--dtype', 'float8'], /--dtype.*Expected float32, float64/],
    [['--classes', 'many'], /--classes.*whole number above 0/],
    [['--backends', ''], /--backends.*one or more, with commas between them/],
    [['--backends', 'none'], /--backends none: nothing is left to measure; expected --peers or --module\n$/],
    [
      ['--json', folder.at('one'), '--md', `${folder.path}/./one`],
      /one: two results would be written to it; expected a file for each\n$/,
    ],
    [['--json', '-', '--md', '-'], /only one of --json and --md can be - \(standard output\)\n$/],
    [
      ['--json', folder.at('nowhere/x.json')],
      /nowhere\/x\.json: cannot be written: the folder \S*nowhere does not exist\n$/,
    ],
    [['--md', folder.path], /: cannot be written: is a directory\n$/],
  ] as const) {
    const { status, stdout, stderr } = await softgrad(['accuracy', ...args]);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  }
});
