// Runs the Bench panel of the built playground in headless Chromium, for docs/performance.md.
import { readFileSync } from 'node:fs';
import { chromiumFlags, ensureChromium } from './chromium.mjs';

/** The report, as text, that 'Download JSON' gives after a run of the state in the address; `onProgress` gets what the panel shows. */
export async function benchInChromium(hash, onProgress) {
  // Imported here, because this module may be loaded before anything is installed.
  const [{ chromium }, { startServer }] = await Promise.all([
    import('playwright-core'),
    import('../packages/playground/server.mjs'),
  ]);
  const { url, close } = await startServer();
  const browser = await chromium.launch({ executablePath: await ensureChromium(), args: [...chromiumFlags] });
  try {
    const page = await browser.newPage({ acceptDownloads: true });
    await page.goto(`${url}#${hash}`);
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    const download = page.getByRole('button', { name: 'Download JSON' });
    const [problem, progress] = [page.locator('.bench .problem'), page.locator('.bench .progress output')];
    while (!(await download.isVisible())) {
      for (const text of await problem.allInnerTexts()) throw new Error(`the Bench panel says: ${text}`);
      for (const label of await progress.allInnerTexts()) onProgress(label);
      await page.waitForTimeout(1000);
    }
    const [file] = await Promise.all([page.waitForEvent('download'), download.click()]);
    return readFileSync(await file.path(), 'utf8');
  } finally {
    await browser.close();
    await close();
  }
}
