import { afterEach, expect, test, vi } from 'vitest';

const { run } = await import(new URL('../../scripts/workspace.mjs', import.meta.url).href);

afterEach(() => {
  vi.unstubAllEnvs();
});

test('a command has the environment of the time when it starts, and what is passed for it alone', () => {
  const print = ['-e', "process.exit(process.env.SET_SINCE === '1' && process.env.PASSED === '2' ? 0 : 1)"];
  const started = () => run(process.execPath, print, { quiet: true, env: { PASSED: '2' } });
  expect(started()).toBe(1);
  vi.stubEnv('SET_SINCE', '1');
  expect(started()).toBe(0);
});
