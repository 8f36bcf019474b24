import { type ConformanceReport, cases } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { availableBackends, leavePanel, openItsLink, runUntil, textOf, usePlayground } from './playground.js';

const { open, openAnew } = usePlayground();

test('cases can be chosen by name, pass, and their results can be downloaded as JSON', async () => {
  const page = await open('conformance?backend=wasm');
  const only = page.getByRole('textbox', { name: 'Only cases whose name contains' });
  await only.fill('hardmax');
  await page.getByRole('button', { name: 'Run the suite' }).click();
  await page.getByText("No case has 'hardmax' in its name; a name is like 'wasm: lifecycle/close'.").waitFor();
  expect(await page.getByText('opening the backend').count()).toBe(0);
  const example = await only.getAttribute('placeholder');
  expect(cases.filter(({ id }) => id.includes(`${example}`))).not.toEqual([]);
  await only.fill('log-sum-exp/');
  await expect.poll(() => new URL(page.url()).hash).toBe('#conformance?backend=wasm&only=log-sum-exp%2F');
  await page.getByRole('button', { name: 'Run the suite' }).click();
  const save = page.getByRole('button', { name: 'Download JSON' });
  await save.waitFor();
  expect(await page.locator('.verdict').textContent()).toMatch(/^\d{2,} passed, 0 failed, \d+ do not apply$/);
  const summary = page.locator('.section-cases', { hasText: 'log-sum-exp' }).locator('summary');
  expect(await summary.textContent()).toMatch(/^log-sum-exp \d+ passed, \d+ do not apply$/);
  await page.locator('[data-backend=cpu]').getByRole('radio').check();
  // The results are still those of wasm.
  await page.getByRole('heading', { name: /^wasm: \d{2,} passed/ }).waitFor();
  // The part of cases that do not apply is drawn, too, since an empty part looks as if cases were missing.
  const skipped = page.locator('.share.skipped').first();
  expect(await skipped.evaluate((share) => share.clientWidth)).toBeGreaterThan(0);
  expect(await skipped.evaluate((share) => getComputedStyle(share).backgroundColor)).not.toBe('rgba(0, 0, 0, 0)');
  const [download] = await Promise.all([page.waitForEvent('download'), save.click()]);
  const [report] = JSON.parse(await textOf(download));
  expect(report).toMatchObject({ backend: 'wasm', unavailable: null });
  const sections = report.cases.map(({ section }: { section: string }) => section);
  expect([...new Set(sections)].sort()).toEqual(['lifecycle', 'log-sum-exp']);
  const outcomes = new Set(report.cases.map(({ outcome }: { outcome: string }) => outcome));
  expect([...outcomes].sort()).toEqual(['passed', 'skipped']);
});

// One document for both, in which the engines are loaded again.
test('a failing case is listed by its id, with the expected and the actual result, and a backend that cannot run here is disabled, with the reason', async () => {
  const page = await open('conformance?backend=cpu&only=log-', {
    without: 'gpu',
    before: breakLog1p,
  });
  await runUntil(page, '.cases .failed');
  await page.getByText(/^cancelled after \d+ of \d+ cases$/).waitFor();
  expect(await page.locator('.verdict.bad').textContent()).toMatch(/ passed, [1-9]\d* failed, /);
  const [failure] = await page.locator('.cases .failed').allInnerTexts();
  expect(failure).toMatch(
    /^failed cpu: [a-z-]+\/\w+:\S+=\S+\n.*: element \d+ is \S+, expected \S+, \S+ times the bound of /,
  );

  expect((await availableBackends(page)).get('webgpu')).toBe(false);
  const webgpu = page.locator('[data-backend=webgpu]');
  expect(await webgpu.getByRole('radio').isDisabled()).toBe(true);
  expect(await webgpu.locator('.reason').textContent()).toMatch(/WebGPU/);
  await page.evaluate(() => location.assign('#conformance?backend=webgpu'));
  await expect.poll(() => webgpu.getByRole('radio').isChecked()).toBe(true);
  await page.getByRole('button', { name: 'Run the suite' }).click();
  await page.getByText('1 case', { exact: true }).waitFor();
  await page.getByText(/^webgpu is required and can't run here: .*WebGPU/).waitFor();
});

test('every case is listed by section, filtered by outcome and text, and not drawn before its section is opened', async () => {
  const page = await open('conformance?backend=cpu&only=log-', { before: breakLog1p });
  await page.getByRole('button', { name: 'Run the suite' }).click();
  const save = page.getByRole('button', { name: 'Download JSON' });
  await save.waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), save.click()]);
  const [{ cases: ran }] = JSON.parse(await textOf(download)) as [ConformanceReport];
  const of = (wanted: string) => ran.filter(({ outcome }) => outcome === wanted);
  const list = page.getByRole('region', { name: 'Cases' });
  const listed = list.locator('.cases li');
  const names = () => listed.locator('code').allTextContents();

  // At first those that failed, with the reason.
  const failed = of('failed');
  expect(failed.length).toBeGreaterThan(10);
  expect(await list.getByRole('radio', { name: `failed ${failed.length}` }).isChecked()).toBe(true);
  expect(await listed.evaluateAll((all) => all.every((item) => item.className === 'failed'))).toBe(true);
  expect(await listed.first().locator('.case-reason').textContent()).toBe(failed[0]?.reason);

  await list.getByRole('radio', { name: `all ${ran.length}` }).check();
  await expect.poll(() => listed.count()).toBe(0);
  const summaries = await list.locator('summary').allTextContents();
  expect(summaries.length).toBe(new Set(ran.map(({ section }) => section)).size);
  expect(summaries.map((summary) => / failed/.test(summary))).toEqual(
    summaries.map((_, k) => k < new Set(failed.map(({ section }) => section)).size),
  );
  const section = failed[0]?.section;
  const own = ran.filter((each) => each.section === section);
  await list.locator('summary').first().click();
  await expect.poll(() => listed.count()).toBe(Math.min(100, own.length));
  expect((await names())[0]).toBe(failed[0]?.name);
  await list.getByRole('button', { name: `Show all ${own.length} of ${section}` }).click();
  await expect.poll(async () => (await names()).sort()).toEqual(own.map(({ name }) => name).sort());
  const order = await listed.locator('.outcome').allTextContents();
  expect(order.lastIndexOf('failed')).toBeLessThan(order.findIndex((outcome) => outcome !== 'failed'));

  await list.getByRole('radio', { name: `does not apply ${of('skipped').length}` }).check();
  await expect.poll(() => list.locator('summary .failed, summary .passed').count()).toBe(0);
  const words = 'lifecycle/';
  await list.getByRole('radio', { name: `all ${ran.length}` }).check();
  await list.getByRole('textbox', { name: 'Name or reason contains' }).fill(words);
  await expect.poll(names).toEqual(ran.filter(({ name }) => name.includes(words)).map(({ name }) => name));
  await list.getByText('1 case', { exact: true }).waitFor();
  await list.getByRole('textbox', { name: 'Name or reason contains' }).fill('times the bound');
  const bounds = ran.filter(({ reason }) => reason?.includes('times the bound'));
  await list.getByText(`${bounds.length} cases`, { exact: true }).waitFor();
});

function breakLog1p(): void {
  const log1p = Math.log1p;
  Math.log1p = (x) => 1.01 * log1p(x);
}

test('a run goes on while another panel is shown, and its results stay', async () => {
  const page = await openAnew('conformance?backend=cpu&only=log-');
  const links = () => page.getByRole('navigation').getByRole('link').allTextContents();
  await page.getByRole('button', { name: 'Run the suite' }).click();
  const idle = ['Explore', 'Doctor', 'Conformance', 'Bench'];
  expect(await links()).toEqual(idle);
  await leavePanel(page);
  // Its link says so, also to screen readers.
  await page.getByRole('link', { name: 'Conformance running', exact: true }).waitFor();
  await page.getByRole('heading', { name: 'What is wrong with this gradient?' }).waitFor();
  await expect.poll(links).toEqual(idle);
  await page.getByRole('link', { name: 'Conformance' }).click();
  await page.getByRole('button', { name: 'Download JSON' }).waitFor();
  const verdict = await page.locator('.verdict').textContent();
  expect(verdict).toMatch(/^\d{2,} passed, 0 failed, /);
  await openItsLink(page);
  expect(await page.locator('.verdict').textContent()).toBe(verdict);
});

// An engine that waits for a GPU; the failing case above appears while one runs that computes synchronously. Each engine's own package runs the whole suite on it.
test('on webgpu results appear while the suite runs, until it is cancelled', async () => {
  const page = await open('conformance');
  await page.locator('[data-backend=webgpu]').getByRole('radio').check();
  await page.getByRole('button', { name: 'Run the suite' }).click();
  await page.waitForFunction(
    () => Number(/^\d+/.exec(document.querySelector('.verdict')?.textContent ?? '0')?.[0]) >= 10,
    undefined,
    { polling: 50 },
  );
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText(/^cancelled after \d+ of \d+ cases$/).waitFor();
  expect(await page.locator('.verdict').textContent()).toMatch(/ passed, 0 failed/);
  expect(await page.getByRole('button', { name: 'Run the suite' }).isEnabled()).toBe(true);
});
