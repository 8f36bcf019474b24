import { readFile } from 'node:fs/promises';
import { backends } from '@softgrad/bench/backends';
import { expect, test } from 'vitest';
import { availableBackends, usePlayground } from './playground.js';

const { open } = usePlayground();

const quick = 'ops=softmax&shapes=64x10,16x100&rounds=3';

test('every backend and a peer are timed, drawn, downloaded, and compared with a run from elsewhere', async () => {
  const names = Object.keys(backends);
  const page = await open(`bench?${quick}&backends=`);
  await availableBackends(page);
  for (const name of names) await page.locator(`[data-backend=${name}]`).getByRole('checkbox').check();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  const save = page.getByRole('button', { name: 'Download JSON' });
  await save.waitFor();
  await page.getByRole('img', { name: 'times as fast as naive' }).waitFor();
  const times = page.getByRole('img', { name: 'Time of a call against the number of elements' });
  expect(await times.locator('circle').count()).toBe(2 * (names.length + 1));

  const [download] = await Promise.all([page.waitForEvent('download'), save.click()]);
  const text = await readFile(await download.path(), 'utf8');
  const report = JSON.parse(text);
  expect(report.schema).toBe('softgrad-bench/1');
  expect(report.contenders.map(({ name }: { name: string }) => name)).toEqual([...names, 'naive']);
  expect(report.environment.runtime).toContain('Chrome');
  expect(report.environment.crossOriginIsolated).toBe(true);

  const chooser = page.locator('input[type=file]');
  await chooser.setInputFiles({ name: 'other.json', mimeType: 'application/json', buffer: Buffer.from(text) });
  await page.getByRole('heading', { name: 'A against B' }).waitFor();
  await page.getByRole('img', { name: 'times as fast in A as in B' }).waitFor();
  await chooser.setInputFiles({ name: 'wrong.json', mimeType: 'application/json', buffer: Buffer.from('{}') });
  await page.getByText('wrong.json: no "schema": "softgrad-bench/1"').waitFor();
});

test('a run is cancelled, and nothing chosen is said', async () => {
  const page = await open('bench?ops=softmax&shapes=1024x1000&rounds=99&backends=cpu');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await expect.poll(() => page.getByRole('button', { name: 'Run', exact: true }).isEnabled()).toBe(true);
  expect(await page.locator('.problem').count()).toBe(0);
  await page.getByRole('checkbox', { name: 'softmax', exact: true }).uncheck();
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByText('Nothing to run: choose at least one operation').waitFor();
});
