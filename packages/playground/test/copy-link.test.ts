import { expect, test } from 'vitest';
import { explored, usePlayground } from './playground.js';

const { open } = usePlayground();
const permissions = ['clipboard-read', 'clipboard-write'];

test('the link to what a panel shows is copied, and screen readers announce it', async () => {
  const page = await open('explore', { permissions });
  await explored(page);
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await page.getByRole('textbox', { name: 'temperature, number' }).fill('2');
  await expect.poll(() => page.url()).toMatch(/t=2$/);
  await page.getByRole('button', { name: 'Copy link' }).click();
  const status = page.locator('.copy-link').getByRole('status');
  await expect.poll(() => status.textContent()).toBe('Link copied.');
  expect(await copied()).toBe(page.url());
  // The confirmation is about the link of that moment.
  await page.getByRole('link', { name: 'Bench' }).click();
  await expect.poll(() => status.textContent()).toBe('');
  await page.getByRole('radio', { name: 'float64' }).check();
  await expect.poll(() => page.url()).toMatch(/#bench\?dtype=float64$/);
  await page.getByRole('button', { name: 'Copy link' }).click();
  await expect.poll(copied).toBe(page.url());

  await page.getByRole('link', { name: 'Doctor' }).click();
  await page.getByRole('textbox', { name: /^logits/ }).fill('1,'.repeat(3000));
  await expect.poll(() => page.url()).toMatch(/signal=too-long/);
  await page.getByRole('button', { name: 'Copy link' }).click();
  await expect.poll(() => status.textContent()).toBe('Link copied. It lacks numbers that are too long for a link.');
});

test('without the clipboard the link is shown, selected, on a phone as well', async () => {
  const page = await open('explore?t=2', { without: 'clipboard', viewport: { width: 360, height: 740 } });
  await explored(page);
  await page.getByRole('button', { name: 'Copy link' }).click();
  const field = page.getByRole('textbox', { name: 'link', exact: true });
  await field.waitFor();
  const selected = await field.evaluate((input: HTMLInputElement) => {
    const { left, right } = input.getBoundingClientRect();
    return {
      text: input.value.slice(input.selectionStart ?? 0, input.selectionEnd ?? 0),
      isFocused: document.activeElement === input,
      isInside: left >= 0 && right <= innerWidth,
    };
  });
  expect(selected).toEqual({ text: page.url(), isFocused: true, isInside: true });
  await page.getByText('The browser refused the clipboard: copy the selected link.').waitFor();
  await page.keyboard.press('Tab');
  await expect.poll(() => field.count()).toBe(0);
});
