import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

const module = (name: string) => fileURLToPath(new URL(`fixtures/${name}-backend.mjs`, import.meta.url));

interface Report {
  readonly backend: string;
  readonly cases: readonly { readonly id: string; readonly outcome: string; readonly reason: string | null }[];
}

test('a right backend of three kernels passes what it announces; the rest is does not apply, for reasons in a few lines', () => {
  const { status, stdout, stderr } = softgrad(['conformance', '--module', module('right')]);
  expect(stdout).not.toContain('✗');
  expect(stdout).toMatch(/│ vjp +│ [1-9]\d* +│ 0 +│ \d+ +│/);
  expect(stdout).toMatch(/\nright: [1-9]\d* passed, 0 failed, [1-9]\d* do not apply\n/);
  const reasons = stdout.split('\n').filter((line) => /^\d+ do(es)? not apply: /.test(line));
  expect(reasons.map((line) => line.replace(/^\d+ do(es)? not apply: /, '')).sort()).toEqual([
    'asserted the other way: it has readSync, float64, nonFinite: ieee',
    'it announces no basis and no fused kernels',
    'it does not announce hostView, time, inPlace',
    'it has no float16',
    'it has no float32',
  ]);
  const counts = reasons.map((line) => Number.parseInt(line, 10));
  expect(stdout).toContain(` ${counts.reduce((a, b) => a + b)} do not apply\n`);
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

test('one that sums the rows of the Jacobian fails, by name, and the command exits 1', () => {
  const { status, stdout } = softgrad(['conformance', '--module', module('faulty')]);
  expect(stdout).toMatch(/\n✗ faulty: vjp\/.*\n {2}\S.*\n/);
  const failed = [...stdout.matchAll(/\n✗ faulty: (.*)\n/g)].map(([, id]) => id);
  expect(stdout.match(/\nstart with: .*\n/g)).toEqual([`\nstart with: ${failed[0]}\n`]);
  expect(stdout).toMatch(/\nfaulty: \d+ passed, [1-9]\d* failed, \d+ do not apply\n/);
  expect(status).toBe(1);
});

test('every case is there as JSON', () => {
  const { status, stdout } = softgrad(['conformance', '--module', module('faulty'), '--json']);
  expect(status).toBe(1);
  const [{ backend, cases }]: Report[] = JSON.parse(stdout);
  expect(backend).toBe('faulty');
  expect(new Set(cases.map(({ outcome }) => outcome))).toEqual(new Set(['passed', 'failed', 'skipped']));
  const failed = cases.filter(({ outcome }) => outcome === 'failed');
  for (const { id, reason } of failed) {
    expect(id).toMatch(/^[a-z-]+\//);
    expect(reason).toBeTruthy();
  }
});

test('cpu passes by name', () => {
  const { status, stdout } = softgrad(['conformance', '--backend', 'cpu']);
  expect(stdout).toMatch(/\ncpu: [1-9]\d* passed, 0 failed, \d+ do not apply\n/);
  expect(status).toBe(0);
});

test('a module without a default export gives its one provider; of several none is chosen', () => {
  const url = JSON.stringify(pathToFileURL(module('right')).href);
  const one = folder.write(
    'one.mjs',
    `import provider from ${url}; export const backend = provider; export const x = 1;`,
  );
  expect(softgrad(['conformance', '--module', one]).stdout).toMatch(/\nright: [1-9]\d* passed, 0 failed, /);
  const two = folder.write('two.mjs', `import provider from ${url}; export const a = provider, b = { ...provider };`);
  const { status, stderr } = softgrad(['conformance', '--module', two]);
  expect(stderr).toMatch(/two\.mjs: expected a provider .* exactly one export that is a provider\n$/);
  expect(status).toBe(2);
});

test('what cannot be tested is said in one line, exit code 2', () => {
  const empty = folder.write('empty.mjs', 'export const x = 1;');
  const absent = folder.write(
    'absent.mjs',
    "export default { name: 'absent', unavailable: async () => 'no such chip; buy one', open: async () => { throw new Error(); } }",
  );
  // An ending that no version of node loads.
  const typescript = folder.write('mine.tsx', 'export default {};');
  const broken = folder.write('broken.mjs', "import 'no-such-package';");
  for (const [args, message] of [
    [['--module', folder.at('nowhere.mjs')], /nowhere\.mjs: there is no such file\n$/],
    [
      ['--module', empty],
      /empty\.mjs: expected a provider .* or a backend .* as default export, or exactly one export that is a provider/,
    ],
    [
      ['--module', typescript],
      /mine\.tsx: did not load: .*; compile it to JavaScript first \(tsc\) and pass what comes/,
    ],
    [
      ['--module', broken],
      /broken\.mjs: did not load: Cannot find package 'no-such-package' imported from .*broken\.mjs\n$/,
    ],
    [['--module', absent], /absent\.mjs: absent cannot run here: no such chip; buy one\n$/],
    [['--backend', 'abacus'], /abacus cannot run here: no backend is named 'abacus': known are cpu/],
    [['--backend', 'cpu', '--module', empty], /--backend and --module cannot both be given/],
  ] as const) {
    const { status, stdout, stderr } = softgrad(['conformance', ...args]);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd()).not.toContain('\n');
    expect(stdout).toBe('');
    expect(status).toBe(2);
  }
});

test('a module that throws, hangs or gives no backend is blamed for it, exit code 2', () => {
  for (const [unavailable, open, message] of [
    ['async () => null', "async () => { throw new TypeError('kaboom'); }", /gives no backend to prove: kaboom\n$/],
    ['async () => null', '() => new Promise(() => {})', /gives no backend to prove: waits for a promise that nothing/],
    ['async () => null', 'async () => null', /gives no backend to prove: /],
    ["() => { throw new TypeError('kaboom'); }", 'async () => null', /gives no backend to prove: kaboom\n$/],
  ] as const) {
    const file = folder.write('bad.mjs', `export default { name: 'bad', unavailable: ${unavailable}, open: ${open} };`);
    const { status, stderr } = softgrad(['conformance', '--module', file]);
    expect(stderr).toMatch(/^softgrad: --module .*bad\.mjs: /);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  }
});

test('a backend whose reads never end fails the cases that read, and the suite goes on to its end', () => {
  const file = folder.write(
    'hanging.mjs',
    `import provider from ${JSON.stringify(pathToFileURL(module('right')).href)};
     export default { ...provider, open: async () => ({ ...(await provider.open()), read: () => new Promise(() => {}) }) };`,
  );
  const { status, stdout } = softgrad(['conformance', '--module', file]);
  expect(stdout).toMatch(/✗ right: softmax\/.*\n {2}waits for a promise that nothing is left to settle\n/);
  expect(stdout).toMatch(/\nright: \d+ passed, [1-9]\d* failed, \d+ do not apply\n/);
  expect(status).toBe(1);
});

test('where something else keeps the process alive, reads that never end fail by the time limit', () => {
  const file = folder.write(
    'hanging-alive.mjs',
    `import provider from ${JSON.stringify(pathToFileURL(module('right')).href)};
     const alive = setInterval(() => {}, 1000);
     const close = () => clearInterval(alive);
     export default { ...provider, open: async () => ({ ...(await provider.open()), read: () => new Promise(() => {}), close }) };`,
  );
  const { status, stdout } = softgrad(['conformance', '--module', file, '--timeout', '0.002']);
  expect(stdout).toMatch(
    /✗ right: storage\/order\n {2}storage\/order did not end within 0\.002 s: .*--timeout SECONDS/,
  );
  expect(stdout).toMatch(/\nright: \d+ passed, [1-9]\d* failed, \d+ do not apply\n/);
  expect(status).toBe(1);
  const { stderr } = softgrad(['conformance', '--module', file, '--timeout', '0']);
  expect(stderr).toContain('Expected a finite number above 0');
});

test('what a backend lacks is said once, not by every case that trips over it', () => {
  const file = folder.write(
    'incomplete.mjs',
    `import provider from ${JSON.stringify(pathToFileURL(module('right')).href)};
     export default { ...provider, open: async () => ({ ...(await provider.open()), jacobian: undefined }) };`,
  );
  const { status, stdout } = softgrad(['conformance', '--module', file]);
  expect(stdout).toContain('✗ right: supports/complete\n  the backend lacks jacobian (a function)\n');
  expect(stdout).toMatch(/\n\d+ do not apply: it lacks jacobian \(a function\)\nright: 0 passed, 1 failed, /);
  expect(status).toBe(1);
});
