import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { chromiumFlags, findChromium } from '../../../scripts/chromium.mjs';
import { startServer } from '../server.mjs';

/** The built page as its server serves it. Every test fails on what the console or the security policy has to complain of. */
export function usePlayground() {
  let server: Awaited<ReturnType<typeof startServer>>;
  let browser: Browser;
  const complaints: string[] = [];
  const pages: Page[] = [];

  beforeAll(async () => {
    const executablePath = await findChromium();
    if (!executablePath) throw new Error('Chromium is missing: run `node scripts/chromium.mjs` to install it');
    server = await startServer();
    browser = await chromium.launch({ executablePath, args: [...chromiumFlags] });
  });
  afterEach(async () => {
    for (const page of pages.splice(0)) await page.context().close();
    expect(complaints.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    await browser.close();
    await server.close();
  });

  return {
    url: () => server.url,
    /** What the console and the policy have complained of so far, taken off the record: a test that provokes them looks at them. */
    takeComplaints: () => complaints.splice(0),
    /** Opens the page at a state, `explore?t=2`, in a browser that may lack something, or has had something done to it before. */
    async open(
      hash: string,
      {
        without,
        before,
        ...options
      }: BrowserContextOptions & { readonly without?: 'gpu'; readonly before?: () => void } = {},
    ): Promise<Page> {
      const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
      pages.push(page);
      page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(`console: ${message.text()}`);
      });
      await page.exposeFunction('reportViolation', (text: string) => complaints.push(`policy: ${text}`));
      await page.addInitScript(() => {
        addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) => {
          Reflect.get(globalThis, 'reportViolation')(`${violatedDirective} ${blockedURI} ${sample}`);
        });
      });
      if (without) {
        await page.addInitScript((name) => Object.defineProperty(navigator, name, { value: undefined }), without);
      }
      if (before) await page.addInitScript(before);
      await page.goto(`${server.url}#${hash}`);
      return page;
    },
  };
}

/** The sample signal's numbers are there. */
export async function explored(page: Page): Promise<void> {
  await page.locator('.product-table .strong').first().waitFor();
}

/** The backends that softgrad has, and whether each can run in this Chromium. */
export async function availableBackends(page: Page): Promise<ReadonlyMap<string, boolean>> {
  const labels = page.locator('[data-backend]');
  await page.waitForFunction(() => {
    const all = [...document.querySelectorAll('[data-backend]')];
    return all.length > 0 && all.every((label) => !label.classList.contains('unknown'));
  });
  const found = await labels.evaluateAll((all) =>
    all.map((label) => [label.getAttribute('data-backend') ?? '', label.classList.contains('available')] as const),
  );
  return new Map(found);
}
