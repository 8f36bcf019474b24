import { expect, test } from 'vitest';

const { adviceOn, aptGet, installation } = await import(new URL('../../scripts/apt.mjs', import.meta.url).href);

const on = (apt: boolean, root: boolean, sudo: boolean) => ({
  hasApt: () => apt,
  isRoot: () => root,
  maySudo: () => sudo,
});

test('packages are installed as root, or by sudo where it asks for no password, and nowhere else', () => {
  expect(aptGet(on(true, true, false))).toEqual(['apt-get']);
  expect(aptGet(on(true, false, true))?.slice(0, 2)).toEqual(['sudo', '-n']);
  expect(aptGet(on(true, false, false))).toBeNull();
  expect(aptGet(on(false, true, true))).toBeNull();
  const command = installation(['clang-19', 'lld-19'], aptGet(on(true, false, true)));
  expect(command).toMatch(/^(sudo -n \S+ apt-get) update -qq && \1 install -y .* clang-19 lld-19$/);
});

test('of several names of a package the first that can be installed is', () => {
  const installed = installation(['clang-19', 'chromium-headless-shell|chromium'], ['apt-get']);
  expect(installed.replaceAll(' -y -qq --no-install-recommends', '')).toBe(
    'apt-get update -qq && apt-get install clang-19 && (apt-get install chromium-headless-shell || apt-get install chromium)',
  );
});

test('a user who may not install packages is told the command that does', () => {
  expect(adviceOn(['clang-19', 'lld-19'], on(true, false, false))).toBe(
    'clang-19 lld-19: missing, and this user may not install packages: sudo apt-get install clang-19 lld-19',
  );
  expect(adviceOn(['chromium'], on(false, false, false))).toBe(
    'chromium: missing; install it with the package manager of this system',
  );
});
