import { text } from 'node:stream/consumers';
import { type Browser, type BrowserContextOptions, chromium, type Download, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, inject } from 'vitest';

interface Options extends BrowserContextOptions {
  /** A feature that the page's browser does not have. */
  readonly without?: 'gpu';
  /** Runs before the page's own scripts. */
  readonly before?: () => void;
}

const viewport = { width: 1280, height: 900 };

/** The built page as its server serves it. Every test fails if the console or the security policy reports an error. */
export function usePlayground(url: () => string = () => inject('url')) {
  let browser: Browser;
  const complaints: string[] = [];
  /** Pages that the current test has opened, by what happens to them at its end. */
  const pages: { readonly plain: Page[]; readonly special: Page[] } = { plain: [], special: [] };
  /** Blank pages that are not in use. */
  const idle: Page[] = [];

  beforeAll(async () => {
    browser = await chromium.connect(inject('browser'));
  });
  afterEach(async () => {
    for (const page of pages.special.splice(0)) await page.context().close();
    for (const page of pages.plain.splice(0)) {
      // A new document for each test; the playground stores nothing outside of it. The page navigates to about:blank, because
      // it then keeps its renderer process and compiled code: opening the playground again takes 0.5 s of processor time instead of 1.5 s.
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
    // No test asserts how fast a page is, because waits take longer on a busy machine.
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
    /** The errors of the console and the policy so far, which are then cleared: for a test that causes them. */
    takeComplaints: () => complaints.splice(0),
    /** Opens the page with a state, `explore?t=2`; with options in its own context, otherwise in one that other tests have used. */
    async open(hash: string, options: Options = {}): Promise<Page> {
      const isPlain = Object.keys(options).length === 0;
      const page = (isPlain ? idle.pop() : undefined) ?? (await newPage(options));
      (isPlain ? pages.plain : pages.special).push(page);
      await page.goto(`${url()}#${hash}`);
      return page;
    },
  };
}

/** The text of a downloaded file. It has no path here, because Playwright is connected to a browser that another process started. */
export async function textOf(download: Download): Promise<string> {
  return text(await download.createReadStream());
}

/** Waits until the sample signal's numbers are shown. */
export async function explored(page: Page): Promise<void> {
  await page.locator('.product-table .strong').first().waitFor();
}

/** softgrad's backends, and whether each can run in this Chromium. */
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
