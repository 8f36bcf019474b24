import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chromiumFlags, findChromium } from '../../scripts/chromium.mjs';

const folder = fileURLToPath(new URL('..', import.meta.url));
const site = mkdtempSync(join(tmpdir(), 'softgrad-docs-'));
beforeAll(() => {
  execFileSync(join(folder, 'node_modules/.bin/typedoc'), ['--out', site], { cwd: folder, stdio: 'pipe' });
}, 600_000);
afterAll(() => rmSync(site, { recursive: true, force: true }));

test('the site builds with every page and without warnings', () => {
  for (const page of [
    'Why_is_my_softmax_gradient_zero_',
    'softmax',
    'crossEntropy',
    'Choose_a_backend',
    'Write_a_backend',
    'A_training_loop',
    'Other_libraries',
    'Numerics',
    'Performance',
    'Architecture',
    'Testing',
    'Where_it_runs',
    'Command_line',
    'The_softgrad_playground',
    'Examples',
    'Upgrading',
    'Contributing',
    'Security',
  ]) {
    expect(existsSync(join(site, 'documents', `${page}.html`)), page).toBe(true);
  }
});

test('formulas are rendered in the pages', () => {
  const page = readFileSync(join(site, 'documents', 'softmax.html'), 'utf8');
  expect(page).toContain('<mfrac>');
  expect(page).not.toContain('$$');
});

test('a page has one title', () => {
  for (const page of readdirSync(site, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.html'),
  )) {
    expect(readFileSync(join(site, page), 'utf8').match(/<h1[ >]/g), page).toHaveLength(1);
  }
});

test('no link opens raw Markdown instead of a page', () => {
  expect(readdirSync(join(site, 'media')).filter((name) => name.endsWith('.md'))).toEqual([]);
});

test('every link within the site has a target', () => {
  const links = readdirSync(site, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.html'))
    .flatMap((page) => linksOf(page).map((target) => ({ page, target })));
  const broken = links.filter(({ target }) => !existsSync(join(site, target)));
  expect(broken.map(({ page, target }) => `${target} in ${page}`)).toEqual([]);
  expect(links.length).toBeGreaterThan(1000);
});

test('a page has an icon and no path that is only its title, and the search finds pages beside declarations', async () => {
  const executablePath = await findChromium();
  if (!executablePath) throw new Error('Chromium is missing: run `node scripts/chromium.mjs` to install it');
  const browser = await chromium.launch({ executablePath, args: [...chromiumFlags] });
  try {
    const page = await browser.newPage();
    await page.goto(pathToFileURL(join(site, 'documents', 'Other_libraries.html')).href);
    const icon = await page.locator('link[rel=icon]').evaluate((link: HTMLLinkElement) => link.href);
    expect(existsSync(fileURLToPath(icon))).toBe(true);
    expect(await page.locator('.tsd-breadcrumb').isVisible()).toBe(false);
    await page.locator('#tsd-search-trigger').click();
    await page.locator('#tsd-search-input').fill('numpy');
    const found = page.locator('#tsd-search-results li');
    await expect.poll(() => found.count()).toBeGreaterThan(5);
    expect(await found.allTextContents()).toContain('Other libraries');
    // READMEs of packages are searched as well.
    await page.locator('#tsd-search-input').fill('offline');
    await expect.poll(() => found.allTextContents()).toEqual(expect.arrayContaining(['Where it runs', 'softgrad']));
    await page.locator('#tsd-search-input').fill('rebinding');
    await expect.poll(() => found.allTextContents()).toContain('The softgrad playground');
    // So is code, as it is written.
    await page.locator('#tsd-search-input').fill('J.sum(axis=1)');
    await expect.poll(() => found.allTextContents()).toContain('Why is my softmax gradient zero?');
    // What users call comes before the reference of the conformance suite, which has every option a second time.
    await page.locator('#tsd-search-input').fill('temperature');
    await expect.poll(async () => (await found.allTextContents())[0]?.trim()).toMatch(/^@softgrad\/core\.core\./);
    expect((await found.allTextContents()).slice(0, 5).filter((name) => name.includes('conformance'))).toEqual([]);
    await page.goto(pathToFileURL(join(site, 'functions', '_softgrad_bench.accuracyTables.html')).href);
    expect(await page.locator('.tsd-breadcrumb').isVisible()).toBe(true);
  } finally {
    await browser.close();
  }
}, 60_000);

test('no page is wider than a phone', async () => {
  const executablePath = await findChromium();
  if (!executablePath) throw new Error('Chromium is missing: run `node scripts/chromium.mjs` to install it');
  const browser = await chromium.launch({ executablePath, args: [...chromiumFlags] });
  try {
    const width = 390;
    const page = await browser.newPage({ viewport: { width, height: 844 } });
    const names = ['.', 'documents', 'modules'].flatMap((part) =>
      readdirSync(join(site, part))
        .filter((name) => name.endsWith('.html'))
        .map((name) => join(part, name)),
    );
    expect(names.length).toBeGreaterThan(30);
    const wide: string[] = [];
    for (const name of names) {
      await page.goto(pathToFileURL(join(site, name)).href);
      const widthOfPage = await page.evaluate(() => document.documentElement.scrollWidth);
      if (widthOfPage > width) wide.push(`${name}: ${widthOfPage}`);
    }
    expect(wide).toEqual([]);
  } finally {
    await browser.close();
  }
}, 120_000);

test('on a phone formulas fit, lines of code are whole and scroll, and links are underlined', async () => {
  const executablePath = await findChromium();
  if (!executablePath) throw new Error('Chromium is missing: run `node scripts/chromium.mjs` to install it');
  const browser = await chromium.launch({ executablePath, args: [...chromiumFlags] });
  try {
    const page = await browser.newPage({ viewport: { width: 390, height: 844 } });
    await page.goto(pathToFileURL(join(site, 'documents', 'Why_is_my_softmax_gradient_zero_.html')).href);
    const formulas = page.locator('math[display="block"]');
    const hidden = await formulas.evaluateAll((all) =>
      all.map(({ parentElement }) => (parentElement ? parentElement.scrollWidth - parentElement.clientWidth : null)),
    );
    expect(hidden).toEqual(Array(7).fill(0));
    const code = await page.locator('pre').evaluateAll((all) =>
      all.map((block) => {
        const { lineHeight, paddingTop, paddingBottom, overflowX, backgroundAttachment } = getComputedStyle(block);
        const text = block.querySelector('code');
        const written = 1 + block.querySelectorAll('br').length;
        const height = block.clientHeight - Number.parseFloat(paddingTop) - Number.parseFloat(paddingBottom);
        // The shadow at the end of the lines is behind the text, whose own background would hide it.
        const shadow = `${backgroundAttachment} ${text && getComputedStyle(text).backgroundColor}`;
        return { drawn: height / Number.parseFloat(lineHeight), written, overflowX, shadow };
      }),
    );
    expect(code.length).toBeGreaterThan(3);
    for (const { drawn, written, overflowX, shadow } of code) {
      expect(Math.round(drawn)).toBe(written);
      expect(overflowX).toBe('auto');
      expect(shadow).toBe('local, local, scroll, scroll, scroll rgba(0, 0, 0, 0)');
    }
    const link = page.locator('.tsd-typography p').getByRole('link', { name: 'What the doctor recognises' });
    expect(await link.evaluate((a) => getComputedStyle(a).textDecorationLine)).toBe('underline');
  } finally {
    await browser.close();
  }
}, 60_000);

/** The files of the site that a page names in attributes, without duplicates. Text has &lt; instead of <, so only elements match. */
function linksOf(page: string): readonly string[] {
  const html = readFileSync(join(site, page), 'utf8');
  const base = new URL(page, 'http://site/');
  const targets = [...html.matchAll(/<[a-z]+\b[^<>]*?\s(?:href|src)="([^"]*)"/g)].map(
    ([, link]) => new URL(link.replaceAll('&amp;', '&'), base),
  );
  return [
    ...new Set(
      targets.filter(({ host }) => host === base.host).map(({ pathname }) => decodeURIComponent(pathname.slice(1))),
    ),
  ];
}
