import { readdirSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { benchOps, parseReport } from '@softgrad/bench';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { ownBackends } from '../src/backend.js';
import { formatTextTable } from '../src/commands/bench.js';
import { registeringModule } from '../src/module.js';
import { formatTable } from '../src/table.js';
import { fakeBackends, recorder, softgrad, temporaryFolder, watchBars } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

const least = ['--shapes', '8x5', '--backends', 'cpu', '--peers', 'naive', '--rounds', '3', '--sample-ms', '1'];

test('a run prints a table, the contenders and the environment; writes its report; and is compared with an earlier one', async () => {
  const [json, md, html] = ['report.json', 'report.md', 'report.html'].map(folder.at);
  const args = ['bench', '--ops', 'softmax', ...least];
  const { status, stdout, stderr } = await softgrad([...args, '--json', json, '--md', md, '--html', html]);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout).toMatch(/^softmax 8×5 float32, speed-up over naive\n┌/);
  expect(stdout).toMatch(/│ cpu +│ \d/);
  // Which of them is the fastest depends on the machine and its load.
  expect(stdout).toMatch(/\n {2}exp bound: .* \(exp alone, by (cpu|naive|a (JavaScript|(relaxed )?SIMD) loop)\)\n/);
  expect(stdout).toMatch(
    /\nnaive: plain loops over typed arrays with Math.exp \(opens in .*\)\n\nColumns\n {2}reused out: (?:.*\n {2})+error: .*\n$/,
  );

  const report = parseReport(readFileSync(json, 'utf8'), json);
  expect(report.workloads[0].results.map(({ contender, missing }) => [contender, missing])).toEqual([
    ['cpu', null],
    ['naive', null],
  ]);
  expect(report.settings).toEqual({ rounds: 3, sampleMs: 1, processes: 1 });
  expect(readFileSync(md, 'utf8')).toContain('### softmax 8×5 float32, speed-up over naive\n\n|  | reused out |');
  expect(readFileSync(html, 'utf8')).toMatch(/^<!doctype html>[\s\S]*<svg [\s\S]*<\/html>\n$/);
  expect(readdirSync(folder.path).filter((name) => name.endsWith('.tmp'))).toEqual([]);

  const { environment, ...rest } = report;
  const elsewhere = { ...rest, environment: { ...environment, processor: 'Abacus 3' } };
  const earlier = folder.write('elsewhere.json', JSON.stringify(elsewhere));
  const compared = await softgrad([...args, '--compare', earlier]);
  expect(compared.status).toBe(0);
  expect(compared.stdout).toMatch(/\nCompared with the earlier report\n/);
  expect(compared.stdout).toMatch(/\n {2}the environments differ: processor: Abacus 3, then /);
  expect(compared.stdout).toMatch(/\n {2}\d of 3 timings show no difference\n/);
});

test('calls with options are timed if they are named, and the help names all of them', async () => {
  const { stdout: help } = await softgrad(['bench', '--help']);
  for (const op of benchOps) expect(help.replaceAll(/\s+/g, ' ')).toMatch(new RegExp(`[ ,]${op}[,; ]`));
  const args = ['bench', '--ops', 'softmax:causalMask,crossEntropy:weight', ...least, '--rounds', '1', '--json', '-'];
  const { stdout, status } = await softgrad(args);
  expect(status).toBe(0);
  const { workloads } = parseReport(stdout, '-');
  expect(workloads.map(({ workload, results }) => [workload.op, ...results.map(({ missing }) => missing)])).toEqual([
    ['softmax:causalMask', null, null],
    ['crossEntropy:weight', null, null],
  ]);
});

test('a run in which nothing is timed is an error with the reasons, after the report', async () => {
  const members = "name: 'closed', unavailable: async () => null, open() { throw new Error('no key') }";
  const module = folder.write('closed.mjs', `export default { ${members} }`);
  const json = folder.at('closed.json');
  const args = ['--ops', 'softmax', '--shapes', '4x4', '--rounds', '1', '--peers', 'none', '--json', json];
  const { status, stdout, stderr } = await softgrad(['bench', '--module', module, ...args]);
  expect(stderr).toBe('softgrad: bench: nothing was timed: closed: no key\n');
  expect(stdout).toMatch(/\nclosed: not run: no key\n$/);
  expect(status).toBe(2);
  expect(parseReport(readFileSync(json, 'utf8'), json).unavailable).toEqual([{ name: 'closed', reason: 'no key' }]);
});

test('where a package is not installed, the line that installs it is printed', async () => {
  const open = `open() { throw new Error("does not load: Cannot find package '@one/engine' imported from /a b/c.js") }`;
  const module = folder.write(
    'missing.mjs',
    `export default { name: 'missing', unavailable: async () => null, ${open} }`,
  );
  const args = ['--ops', 'softmax', '--shapes', '4x4', '--rounds', '1', '--peers', 'none'];
  const { stdout } = await softgrad(['bench', '--module', module, ...args]);
  const line = "missing: not run: does not load: Cannot find package '@one/engine': npm install @one/engine\n";
  expect(stdout).toContain(line);
});

test('with - for a file, standard output has only that file; composed kernels are timed as well as fused ones', async () => {
  const args = ['bench', '--ops', 'logSoftmax', ...least, '--rounds', '1', '--composed', '--baseline', 'cpu'];
  const { status, stdout } = await softgrad([...args, '--json', '-']);
  expect(status).toBe(0);
  const report = parseReport(stdout, '-');
  expect(report.contenders.map(({ name }) => name)).toEqual(['cpu', 'cpu (composed)', 'naive']);
  expect(report.workloads[0].baseline).toBe('cpu');
  for (const { missing } of report.workloads[0].results) expect(missing).toBeNull();
  const terminal = await softgrad([...args, '--md', '-'], { terminal: true });
  expect(terminal.stdout).toMatch(/^Node .*\n\n- cpu: [\s\S]*\n### logSoftmax 8×5 float32, speed-up over cpu\n\n\|/);
  expect(terminal.stdout).not.toContain('┌');
  expect(terminal.stderr).toMatch(/bench \S{30} 0% /);
  expect(terminal.stderr).toMatch(/logSoftmax 8×5 float32/);
});

test('the processes take options of node', async () => {
  const { stderr } = await softgrad(['bench', ...least, '--node-option=--no-such-option']);
  expect(stderr).toContain('--no-such-option');
});

async function combinesRounds() {
  const args = ['bench', '--ops', 'softmax', ...least, '--rounds', '1', '--processes', '2', '--json', '-'];
  const { status, stdout } = await softgrad([...args, '--peers', 'none', '--node-option=--no-warnings']);
  expect(status).toBe(0);
  const { workloads, settings, contenders } = parseReport(stdout, '-');
  expect(settings.processes).toBe(2);
  expect(contenders.map(({ name }) => name)).toEqual(['cpu']);
  expect(workloads[0].results[0].samples.reused).toHaveLength(2);
}
// In `npm test` those of the backend of a module are: process.test.ts.
if (inject('everything')) test('the rounds of several processes are combined', combinesRounds);

test('without --backends and --peers all backends and two other libraries are timed, one shape after another, with a bar', async () => {
  const cpu = await ownBackends.load('cpu');
  using bars = watchBars();
  const args = ['bench', '--ops', 'softmax', '--shapes', '8x5,4x3', '--rounds', '1', '--sample-ms', '1'];
  const options = { backends: fakeBackends({ cpu }), terminal: true };
  const { stdout } = await softgrad(args, options);
  expect(stdout).toMatch(/^softmax 8×5 float32.*\n┌[\s\S]*\nsoftmax 4×3 float32.*\n┌/);
  expect(bars.totals()).toContain(2);
  expect(bars.steps().at(-1)?.[1]).toBe(2);
  for (const name of ['cpu', 'naive', 'tfjs-cpu']) expect(stdout).toContain(`\n${name}: `);
});

test('a table of a report has its title above it and its notes below, and may have no rows', () => {
  const text = { title: 'A title', head: ['a'], rows: [['1']], notes: ['one', 'two'] };
  expect(formatTextTable(text, recorder())).toBe(`A title\n${formatTable(['a'], [['1']])}\n  one\n  two\n`);
  expect(formatTextTable({ ...text, rows: [] }, recorder())).toBe('A title\n  one\n  two\n');
});

describe('the backend of a module', () => {
  const fixture = fileURLToPath(new URL('fixtures/right-backend.mjs', import.meta.url));
  const right = JSON.stringify(pathToFileURL(fixture).href);
  const measured = ['bench', '--ops', 'vjp', '--shapes', '8x5', '--dtype', 'float64', '--rounds', '1'];
  const args = [...measured, '--sample-ms', '1', '--json', '-'];
  const namesOf = async (...more: readonly string[]) => {
    const { stdout } = await softgrad([...args, ...more]);
    const { contenders, workloads } = parseReport(stdout, '-');
    for (const { missing } of workloads[0].results) expect(missing).toBeNull();
    return contenders.map(({ name }) => name);
  };

  test('is timed with other libraries only, or with the named backends', async () => {
    expect(await namesOf('--module', fixture, '--peers', 'naive')).toEqual(['right', 'naive']);
    expect(await namesOf('--module', fixture, '--peers', 'none', '--backends', 'cpu')).toEqual(['right', 'cpu']);
  });

  test('an open backend, and one with the name of another or with a colon in it', async () => {
    const open = (name: string) => `{ ...(await provider.open()), name: '${name}' }`;
    const as = (name: string, code: string) =>
      folder.write(`${name}.mjs`, `import provider from ${right};\nexport default ${code};`);
    expect(await namesOf('--module', as('open', open('a:b')), '--peers', 'none')).toEqual(['a-b']);
    const same = as('same', "{ ...provider, name: 'cpu' }");
    const both = ['--peers', 'none', '--backends', 'cpu'];
    expect(await namesOf('--module', same, ...both)).toEqual(['cpu (module)', 'cpu']);
  });

  test('is registered in other processes by a module whose URL has its path', () => {
    folder.write('a b.mjs', '');
    const file = relative(process.cwd(), folder.at('a b.mjs'));
    const url = new URL(registeringModule(file));
    expect(url.href).toMatch(/^file:.*\/register-module\.js\?/);
    expect(url.searchParams.get('file')).toBe(folder.at('a b.mjs'));
  });

  test('one with wrong results is not timed', async () => {
    const faulty = fileURLToPath(new URL('fixtures/faulty-backend.mjs', import.meta.url));
    const { stdout } = await softgrad([...args, '--module', faulty, '--peers', 'none']);
    expect(parseReport(stdout, '-').workloads[0].results[0].missing).toMatch(/wrong|expected/);
  });
});

describe('invalid options are one-line errors before anything is measured', () => {
  test.each<[string[], RegExp]>([
    [['--ops', 'softmax,softmax.vjp'], /^softgrad: --ops softmax\.vjp: unknown; did you mean vjp\?\n$/],
    [['--ops', 'softmax.jacobian'], /; did you mean jacobian\?\n$/],
    [['--ops', 'logSoftmax.vjp'], /; did you mean logSoftmax\?\n$/],
    [['--ops', 'cross-entropy'], /; did you mean crossEntropy\?\n$/],
    [['--ops', 'hardmax'], /unknown op 'hardmax'; expected softmax, /],
    [['--ops', 'softmax:causal'], /^softgrad: --ops softmax:causal: unknown; did you mean softmax:causalMask\?\n$/],
    [['--ops', 'cross_entropy.label_smoothing'], /; did you mean crossEntropy:labelSmoothing\?\n$/],
    [['--ops', 'causalMask'], /; did you mean one of softmax:causalMask, vjp:causalMask\?\n$/],
    [['--shapes', 'big'], /shape 'big': expected rows and classes/],
    [['--dtype', 'float8'], /float8/],
    [['--ops', 'jacobian', '--shapes', '1x10000000'], /jacobian of shape 1x10000000 has 100000000000000 results/],
    [['--peers', 'nobody'], /unknown peer 'nobody'/],
    [['--peers', 'naive,none'], /unknown peer 'none'/],
    [['--ops', ''], /--ops.*one or more, with commas between them/],
    [
      ['--backends', 'none', '--peers', 'none'],
      /--backends none: nothing is left to measure; expected --peers or --module/,
    ],
    [['--processes', '101'], /processes 101; expected an integer from 1 to 100\n$/],
    [
      ['--node-option', '--zzz'],
      /node with '--zzz' ended \(exit code 9\): .*bad option: --zzz; expected options with which node runs a module\n$/,
    ],
    [['--node-option=--version'], /node with '--version' ended \(exit code 0\): it wrote no error; expected/],
    [
      ['--json', folder.at('one'), '--md', folder.symlink('same', folder.at('one'))],
      /same: two results would be written to it; expected a file for each\n$/,
    ],
    [['--backends', 'wasm:2'], /expected options like wasm:threads=2/],
    [['--backends', 'cpu,mine.js'], /^softgrad: --backends mine\.js: looks like a file; expected --module mine\.js\n$/],
    [['--module', folder.at('nowhere.mjs')], /--module .*nowhere\.mjs: no such file or directory\n$/],
    [['--rounds', '0'], /--rounds.*whole number above 0/],
    [['--json', '-', '--md', '-'], /only one of --json, --md and --html can be - \(standard output\)\n$/],
    [['--md', '-', '--html', '-'], /only one of --json, --md and --html can be -/],
    ...['--json', '--md', '--html'].map((option): [string[], RegExp] => [
      [option, folder.at('nowhere/report')],
      /nowhere\/report: cannot be written: the folder \S*nowhere does not exist\n$/,
    ]),
    [['--html', folder.path], /: cannot be written: is a directory\n$/],
    [['--compare', folder.at('nowhere.json')], /nowhere\.json: cannot be read: no such file or directory\n$/],
    [
      ['--compare', folder.write('list.json', '[1]')],
      /list\.json: not a report; expected what softgrad bench --json wrote/,
    ],
  ])('%j', async (args, message) => {
    const { status, stdout, stderr } = await softgrad(['bench', ...args]);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stdout).toBe('');
    expect(status).toBe(2);
    expect(readdirSync(folder.path).filter((name) => name.includes('tmp'))).toEqual([]);
  });
});
