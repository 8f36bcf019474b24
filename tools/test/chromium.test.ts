import { afterEach, expect, test, vi } from 'vitest';
import { ensureChromium, findChromium, namedChromium } from '../../scripts/chromium.mjs';

afterEach(() => vi.unstubAllEnvs());

test('a Chromium that the environment names is taken as it is', async () => {
  vi.stubEnv('CHROMIUM_PATH', process.execPath);
  expect([namedChromium(), await findChromium()]).toEqual([process.execPath, process.execPath]);
});

test('a path where no file is says so, and nothing else is searched or installed', async () => {
  vi.stubEnv('CHROMIUM_PATH', '/nowhere/chromium');
  const message =
    "CHROMIUM_PATH is '/nowhere/chromium', and there is no such file: set it to the path of a Chromium, or unset it, and one is found or installed.";
  expect(namedChromium).toThrow(message);
  await expect(findChromium()).rejects.toThrow(message);
  await expect(ensureChromium()).rejects.toThrow(message);
});

test('an environment that names none leaves the search to findChromium', () => {
  vi.stubEnv('CHROMIUM_PATH', '');
  expect(namedChromium()).toBe(null);
});
