import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { softgrad, temporaryFolder } from './command.js';

const folder = temporaryFolder();
afterAll(folder.remove);

const module = (name: string) => fileURLToPath(new URL(`fixtures/${name}-backend.mjs`, import.meta.url));

interface Report {
  readonly backend: string;
  readonly cases: readonly { readonly id: string; readonly outcome: string; readonly reason: string | null }[];
}

test('a right backend of three kernels passes what it announces; the rest is skipped with reasons', () => {
  const { status, stdout, stderr } = softgrad(['conformance', '--module', module('right')]);
  expect(stdout).not.toContain('✗');
  expect(stdout).toMatch(/│ vjp +│ [1-9]\d* +│ 0 +│ \d+ +│/);
  expect(stdout).toMatch(/\nright: [1-9]\d* passed, 0 failed, [1-9]\d* skipped\n/);
  expect(stdout).toMatch(/\d+ skipped: has no float32\n/);
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

test('one that sums the rows of the Jacobian fails, by name, and the command exits 1', () => {
  const { status, stdout } = softgrad(['conformance', '--module', module('faulty')]);
  expect(stdout).toMatch(/\n✗ faulty: vjp\/.*\n {2}\S.*\n/);
  expect(stdout).toMatch(/\nfaulty: \d+ passed, [1-9]\d* failed, \d+ skipped\n/);
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
  expect(stdout).toMatch(/\ncpu: [1-9]\d* passed, 0 failed, \d+ skipped\n/);
  expect(status).toBe(0);
});

test('what cannot be tested is said in one line, exit code 2', () => {
  const empty = folder.write('empty.mjs', 'export const x = 1;');
  const absent = folder.write(
    'absent.mjs',
    "export default { name: 'absent', unavailable: async () => 'no such chip; buy one', open: async () => { throw new Error(); } }",
  );
  for (const [args, message] of [
    [['--module', folder.at('nowhere.mjs')], /nowhere\.mjs: did not load: Cannot find module/],
    [['--module', empty], /empty\.mjs: its default export is neither a provider .* nor a backend/],
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
