import { createRequire } from 'node:module';
import { peers, runBench, stringifyReport } from '@softgrad/bench';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { explored, runUntil, usePlayground } from './playground.js';

const { open } = usePlayground();
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Each panel in a state that shows something. */
const scenes: Readonly<Record<string, { readonly hash: string; prepare(page: Page): Promise<void> }>> = {
  explore: { hash: 'explore?x=2,-1,0.5,3,-2,1;0,0,0,0,0,0', prepare: explored },
  'explore, ten classes': { hash: 'explore?x=0,1,2,3,4,5,6,7,8,9', prepare: explored },
  'explore, fifty classes': { hash: `explore?x=${Array.from({ length: 50 }, (_, k) => k % 7)}`, prepare: explored },
  doctor: {
    hash: 'doctor',
    async prepare(page) {
      await page.getByRole('button', { name: 'J.sum(axis=1)' }).click();
      await page.locator('.remedy').waitFor();
    },
  },
  conformance: {
    hash: 'conformance',
    async prepare(page) {
      await runUntil(page, '.sections');
    },
  },
  bench: {
    hash: 'bench',
    async prepare(page) {
      const { naive } = peers;
      const report = await runBench({
        workloads: [64, 16].map((rows) => ({ op: 'softmax', shape: [rows, 10], dtype: 'float32' })),
        contenders: [naive, { ...naive, name: 'other' }],
        rounds: 3,
        sampleMs: 1,
      });
      const buffer = Buffer.from(stringifyReport(report));
      await page.locator('input[type=file]').setInputFiles({ name: 'a.json', mimeType: 'application/json', buffer });
      await page.locator('.chart').first().waitFor();
      await page.getByText('All numbers').click();
      // Moving the pointer shows the tip of a point and hides it again.
      const chart = page.locator('.chart-place svg').first();
      await chart.locator('.points path').first().hover({ force: true });
      await expect.poll(() => chart.locator('text', { hasText: 'softmax' }).count()).toBeGreaterThan(0);
      await page.getByRole('heading').first().hover();
    },
  },
};

describe.each(Object.entries(scenes))('%s', (_name, { hash, prepare }) => {
  test('has no serious accessibility violation in light and dark mode, and fits a screen of 320 px', async () => {
    const page = await open(hash);
    await prepare(page);
    // Evaluated by the debugger, so that the page's policy does not have to allow it.
    await page.evaluate(await (await import('node:fs/promises')).readFile(axe, 'utf8'));
    // All rules once, and those that depend on colours in both modes.
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      // Only what is wrong leaves the page: what is right lists all of its elements.
      const violations: AxeResults['violations'] = await page.evaluate(
        async (options) => (await Reflect.get(globalThis, 'axe').run(document, options)).violations,
        {
          resultTypes: ['violations'],
          ...(colorScheme === 'light' ? {} : { runOnly: ['color-contrast', 'link-in-text-block'] }),
        },
      );
      const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      expect(
        serious.flatMap(({ id, nodes }) =>
          nodes.map(({ html, failureSummary }) => `${colorScheme} ${id}: ${html} ${failureSummary}`),
        ),
      ).toEqual([]);
    }

    // Also that of a window of 1280 px that is zoomed to 400 %.
    await page.setViewportSize({ width: 320, height: 740 });
    const overflow = await page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return { scrollWidth, clientWidth };
    });
    expect(overflow).toEqual({ scrollWidth: 320, clientWidth: 320 });
  });
});

test('with a contrast theme, values that are drawn stay visible, and the current panel is marked', async () => {
  const page = await open('explore', { forcedColors: 'active' });
  await explored(page);
  const colour = (selector: string) =>
    page
      .locator(selector)
      .first()
      .evaluate((node) => getComputedStyle(node).backgroundColor);
  const paper = await colour('body');
  for (const drawn of ['.bar', '.stack > span', '.entry', '.entry.negative', '.signed-bar.negative']) {
    expect(await colour(drawn), drawn).not.toBe(paper);
  }
  expect(await colour('.entry')).not.toBe(await colour('.entry.negative'));
  const outline = (name: string) =>
    page.getByRole('link', { name }).evaluate((link) => getComputedStyle(link).outlineStyle);
  expect([await outline('Explore'), await outline('Doctor')]).toEqual(['solid', 'none']);
});

test('on paper nothing is cut off, and the bars and colours are printed in the colours for white paper', async () => {
  const page = await open(`explore?x=${Array.from({ length: 50 }, (_, k) => k % 7)}`);
  await explored(page);
  const look = () =>
    page.evaluate(() => {
      const { color, printColorAdjust } = getComputedStyle(document.body);
      const hidden = [...document.querySelectorAll('.controls, .bars')].map(
        (box) => box.scrollHeight - box.clientHeight,
      );
      return { color, printColorAdjust, isCut: hidden.some((height) => height > 1) };
    });
  await page.emulateMedia({ colorScheme: 'light' });
  const onScreen = await look();
  expect(onScreen.isCut).toBe(true);
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  expect(await look()).toEqual({ color: onScreen.color, printColorAdjust: 'exact', isCut: false });
  await page.emulateMedia({ media: null });
});

test('the header is one line on a screen of any width from 360 px', async () => {
  const page = await open('explore');
  await explored(page);
  for (const width of [360, 480, 530, 531, 640, 740, 741, 820]) {
    await page.setViewportSize({ width, height: 740 });
    const middles = await page
      .locator('.wordmark, nav a, .copy-link button')
      .evaluateAll((all) => all.map((each) => each.getBoundingClientRect()).map(({ y, height }) => y + height / 2));
    expect(Math.max(...middles) - Math.min(...middles), `${width} px`).toBeLessThan(4);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
  }
});

test('every panel can be reached and used with the keyboard only', async () => {
  const page = await open('explore');
  await explored(page);
  const focused = () =>
    page.evaluate(() => {
      const element = document.activeElement;
      return element?.getAttribute('aria-label') ?? element?.textContent?.trim() ?? '';
    });
  const reach = async (name: string | RegExp, key: 'Tab' | 'Shift+Tab') => {
    for (let k = 0; k < 60; k++) {
      await page.keyboard.press(key);
      const label = await focused();
      if (typeof name === 'string' ? label === name : name.test(label)) return;
    }
    throw new Error(`no ${key} reaches ${name}`);
  };
  const tabTo = (name: string | RegExp) => reach(name, 'Tab');
  const tabBackTo = (name: string | RegExp) => reach(name, 'Shift+Tab');

  await tabTo('logit x₂');
  const before = await page.locator('.bar-value').allTextContents();
  await page.keyboard.press('End');
  await expect.poll(() => page.locator('.bar-value').allTextContents()).not.toEqual(before);
  await tabTo(/^Engine/);
  await page.keyboard.press('Enter');
  await page.getByRole('group', { name: 'Computes on' }).waitFor();
  await tabTo('upstream gradient g₁');
  await page.keyboard.press('ArrowRight');

  await tabBackTo('Doctor');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'What is wrong with this gradient?' }).waitFor();
  await tabTo('the right one');
  await page.keyboard.press('Enter');
  await expect.poll(() => page.locator('.verdict-tag').textContent()).toBe('right');

  await tabBackTo('Conformance');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Run the suite' }).waitFor();
  // The keys of a button are those of the others.
  await tabTo('Run the suite');

  await tabBackTo('Bench');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Which engine is the fastest' }).waitFor();
  await tabTo('Run');
});
