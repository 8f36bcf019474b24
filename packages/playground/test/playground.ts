import { text } from 'node:stream/consumers';
import { type Browser, type BrowserContextOptions, chromium, type Download, type Page } from 'playwright-core';
import { afterEach, expect, inject } from 'vitest';
import { chromiumFlags, findChromium } from '../../../scripts/chromium.mjs';

interface Options extends BrowserContextOptions {
  /** A feature that the page's browser does not have. */
  readonly without?: 'gpu' | 'clipboard';
  /** Runs before the page's own scripts. */
  readonly before?: () => void;
  /** The address, if not that of the server. */
  readonly at?: string;
}

const viewport = { width: 1280, height: 900 };

/** All files run in one process, which starts one browser, and Playwright ends it with the process. */
let started: Promise<Browser> | undefined;
/** Pages that are not in use, by the address that they have loaded. */
const idle = new Map<string, Page[]>();
/** Errors of the console and violations of the policy. */
const complaints: string[] = [];

/** The built page as its server serves it. Every test fails if the console or the security policy reports an error. */
export function usePlayground(url: () => string = () => inject('url')) {
  /** Pages that the current test has opened, by what happens to them at its end. */
  const pages: { readonly plain: Page[]; readonly special: Page[] } = { plain: [], special: [] };

  afterEach(async () => {
    for (const page of pages.special.splice(0)) await page.context().close();
    for (const page of pages.plain.splice(0)) {
      // The page keeps the runs of these panels.
      if (['conformance', 'bench'].includes(panelOf(page) ?? '')) {
        await page.context().close();
        continue;
      }
      await page.emulateMedia({ colorScheme: null, reducedMotion: 'reduce' });
      await page.setViewportSize(viewport);
      await leavePanel(page);
      idle.set(url(), [...(idle.get(url()) ?? []), page]);
    }
    expect(complaints.splice(0)).toEqual([]);
  });

  async function openSpecial(hash: string, options: Options): Promise<Page> {
    const page = await newPage(options);
    pages.special.push(page);
    await page.goto(`${options.at ?? url()}#${hash}`);
    return page;
  }

  return {
    url: inject('url'),
    /** The errors of the console and the policy so far, which are then cleared: for a test that causes them. */
    takeComplaints: () => complaints.splice(0),
    /**
     * Opens the page with a state, `explore?t=2`. With options it has its own context. Otherwise the test gets a document that other tests
     * have used, in which the panel starts from the state: loading the page and its engines again takes longer than most tests.
     */
    async open(hash: string, options?: Options): Promise<Page> {
      if (options) return openSpecial(hash, options);
      const used = idle.get(url())?.pop();
      const page = used ?? (await newPage({}));
      pages.plain.push(page);
      if (!used) await page.goto(`${url()}#${hash}`);
      else {
        if (panelOf(page) === hash.split('?', 1)[0]) await leavePanel(page);
        await followLink(page, hash);
      }
      return page;
    },
    /** Opens the page with a state in a new document. */
    openAnew: (hash: string) => openSpecial(hash, {}),
  };
}

/** As the tests of other packages do, `npm test` leaves the memory of workgroups uninitialized: see vitest.shared.ts. */
const cheaperKernels = inject('everything') ? [] : ['--enable-dawn-features=disable_workgroup_init'];

async function launch(): Promise<Browser> {
  const executablePath = await findChromium();
  if (!executablePath) throw new Error('Chromium is missing: run `node scripts/chromium.mjs` to install it');
  return chromium.launch({ executablePath, args: [...chromiumFlags, ...cheaperKernels] });
}

async function newPage({ without, before, at: _address, ...options }: Options): Promise<Page> {
  started ??= launch();
  const browser = await started;
  const page = await browser.newPage({ viewport, reducedMotion: 'reduce', ...options });
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

const panelOf = (page: Page) => new URL(page.url()).hash.slice(1).split('?', 1)[0];

/** Opens another panel, which ends what the current one does, unless it is a run of the suite. A link to the current panel would not: it may replace the link with its state. */
export function leavePanel(page: Page): Promise<void> {
  return followLink(page, panelOf(page) === 'doctor' ? 'explore' : 'doctor');
}

/** Opens the page's own link, after the panel was left: what is shown then comes from the link. */
export async function openItsLink(page: Page): Promise<void> {
  const link = new URL(page.url()).hash.slice(1);
  await leavePanel(page);
  await followLink(page, link);
}

/** Follows a link to another panel in the same document. The old panel is removed when this resolves. */
function followLink(page: Page, hash: string): Promise<void> {
  return page.evaluate(
    (to) =>
      new Promise<void>((resolve) => {
        addEventListener('hashchange', () => setTimeout(resolve), { once: true });
        location.hash = to;
        scrollTo(0, 0);
      }),
    hash,
  );
}

/**
 * Runs the suite and cancels it as soon as the page shows what the selector finds. The page clicks itself: a click from outside waits for the button, and the
 * run may end meanwhile.
 */
export async function runUntil(page: Page, selector: string): Promise<void> {
  await page.getByRole('button', { name: 'Run the suite' }).waitFor();
  await page.evaluate((expected) => {
    const click = (label: string) =>
      [...document.querySelectorAll('button')].find(({ textContent }) => textContent?.trim() === label)?.click();
    return new Promise<void>((resolve) => {
      const observer = new MutationObserver(() => {
        if (document.querySelector(expected) === null) return;
        observer.disconnect();
        click('Cancel');
        resolve();
      });
      observer.observe(document.body, { childList: true, subtree: true, characterData: true });
      click('Run the suite');
    });
  }, selector);
}

/** The text of a downloaded file. */
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
  await page.waitForFunction(
    () => {
      const all = [...document.querySelectorAll('[data-backend]')];
      return all.length > 0 && all.every((label) => !label.classList.contains('unknown'));
    },
    undefined,
    { polling: 50 },
  );
  const found = await labels.evaluateAll((all) =>
    all.map((label) => [label.getAttribute('data-backend') ?? '', label.classList.contains('available')] as const),
  );
  return new Map(found);
}
