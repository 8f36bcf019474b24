import { chromium } from 'playwright-core';
import type { TestProject } from 'vitest/node';
import { chromiumFlags, findChromium } from '../../../scripts/chromium.mjs';
import { startServer } from '../server.mjs';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The browser's address for Playwright. */
    browser: string;
    /** The address of the page. */
    url: string;
  }
}

/** One browser and one server for all test files, because starting each takes seconds; every test has its own context. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const executablePath = await findChromium();
  if (!executablePath) throw new Error('Chromium is missing: run `node scripts/chromium.mjs` to install it');
  const browser = await chromium.launchServer({ executablePath, args: [...chromiumFlags] });
  const server = await startServer();
  project.provide('browser', browser.wsEndpoint());
  project.provide('url', server.url);
  return async () => {
    await browser.close();
    await server.close();
  };
}
