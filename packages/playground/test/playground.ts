import { text } from 'node:stream/consumers';
import { type Browser, type BrowserContextOptions, chromium, type Download, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, inject } from 'vitest';

interface Options extends BrowserContextOptions {
  /** The page's browser lacks it. */
  readonly without?: 'gpu';
  /** Runs before the page's own scripts. */
  readonly before?: () => void;
}

const viewport = { width: 1280, height: 900 };

/** The built page as its server serves it. Every test fails on what the console or the security policy has to complain of. */
export function usePlayground(url: () => string = () => inject('url')) {
  let browser: Browser;
  const complaints: string[] = [];
  /** Pages that the test in progress has opened, by what becomes of them at its end. */
  const pages: { readonly plain: Page[]; readonly special: Page[] } = { plain: [], special: [] };
  /** Plain pages that no test uses at the moment. */
  const idle: Page[] = [];

  beforeAll(async () => {
    browser = await chromium.connect(inject('browser'));
  });
  afterEach(async () => {
    for (const page of pages.special.splice(0)) await page.context().close();
    for (const page of pages.plain.splice(0)) {
      // A document of its own for each test; the playground stores nothing outside of it. The page itself goes to about:blank, because
      // it then keeps its renderer process and compiled code: to open the playground again takes 0.5 s of processor time instead of 1.5 s.
      await page.evaluate(() => location.assign('about:blank'));
      await page.waitForURL('about:blank');
      await page.emulateMedia({ colorScheme: null, reducedMotion: null });
      await page.setViewportSize(viewport);
      idle.push(page);
    }
    expect(complaints.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    await browser.close();
  });

  async function newPage({ without, before, ...options }: Options): Promise<Page> {
    const page = await browser.newPage({ viewport, ...options });
    // Nothing here asserts how fast a page is: on a busy machine a wait takes as long as it takes.
    page.setDefaultTimeout(150_000);
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
    return page;
  }

  return {
    url: inject('url'),
    /** What the console and the policy have complained of so far, taken off the record: a test that provokes them looks at them. */
    takeComplaints: () => complaints.splice(0),
    /** Opens the page at a state, `explore?t=2`; with options in a context of its own, otherwise in one that other tests used. */
    async open(hash: string, options: Options = {}): Promise<Page> {
      const isPlain = Object.keys(options).length === 0;
      const page = (isPlain ? idle.pop() : undefined) ?? (await newPage(options));
      (isPlain ? pages.plain : pages.special).push(page);
      await page.goto(`${url()}#${hash}`);
      return page;
    },
  };
}

/** The text of a downloaded file, which has no path here: Playwright is connected to a browser that another process has started. */
export async function textOf(download: Download): Promise<string> {
  return text(await download.createReadStream());
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
