import { mkdirSync, mkdtempSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Backend, SoftgradError } from '@softgrad/core';
import type { BoundCase, CaseReport, ConformanceReport } from '@softgrad/core/conformance';
import { cases, conformance as suite } from '@softgrad/core/conformance';
import { afterAll, describe, expect, test } from 'vitest';
import { ownBackends } from '../src/backend.js';
import { formatReport } from '../src/commands/conformance.js';
import { lastingFailure } from '../src/conformance-advice.js';
import { spread, watchTime } from '../src/conformance-cost.js';
import { hintOf } from '../src/module.js';
import { codeFolders, framesOf } from '../src/stack.js';
import { formatProse } from '../src/table.js';
import { fakeBackends, recorder, softgrad, temporaryFolder, watchBars } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}-backend.mjs`, import.meta.url));
const right = JSON.stringify(pathToFileURL(fixture('right')).href);

/** A module with `code`, in which `provider` is the provider of the correct fixture. */
const module = (name: string, code: string) => folder.write(name, `import provider from ${right};\n${code}`);

const conformance = (...args: readonly string[]) => softgrad(['conformance', ...args]);

test('a correct backend with three kernels passes; the cases that do not apply are summarized by reason', async () => {
  const { status, stdout, stderr } = await conformance('--module', fixture('right'));
  expect(stdout).not.toContain('✗');
  expect(stdout).toMatch(/│ right +│ passed +│ failed +│ does not apply +│/);
  expect(stdout).toMatch(/│ vjp +│ [1-9]\d* +│ 0 +│ \d+ +│/);
  expect(stdout).toMatch(/\nright: [1-9]\d* passed, 0 failed, [1-9]\d* do not apply\n\n$/);
  const reasons = stdout.split('\n').filter((line) => /^\d+ do(es)? not apply: /.test(line));
  expect(reasons.map((line) => line.replace(/^\d+ do(es)? not apply: /, '')).sort()).toEqual([
    'for backends without a feature: it has readSync, float64, nonFinite: ieee',
    'it announces no basis and no fused kernels',
    'it declines a call of jacobian, and has no basis',
    'it declines a call of softmax, and has no basis',
    'it declines a call of vjp, and has no basis',
    'it does not announce view, inPlace, range: full',
    'it has no float16',
    'it has no float32',
  ]);
  const counts = reasons.map((line) => Number.parseInt(line, 10));
  expect(stdout).toContain(` ${counts.reduce((a, b) => a + b)} do not apply\n`);
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

test('one that sums the rows of the Jacobian fails, and the command exits 1; JSON has every case in the order of the suite', async () => {
  const { status, stdout } = await conformance('--module', fixture('faulty'), '--json');
  expect(status).toBe(1);
  const [report, ...others]: ConformanceReport[] = JSON.parse(stdout);
  expect(others).toEqual([]);
  expect([report.backend, report.unavailable]).toEqual(['faulty', null]);
  expect(new Set(report.cases.map(({ outcome }) => outcome))).toEqual(new Set(['passed', 'failed', 'skipped']));
  for (const one of report.cases) {
    const { id, name, section, outcome, reason } = one;
    expect(id.startsWith(`${section}/`), id).toBe(true);
    expect(name).toBe(`faulty: ${id}`);
    if (outcome === 'passed') expect(reason).toBeNull();
    else expect(reason).toMatch(/\S/);
    // Wrong numbers have no stack, and neither has a case that passes.
    if (outcome !== 'failed') expect(Object.keys(one)).toEqual(['id', 'name', 'section', 'outcome', 'reason']);
  }
  const { default: faulty } = await import(fixture('faulty'));
  const bound = await suite(faulty);
  expect(report.cases.map(({ name }) => name)).toEqual(bound.map(({ name }) => name));
  await bound.at(-1)?.run();
  const failed = report.cases.filter(({ outcome }) => outcome === 'failed');
  expect(failed.map(({ section }) => section)).toContain('vjp');
});

test('a wrong softmax fails cases of storage, too, and the failure to start with is one of softmax', async () => {
  const file = module(
    'wrong-softmax.mjs',
    `export default {
       ...provider,
       open: async () => {
         const backend = await provider.open();
         const { softmax } = backend;
         const wrong = (out, x, rows, options) => {
           if (softmax.call(backend, out, x, rows, options) === false) return false;
           for (let i = 0; i < out.length; i++) out[i] *= 1.1;
         };
         return Object.assign(backend, { softmax: wrong });
       },
     };`,
  );
  const { stdout } = await conformance('--module', file, '--only', 'supports,storage,softmax');
  expect(stdout).toMatch(/^✗ right: storage\//m);
  expect(stdout).toMatch(/\nstart with: softmax\//);
});

test('where a device is lost, the case that lost it is the one to start with, although every section fails from then on', async () => {
  const file = module(
    'dying.mjs',
    `export default { ...provider, name: 'dying', open: async () => {
      const right = await provider.open();
      const alive = (verb) => (...args) => {
        if (verb === 'jacobian' && args[2].classes > 60) dead = true;
        if (dead) throw new Error('the device is gone');
        return right[verb](...args);
      };
      let dead = false;
      const verbs = ['alloc', 'write', 'read', 'softmax', 'jacobian', 'vjp'];
      return Object.assign(Object.create(right), Object.fromEntries(verbs.map((verb) => [verb, alive(verb)])));
    } };`,
  );
  const { status, stdout } = await conformance('--module', file);
  expect(status).toBe(1);
  const found =
    /\nstart with: (.*)\nit fails \(.*the device is gone\), and so do (\d+) of the cases that ran after it, all of storage among them, as if the device were lost there\n/.exec(
      stdout,
    );
  const [, from, more] = found ?? [];
  expect(from).toMatch(/^jacobian\//);
  const [, failed] = /\ndying: \d+ passed, (\d+) failed/.exec(stdout) ?? [];
  expect(Number(more)).toBe(Number(failed) - 1);
  expect(Number(more)).toBeGreaterThan(100);
});

describe('failures from which on a backend does nothing', () => {
  // s and S: a case of storage that passes or fails; . and x: another one; -: one that is skipped
  const ran = (outcomes: string) =>
    [...outcomes].map((letter, k): CaseReport => {
      const section = /s/i.test(letter) ? 'storage' : 'vjp';
      const outcome = letter === '-' ? 'skipped' : /[xS]/.test(letter) ? 'failed' : 'passed';
      return { name: `a: ${section}/${k}`, id: `${section}/${k}`, section, outcome, reason: null } as CaseReport;
    });
  test.for([
    [`..xs.${'x'.repeat(20)}S`, 'vjp/5', 20],
    [`..s..x-${'x'.repeat(10)}.S${'x'.repeat(9)}--`, 'vjp/5', 20],
    [`s${'x'.repeat(20)}S`, 'vjp/1', 20],
    // Too few of them, or too few beside those before.
    [`..xs.${'x'.repeat(19)}S`, null, 0],
    [`.xxxs.${'x'.repeat(29)}S`, null, 0],
    [`.xxxs.${'x'.repeat(30)}S`, 'vjp/6', 30],
    // Storage works, or was not tested.
    [`..s..${'x'.repeat(30)}`, null, 0],
    [`..s..${'x'.repeat(30)}s`, null, 0],
    [`.${'x'.repeat(30)}S`, null, 0],
    ['', null, 0],
  ] as const)('%s: from %s, %i more', ([outcomes, from, more]) => {
    const found = lastingFailure(ran(outcomes));
    expect([found?.from.id ?? null, found?.more ?? 0]).toEqual([from, more]);
  });
});

test('the printed command shows the failure to start with', async () => {
  const { stdout } = await conformance('--module', fixture('faulty'), '--only', 'vjp');
  const [, id = '', command = ''] =
    /\nstart with: (.*)\nits input and its wrong elements: softgrad (.*)\n/.exec(stdout) ?? [];
  expect(command).toBe(`report --module ${fixture('faulty')} --id '${id}'`);
  const report = await softgrad(['report', '--module', fixture('faulty'), '--id', id]);
  expect(report.stdout).toContain('elements are wrong');
});

describe('the printed report', () => {
  const one = (id: string, outcome: CaseReport['outcome'], reason: string | null = null): CaseReport => {
    return { id, name: `mine: ${id}`, section: id.split('/')[0], outcome, reason };
  };
  const text = (...cases: readonly CaseReport[]) =>
    formatReport({ backend: 'mine', unavailable: null, total: cases.length, cases });

  test('has a line for each section with its counts, the failures with their reasons, and the cases that do not apply', () => {
    const lines = text(
      one('softmax/a', 'passed'),
      one('vjp/b', 'failed', 'off by 1'),
      one('softmax/c', 'passed'),
      one('softmax/d', 'skipped', 'has no float16'),
      one('vjp/e', 'failed', 'NaN'),
    ).split('\n');
    const at = lines.findIndex((line) => line.startsWith('└')) + 1;
    const top = lines.findIndex((line) => line.startsWith('┌'));
    expect(lines.slice(0, top)).toEqual(['✗ mine: vjp/b', '  off by 1', '✗ mine: vjp/e', '  NaN']);
    const cells = lines.slice(top, at).map((line) => line.split('│').map((cell) => cell.trim()));
    expect(cells.filter(({ length }) => length > 1)).toEqual([
      ['', 'mine', 'passed', 'failed', 'does not apply', ''],
      ['', 'softmax', '2', '0', '1', ''],
      ['', 'vjp', '0', '2', '0', ''],
    ]);
    expect(lines.slice(at)).toEqual([
      'start with: vjp/b',
      '1 does not apply: it has no float16',
      'mine: 2 passed, 2 failed, 1 do not apply',
      '',
      '',
    ]);
  });

  test('has the first failures of each section and the number of the others; --all has every one', () => {
    const failed = ['vjp/a', 'vjp/b', 'vjp/c', 'vjp/d', 'vjp/e', 'jvp/f', 'jvp/g', 'jvp/h'].map((id) =>
      one(id, 'failed', 'no'),
    );
    const report = { backend: 'mine', unavailable: null, total: failed.length, cases: failed };
    const shown = (printed: string) => printed.match(/^(?:✗|and ).*$/gm)?.map((line) => line.replace('✗ mine: ', ''));
    expect(shown(formatReport(report))).toEqual([
      ...['vjp/a', 'vjp/b', 'vjp/c', 'and 2 more of vjp; --all lists every one'],
      ...['jvp/f', 'jvp/g', 'jvp/h'],
    ]);
    expect(shown(formatReport(report, { all: true }))).toEqual(failed.map(({ id }) => id));
    // None of them has a stack.
    expect(formatReport(report, { debug: true })).toBe(formatReport(report));
  });

  test('starts with a failure that others may follow from: of supports, of storage, of the basis, otherwise the first', () => {
    const failed = ['vjp/a', 'basis/b', 'basis/c', 'storage/d', 'supports/e'].map((id) => one(id, 'failed', 'no'));
    for (const [count, first] of [
      [5, 'supports/e'],
      [4, 'storage/d'],
      [3, 'basis/b'],
      [1, 'vjp/a'],
    ] as const) {
      expect(text(...failed.slice(0, count))).toContain(`\nstart with: ${first}\n`);
    }
    expect(text(one('vjp/a', 'passed'))).not.toContain('start with');
  });

  test('starts with softmax rather than with cases of storage that compute with it', () => {
    const ofStorage = ['storage/order', 'storage/free-while-enqueued', 'storage/sync'];
    const failed = (...ids: string[]) => text(...ids.map((id) => one(id, 'failed', 'no')));
    expect(failed(...ofStorage, 'softmax/a', 'vjp/b')).toContain('\nstart with: softmax/a\n');
    expect(failed(...ofStorage, 'basis/c', 'softmax/a')).toContain('\nstart with: basis/c\n');
    expect(failed(...ofStorage, 'storage/round-trip', 'softmax/a')).toContain('\nstart with: storage/round-trip\n');
    // Where softmax is right, they tell of storage.
    expect(failed(...ofStorage, 'vjp/b')).toContain('\nstart with: storage/order\n');
  });

  test('starts with the plainest failure of its kind: finite numbers, few options, adjacent elements', () => {
    const failed = [
      'softmax/values:shape=7x5;axis=0;input=nan;mask=full',
      'softmax/values:shape=7x5;axis=1;input=removed',
      'softmax/values:shape=2x3x4;axis=1;input=narrow;temperature=2;mask=full',
      'softmax/values:shape=7x5;axis=0;input=narrow;mask=full',
      'softmax/values:shape=7x5;axis=1;input=narrow;mask=full',
      'softmax/values:shape=7x5;axis=1;input=wide;dtype=float64',
      'softmax/values:shape=7x5;axis=1;input=wide',
      'softmax/many-rows:axis=1',
      'jacobian/values:shape=7x5;axis=1;input=ramp',
    ].map((id) => one(id, 'failed', 'no'));
    const first = (count: number) => /\nstart with: (.*)\n/.exec(text(...failed.slice(0, count)))?.[1];
    expect([1, 2, 3, 4, 5, 6, 7, 9].map(first)).toEqual([0, 1, 2, 3, 4, 4, 6, 6].map((k) => failed[k]?.id));
  });

  test('starts with a fused kernel that fails, not with a plainer case without fused kernels', () => {
    const plain = 'softmax/values:shape=7x5;axis=1;input=wide';
    const fused = one(`${plain};dtype=float64`, 'failed', 'no');
    const composed = { ...one(plain, 'failed', 'no'), name: `mine (composed): ${plain}` };
    expect(text(fused, composed)).toContain(`\nstart with: ${fused.id}\n`);
    expect(text(composed, fused)).toContain(`\nstart with: ${plain}\n`);
  });

  test('says what float64 needs, if only operations in float64 fail', () => {
    const advice =
      /\nonly operations in float64 fail: they need compensated sums, an exp .*, a vjp .* smaller of two means, and range: 'ordinary' where .*\n/;
    const right = one('vjp/a', 'passed');
    const wrong = one('vjp/a:x=1;dtype=float64', 'failed', 'off by 1');
    expect(text(right, wrong)).toMatch(advice);
    for (const other of [
      [right],
      [wrong],
      [right, wrong, one('vjp/b', 'failed', 'no')],
      [right, wrong, one('vjp/b', 'skipped', 'has no float32')],
      [right, wrong, one('jacobian/a:dtype=float64', 'failed', 'no')],
      [right, wrong, one('storage/b', 'passed'), one('storage/b:dtype=float64', 'failed', 'no')],
      [one('vjp/a', 'failed', 'no'), wrong],
      [one('vjp/a;dtype=float16', 'passed'), wrong],
    ]) {
      expect(text(...other), other.map(({ id }) => id).join()).not.toMatch(advice);
    }
  });

  test('says where the elements of a row are, if of the cases with a shape only those along another axis than the last fail', () => {
    const advice = '\nof the cases with a shape, only those fail in which the elements of a row are not adjacent: ';
    const right = one('vjp/values:shape=7x5;axis=1;input=ramp', 'passed');
    const wrong = [
      'vjp/values:shape=7x5;axis=0',
      'vjp/values:shape=7x5;axis=0;input=wide',
      'softmin/vjp:shape=2x3x4;axis=1',
    ].map((id) => one(id, 'failed', 'no'));
    const law = one('laws/axis:operation=softmax', 'failed', 'no');
    expect(text(right, ...wrong, law)).toContain(advice);
    for (const other of [
      [right],
      [right, law],
      [right, ...wrong.slice(1)],
      wrong,
      [right, ...wrong, one('jacobian/values:shape=7x5;axis=1', 'failed', 'no')],
      [right, ...wrong, one('jacobian/values:shape=2x3x4;axis=2', 'failed', 'no')],
      [one('jacobian/values:shape=7x5;axis=1', 'passed'), ...wrong],
    ]) {
      expect(text(...other), other.map(({ id }) => id).join()).not.toContain(advice);
    }
  });

  test('says that only a part of the suite ran, of how many cases', () => {
    const cases = [one('vjp/a', 'passed'), one('vjp/b', 'skipped', 'has no float16')];
    expect(formatReport({ backend: 'mine', unavailable: null, total: 2872, cases })).toContain(
      '\nmine: 1 passed, 0 failed, 1 do not apply; only 2 of 2,872 cases\n',
    );
    expect(text(...cases)).not.toContain('only');
  });

  test('has its prose wrapped where that is asked for, but not the command that shows a case, nor the table', () => {
    const reason = 'the largest error is too large '.repeat(6).trim();
    const cases = [one('vjp/a', 'failed', reason), one('vjp/b', 'skipped', 'has no float16')];
    const report = { backend: 'mine', unavailable: null, total: 2, cases };
    const source = `--module ${'x'.repeat(80)}`;
    const plain = formatReport(report, { source });
    const shown = formatReport(report, { source, prose: (line) => formatProse(line, recorder({ columns: 60 })) });
    expect(shown.split(/\s+/)).toEqual(plain.split(/\s+/));
    expect(plain).toContain(`\n  ${reason}\n`);
    const long = shown.split('\n').filter((line) => line.length > 60 && !/[│┌├└]/.test(line));
    expect(long).toEqual([expect.stringContaining(`softgrad report ${source}`)]);
  });

  test('has the reason for a backend that cannot run', () => {
    const report = { backend: 'mine', unavailable: 'no such chip', total: 0, cases: [] };
    expect(formatReport(report)).toBe('mine: not run: no such chip\n\n');
  });
});

/** A backend without a required kernel: its suite has one case. */
const incomplete = 'open: async () => ({ ...(await provider.open()), jacobian: undefined })';

test('--only runs the cases of a section, or with a text in their id, fused and composed, and closes the backend', async () => {
  const cpu = await ownBackends.load('cpu');
  const whole = await suite(cpu);
  await whole.at(-1)?.run();
  const run = async (...args: readonly string[]) => {
    const opened: Backend[] = [];
    const open = async () => {
      const backend = await cpu.open();
      opened.push(backend);
      return backend;
    };
    const backends = fakeBackends({ cpu: { ...cpu, unavailable: async () => null, open } });
    const { status, stdout } = await softgrad(['conformance', '--backend', 'cpu', '--json', ...args], { backends });
    // The last case opens a second backend, which must be another one.
    expect([status, ...opened.map(({ closed }) => closed)]).toEqual([0, true, true]);
    const [{ cases: reported, total }]: ConformanceReport[] = JSON.parse(stdout);
    expect(total).toBe(whole.length);
    return reported.map(({ name }) => name);
  };
  const expected = (test: (one: BoundCase) => boolean) => whole.filter(test).map(({ name }) => name);
  const relu = expected(({ section }) => section === 'relu');
  expect(await run('--only', 'relu')).toEqual(relu);
  expect(new Set(relu.map((name) => name.split(': ')[0]))).toEqual(new Set(['cpu', 'cpu (composed)']));
  // A function's name is its section, although other sections have it in their ids, too.
  expect(await run('--only', 'logSumExp')).toEqual(expected(({ section }) => section === 'log-sum-exp'));
  const several = expected(({ id, section }) => section === 'relu' || /^lifecycle\/[cd]|shape=3x130;/.test(id));
  expect(await run('--only', 'relu,shape=3x130;', '--only', 'lifecycle/c,lifecycle/d')).toEqual(several);
});

test('--only of a section says how many cases of others have its name in their ids, and *NAME* runs those, too', async () => {
  const list = async (...only: readonly string[]) => {
    const { stdout, stderr } = await conformance('--list', '--only', ...only);
    return { ids: stdout.trimEnd().split('\n'), stderr };
  };
  const all = cases.map(({ id }) => id);
  const section = all.filter((id) => id.startsWith('vjp/'));
  const named = all.filter((id) => id.includes('vjp'));
  expect(await list('vjp')).toEqual({
    ids: section,
    stderr: `softgrad: --only vjp is the section vjp; ${named.length - section.length} more cases have vjp in the id: --only '*vjp*' runs them, too\n`,
  });
  expect(named.length).toBeGreaterThan(section.length);
  expect(await list('*vjp*')).toEqual({ ids: named, stderr: '' });
  // The cases that another text selects are not missing.
  expect((await list('vjp,extremes')).stderr).toContain(
    `; ${named.filter((id) => !/^(?:vjp|extremes)\//.test(id)).length} more cases have vjp in the id: `,
  );
  expect((await list('logSumExp')).stderr).toContain('--only logSumExp is the section log-sum-exp; ');
  for (const complete of ['lifecycle', 'dtype=float64']) expect((await list(complete)).stderr).toBe('');
});

test('a part of the suite fails on an incomplete backend, where nothing else runs', async () => {
  const file = module('incomplete-part.mjs', `export default { ...provider, ${incomplete} };`);
  const { status, stdout } = await conformance('--module', file, '--only', 'vjp');
  // No frame follows: nothing in the author's files threw.
  expect(stdout).toMatch(/^✗ right: supports\/complete\n {2}the backend lacks jacobian \(a function\)\n┌/m);
  expect(stdout).toMatch(/\nright: 0 passed, 1 failed, \d+ do not apply; only \d+ of [\d,]+ cases\n/);
  expect(status).toBe(1);
});

test('where a kernel of a module throws: its frames, the whole stack with SOFTGRAD_DEBUG and in JSON, no absolute path in a report', async () => {
  const file = module(
    'throws.mjs',
    [
      'const broken = (x) => x.missing.length;',
      'const open = async () => Object.assign(await provider.open(), { vjp: function mine(out, s) { broken(s); } });',
      'export default { ...provider, open };',
    ].join('\n'),
  );
  const only = ['--module', file, '--only', 'vjp/values'];
  const message = "Cannot read properties of undefined \\(reading 'length'\\)";
  const frames = '\\s+at broken \\(…/throws\\.mjs:2:\\d+\\)\\s+at .*mine.* \\(…/throws\\.mjs:3:\\d+\\)\n';
  const { stdout } = await conformance(...only);
  expect(stdout).toMatch(new RegExp(`^✗ right: vjp/.*\n  ${message}${frames}✗`, 'm'));

  const debug = await softgrad(['conformance', ...only], { env: { SOFTGRAD_DEBUG: '1' } });
  expect(debug.stdout).toMatch(/ {4}at broken \(.*\/throws\.mjs:2:\d+\)\n(?: {4}at .*\n)+ {4}at .*core/);

  const [{ cases: reports }] = JSON.parse((await conformance(...only, '--json')).stdout);
  const failed = reports.find(({ outcome }: CaseReport) => outcome === 'failed');
  expect(failed.stack).toMatch(/^TypeError: Cannot read .*\n +at broken /);
  expect(failed.stack).toContain('/throws.mjs:2:');

  const report = await softgrad(['report', '--module', file, '--id', failed.id]);
  expect(report.stdout).toMatch(new RegExp(`fails: ${message}\n\n\`\`\`text${frames}\`\`\``));
  expect(report.stdout).not.toContain(folder.path);
});

test('frames are the innermost three outside of softgrad, also of a cause; paths are relative to the current folder', () => {
  const own = fileURLToPath(new URL('../src/run.ts', import.meta.url));
  const at = (file: string, line: number) => `    at f${line} (${file}:${line}:1)`;
  const here = (name: string) => pathToFileURL(name).href;
  const cause = new Error('no');
  cause.stack = [
    'Error: no',
    '    at Array.map (<anonymous>)',
    at('/node_modules/@softgrad/core/dist/a.js', 1),
    `    at ${here('mine.mjs')}?v=1:2:1`,
    at('node:internal/process', 3),
    ...[4, 5, 6].map((line) => at(here('lib/b.js'), line)),
    at(own, 7),
    at(here('caller.js'), 8),
  ].join('\n');
  expect(framesOf(new Error('wrapped', { cause }))).toEqual([
    'at mine.mjs:2:1',
    'at f4 (lib/b.js:4:1)',
    'at f5 (lib/b.js:5:1)',
  ]);
  cause.stack = ['Error: no', at('/elsewhere/c.js', 1), at(own, 2), at(here('caller.js'), 3)].join('\n');
  expect(framesOf(cause)).toEqual(['at f1 (…/c.js:1:1)']);
  cause.stack = ['Error: no file at /elsewhere/d.js:1:1', at('C:\\me\\d.js', 1), at(own, 2)].join('\n');
  expect(framesOf(cause)).toEqual(['at f1 (C:\\me\\d.js:1:1)']);
  const parser = '    at async Command.parseAsync (/mine/node_modules/commander/lib/command.js:1:1)';
  cause.stack = ['Error: no', at(own, 1), parser, at(own, 2)].join('\n');
  expect(framesOf(cause)).toEqual([]);
  delete cause.stack;
  expect(framesOf(cause)).toEqual([]);
  expect(framesOf('text')).toEqual([]);
});

test('the code of a linked package is where the link leads, because stacks contain real paths; a broken link is ignored', () => {
  const workspace = realpathSync(mkdtempSync(folder.at('links-')));
  for (const name of ['packages/mine', 'elsewhere/core']) mkdirSync(join(workspace, name), { recursive: true });
  symlinkSync('../elsewhere/core', join(workspace, 'packages/core'));
  symlinkSync('nowhere', join(workspace, 'packages/removed'));
  const places = ['elsewhere/core', 'packages/mine'].map((name) => join(workspace, name));
  const parts = places.flatMap((place) => ['bin', 'dist', 'src'].map((part) => join(place, part, '/')));
  expect(codeFolders(join(workspace, 'packages'))).toEqual(parts);
  expect(codeFolders(folder.at('missing'))).toEqual([]);
});

test('--list with --module prints the ids that apply to its backend', async () => {
  const { status, stdout } = await conformance('--module', fixture('right'), '--list', '--only', 'vjp');
  expect(status).toBe(0);
  const ids = stdout.trimEnd().split('\n');
  const { default: right } = await import(fixture('right'));
  const bound = await suite(right);
  await bound.at(-1)?.run();
  expect(ids).toEqual(bound.filter(({ section, skip }) => section === 'vjp' && skip === null).map(({ id }) => id));
  expect(ids.length).toBeLessThan(cases.filter(({ section }) => section === 'vjp').length);
});

test('--list prints the ids of the suite, or of a part, and opens no backend', async () => {
  const options = { backends: fakeBackends({ wasm: new TypeError('loaded') }) };
  const list = async (...args: readonly string[]) => {
    const { status, stdout, stderr } = await softgrad(['conformance', '--list', ...args], options);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^(?:softgrad: --only relu is the section relu; .*\n)?$/);
    return stdout;
  };
  expect(await list()).toBe(cases.map(({ id }) => `${id}\n`).join(''));
  const relu = cases.filter(({ section }) => section === 'relu');
  expect(await list('--only', 'relu')).toBe(relu.map(({ id }) => `${id}\n`).join(''));
  expect(JSON.parse(await list('--only', 'relu', '--json'))).toEqual(relu.map(({ id, section }) => ({ id, section })));
});

test('a missing kernel is reported once, not by every case that needs it', async () => {
  const file = module('incomplete.mjs', `export default { ...provider, ${incomplete} };`);
  const { status, stdout } = await conformance('--module', file);
  // No frame follows: nothing in the author's files threw.
  expect(stdout).toMatch(/^✗ right: supports\/complete\n {2}the backend lacks jacobian \(a function\)\n┌/m);
  expect(stdout).toMatch(/\n\d+ do not apply: it lacks jacobian \(a function\)\nright: 0 passed, 1 failed, /);
  expect(status).toBe(1);
});

test('the backend of a module is its default export, a provider or an open backend, or its only provider; several are an error', async () => {
  const one = `{ ...provider, ${incomplete} }`;
  const open = `{ ...(await provider.open()), jacobian: undefined }`;
  const codes = [
    `export const backend = ${one}; export const x = 1, nothing = null, open = { open: 1, name: 'x' };`,
    `export default ${open}; export const other = ${one};`,
  ];
  for (const [k, code] of codes.entries()) {
    const file = module(`one-${k}.mjs`, code);
    expect((await conformance('--module', file)).stdout).toMatch(/\nright: 0 passed, 1 failed, /);
  }
  const two = module('two.mjs', 'export const a = provider, b = { ...provider };');
  const { status, stderr } = await conformance('--module', two);
  expect(stderr).toMatch(/two\.mjs: expected a provider .* exactly one export that is a provider\n$/);
  expect(status).toBe(2);
});

test('the watchdog gets the time limit, each step that begins, and the end of the command, also after an error', async () => {
  const told: unknown[] = [];
  const watchdog = async (limitMs: number) => {
    told.push(limitMs);
    return { begin: (step: string) => told.push(step), stop: () => told.push('stopped') };
  };
  const run = async (...args: readonly string[]) => {
    told.length = 0;
    const { status } = await softgrad(args, { watchdog, backends: fakeBackends({}) });
    return [status, ...told];
  };
  const file = module('watched.mjs', 'export default provider;');
  const id = 'vjp/values:shape=7x5;axis=1;input=ramp;cotangent=uniform';
  const begun = [`loading ${file}`, 'opening right', `right: ${id};dtype=float64`];
  expect(await run('conformance', '--module', file, '--only', `${id};dtype=float64`, '--timeout', '7')).toEqual([
    ...[0, 7000, ...begun, 'closing right', 'stopped'],
  ]);
  expect(await run('report', '--module', file, '--id', `${id};dtype=float64`)).toEqual([
    ...[0, 120_000, ...begun, 'stopped'],
  ]);
  const wrong = module('watched-wrong.mjs', 'export default { ...provider, open: async () => null };');
  expect(await run('conformance', '--module', wrong)).toEqual([
    ...[2, 120_000, `loading ${wrong}`, 'opening right', 'stopped'],
  ]);
});

test('backends are tested by name, all of them, or the default', async () => {
  const broken = await import(module('by-name.mjs', `export default { ...provider, ${incomplete} };`));
  const provider = broken.default;
  const absent = { ...provider, name: 'absent', unavailable: async () => 'no such chip' };
  const missing = new SoftgradError('ERR_BACKEND_UNAVAILABLE', "backend 'missing' did not load: not installed");
  const backends = fakeBackends({ absent, right: provider, missing, cpu: provider });
  const run = (...args: readonly string[]) => softgrad(['conformance', ...args], { backends });

  const all = await run('--backend', 'all');
  expect(all.stdout).toMatch(/^absent: not run: no such chip\n\n✗[\s\S]*\nright: 0 passed, 1 failed, /);
  expect(all.stdout).toContain("\n\nmissing: not run: backend 'missing' did not load: not installed\n\n");
  expect(all.status).toBe(1);
  const reports: ConformanceReport[] = JSON.parse((await run('--backend', 'all', '--json')).stdout);
  expect(reports.map(({ backend, unavailable }) => [backend, unavailable])).toEqual([
    ['absent', 'no such chip'],
    ['right', null],
    ['missing', missing.message],
    ['right', null],
  ]);
  expect(reports.map(({ cases }) => cases.length > 0)).toEqual([false, true, false, true]);

  expect((await run('--backend', 'right')).stdout).toMatch(/\nright: 0 passed, 1 failed, /);
  const two = await run('--backend', 'right,cpu');
  expect([two.status, two.stdout.match(/\nright: 0 passed, 1 failed, /g)?.length]).toEqual([1, 2]);
  // Beside names, all stands for the others.
  const others: ConformanceReport[] = JSON.parse((await run('--backend', 'cpu,all', '--json')).stdout);
  expect(others.map(({ unavailable }) => unavailable)).toEqual([null, 'no such chip', null, missing.message]);
  expect((await run('--backend', 'all,absent')).stderr).toBe('softgrad: absent cannot run here: no such chip\n');
  expect(await run('--backend', '')).toMatchObject({ status: 2, stdout: '' });
  // Named backends have to run: nothing is tested if one cannot.
  const part = await run('--backend', 'right,absent');
  expect(part).toEqual({ status: 2, stdout: '', stderr: 'softgrad: absent cannot run here: no such chip\n' });
  const refused = await run('--backend', 'absent');
  expect([refused.status, refused.stderr]).toEqual([2, 'softgrad: absent cannot run here: no such chip\n']);
  const defaults = fakeBackends({ wasm: absent, cpu: provider });
  expect((await softgrad(['conformance'], { backends: defaults })).stdout).toMatch(/\nright: 0 passed, 1 failed, /);
  const defect = await softgrad(['conformance', '--backend', 'x'], {
    backends: fakeBackends({ x: new TypeError('no') }),
  });
  expect(defect.status).toBe(70);
});

test('a backend is opened with the options after its name, and reported with them', async () => {
  const cpu = await ownBackends.load('cpu');
  const opened: unknown[] = [];
  const open = (options: unknown) => {
    opened.push(options);
    return cpu.open();
  };
  const backends = fakeBackends({ cpu: { ...cpu, unavailable: async () => null, open } });
  const run = (...args: readonly string[]) => softgrad(args, { backends });
  const name = 'cpu:threads=2:fast=true:mode=a';
  const { stdout, status } = await run('conformance', '--backend', `cpu,${name}`, '--only', 'supports/exp-ulp');
  expect(stdout).toMatch(
    /│ cpu +│[\s\S]*\ncpu: 1 passed, [\s\S]*│ cpu:threads=2:fast=true:mode=a +│[\s\S]*\ncpu:threads=2:fast=true:mode=a: 1 passed, /,
  );
  expect(await run('softmax', '1,1', '--backend', name)).toMatchObject({ stdout: '[0.5,0.5]\n', status });
  const options = { threads: 2, fast: true, mode: 'a' };
  // The suite opens each twice: its last case tests whether one that is closed leaves the other open.
  expect(opened).toEqual([undefined, undefined, options, options, options]);
});

test('invalid options are one-line errors with exit code 2', async () => {
  const empty = folder.write('empty.mjs', 'export const x = 1;');
  const nothing = folder.write('nothing.mjs', 'export default null;');
  const absent = module(
    'absent.mjs',
    "export default { ...provider, name: 'absent', unavailable: async () => 'no such chip; buy one' };",
  );
  const silent = module('silent.mjs', "export default { ...provider, name: 'silent', unavailable: async () => {} };");
  const wordless = module(
    'wordless.mjs',
    "export default { ...provider, name: 'wordless', unavailable: async () => '' };",
  );
  const broken = folder.write('broken.mjs', "throw new Error('kaboom');");
  const expected =
    /expected a provider .* or a backend .* as default export, or exactly one export that is a provider\n$/;
  for (const [args, message] of [
    [['--module', folder.at('nowhere.mjs')], /^softgrad: --module .*nowhere\.mjs: no such file or directory\n$/],
    [['--module', empty], expected],
    [['--module', nothing], expected],
    [['--module', broken], /broken\.mjs: did not load: kaboom\n$/],
    [['--module', absent], /absent\.mjs: absent cannot run here: no such chip; buy one\n$/],
    [['--module', wordless], /wordless\.mjs: unavailable\(\) of wordless returned an empty text; expected null, or/],
    [['--module', silent], /silent\.mjs: unavailable\(\) of silent returned undefined; expected null, or a sentence/],
    [
      ['--backend', 'abacus'],
      /abacus cannot run here: no backend is named 'abacus': known are cpu, .*; --module takes a package or a file of your own\n$/,
    ],
    [
      ['--backend', 'cpu,./mine.mjs'],
      /^softgrad: --backend \.\/mine\.mjs: looks like a file; expected --module \.\/mine\.mjs\n$/,
    ],
    [['--backend', 'cpu,cpu:2'], /^softgrad: backend 'cpu:2': expected options like wasm:threads=2\n$/],
    [['--backend', 'cpu', '--module', empty], /--backend and --module cannot both be given: expected one of them\n$/],
    [['--only', 'vjb'], /--only vjb: no case has this in its id; .* sections supports, storage, .*, lifecycle\n$/],
    [['--only', 'vjp,vjb'], /--only vjb: no case/],
    [['--only', ','], /Expected one or more, with commas between them\./],
    [['--list', '--backend', 'cpu'], /'--list' cannot be used with option '--backend <list>'\n$/],
    [['--timeout', '0'], /Expected a finite number above 0/],
  ] as const) {
    const { status, stdout, stderr } = await conformance(...args);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd()).not.toContain('\n');
    expect(stdout).toBe('');
    expect(status).toBe(2);
  }
});

test('the error for TypeScript that node cannot load says what to do', () => {
  const failure = (code: string) => Object.assign(new Error('no'), { code });
  const hint =
    '; compile it to JavaScript first (esbuild --bundle --packages=external --format=esm) and pass the result';
  const newer = ', or use Node 22.18 or newer, which loads TypeScript';
  expect(hintOf('mine.tsx', failure('ERR_UNKNOWN_FILE_EXTENSION'))).toBe(hint);
  for (const file of ['mine.ts', 'mine.mts', 'mine.cts'])
    expect(hintOf(file, failure('ERR_UNKNOWN_FILE_EXTENSION'))).toBe(`${hint}${newer}`);
  for (const file of ['mine.ts', 'mine.tsx', 'mine.mts', 'mine.cts']) {
    for (const code of ['ERR_MODULE_NOT_FOUND', 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX'])
      expect(hintOf(file, failure(code))).toBe(hint);
    expect(hintOf(file, new SyntaxError('no'))).toBe(hint);
    // An error in its code is not an error of loading.
    expect(hintOf(file, failure('ENOENT'))).toBe('');
    expect(hintOf(file, new Error('no'))).toBe('');
    expect(hintOf(file, 'ERR_MODULE_NOT_FOUND')).toBe('');
  }
  for (const file of ['mine.js', 'mine.mjs', 'mine.ts.js', 'arts'])
    expect(hintOf(file, new SyntaxError('no'))).toBe('');
  const inCommonJs = new SyntaxError("Unexpected token 'export'");
  for (const [file, renamed] of [
    ['mine.js', '\\.mjs'],
    ['mine.ts', '\\.mts'],
  ] as const) {
    const advice = new RegExp(`^; it is an ES module in .*: rename it to ${renamed}, or write "type": "module"`);
    expect(hintOf(file, inCommonJs)).toMatch(advice);
  }
  const unknownExtension = (extension: string) => new TypeError(`Unknown file extension "${extension}" for /basis`);
  expect(hintOf('mine.mjs', unknownExtension('.ts'))).toMatch(/^; compile it together with the files that it imports/);
  expect(hintOf('mine.mjs', unknownExtension('.txt'))).toBe('');
  for (const file of ['mine.mjs', 'mine.cjs']) expect(hintOf(file, inCommonJs)).toBe('');
});

test('a module that throws, hangs or provides no backend is named in the error, exit code 2', async () => {
  const cases = [
    ['async () => null', "async () => { throw new TypeError('kaboom'); }", /provides no backend: kaboom\n$/],
    [
      'async () => null',
      "async () => { throw 'kaboom'; }",
      /provides no backend: the text "kaboom" was thrown; expected an Error\n$/,
    ],
    [
      'async () => null',
      '() => new Promise(() => {})',
      /provides no backend: waits for a promise that can never settle/,
    ],
    ['async () => null', 'async () => null', /provides no backend: /],
    ["() => { throw new TypeError('kaboom'); }", 'async () => null', /provides no backend: kaboom\n$/],
  ] as const;
  for (const [k, [unavailable, open, message]] of cases.entries()) {
    const code = `export default { name: 'bad', unavailable: ${unavailable}, open: ${open} };`;
    const file = folder.write(`bad-${k}.mjs`, code);
    const idle = new Set<NodeJS.Timeout>();
    let waited = 0;
    const { status, stderr } = await softgrad(['conformance', '--module', file], {
      onIdle(listener) {
        // Node is idle where nothing can settle what is waited for, and not while the others run, however long that takes.
        const timer = setTimeout(listener, open.includes('new Promise') ? 5 : 60_000);
        idle.add(timer);
        waited++;
        return () => {
          clearTimeout(timer);
          idle.delete(timer);
        };
      },
    });
    expect(stderr).toMatch(/^softgrad: --module .*bad-\d\.mjs: /);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
    expect(waited).toBeGreaterThan(0);
    // No listener stays.
    expect(idle.size).toBe(0);
  }
});

test('reads that never end fail individually after the time limit, and after three of them no more cases run', async () => {
  const never = 'read: () => new Promise(() => {})';
  const code = `export default { ...provider, open: async () => ({ ...(await provider.open()), ${never} }) };`;
  const { status, stdout } = await conformance(
    '--module',
    module('hanging.mjs', code),
    '--timeout',
    '0.002',
    '--all',
    '--only',
    'storage',
  );
  const overdue =
    stdout.match(/✗ right: (storage\/.*)\n {2}\1 did not end within 0\.002 s: .*--timeout SECONDS/g) ?? [];
  expect(overdue).toHaveLength(3);
  const [, failed] = /\nright: \d+ passed, (\d+) failed, \d+ do not apply; only \d+ of /.exec(stdout) ?? [];
  const notRun = stdout.match(/✗ right: storage\/.*\n {2}not run, because 3 other cases did not end: /g) ?? [];
  expect([notRun.length > 0, overdue.length + notRun.length]).toEqual([true, Number(failed)]);
  expect(status).toBe(1);
});

test('the progress bar of a long run ends with it', async () => {
  const file = module('incomplete-bar.mjs', `export default { ...provider, ${incomplete} };`);
  let at = 0;
  const now = () => at++;
  const { stderr } = await softgrad(['conformance', '--module', file], { terminal: true, now });
  expect(stderr).toMatch(/conformance of right \S{30} 100% 0s left/);
});

test('progress is counted by the time that the cases that apply took and are expected to take', async () => {
  // Cases of this backend end at once, because it lacks what almost all of them begin with.
  const code = `export default { ...provider, open: async () => ({ ...(await provider.open()), alloc() { throw new Error('full'); } }) };`;
  using bars = watchBars();
  const file = module('full.mjs', code);
  // Every case takes a millisecond: the clock is read before and after it.
  let at = 0;
  const now = () => at++;
  const { status } = await softgrad(['conformance', '--module', file], { terminal: true, now });
  expect(status).toBe(1);
  const { default: full } = await import(file);
  const bound = await suite(full);
  const isRun = ({ skip }: BoundCase) => skip === null;
  const applying = spread(bound).filter(isRun);
  const watch = watchTime(bound.filter(isRun));
  const shares = applying.map((one) => Math.min(1, watch(one, 1)));
  expect(bars.steps().map(([, share]) => share)).toEqual(shares);
  expect(new Set(bars.steps().map(([label]) => label))).toEqual(new Set(['conformance of right']));
  await applying
    .at(-1)
    ?.run()
    .catch(() => {});
});
