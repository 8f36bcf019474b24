// `pnpm --filter @softgrad/playground screenshot:static`: writes the built page into a folder as for any static host, serves it with `npx serve`, and takes images/static.png of it there.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { argumentsOf } from '../../../scripts/arguments.mjs';
import { chromiumFlags, ensureChromium } from '../../../scripts/chromium.mjs';
import { writeStaticPage } from '../static.mjs';
import { scenes } from './scenes.mjs';

argumentsOf(import.meta.url);
const picture = fileURLToPath(new URL('../images/static.png', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'softgrad-static-'));
await writeStaticPage(folder);
const server = spawn('npx', ['--yes', 'serve@14.2.7', '--listen', 'tcp://127.0.0.1:0', '--no-clipboard', folder], {
  stdio: ['ignore', 'pipe', 'inherit'],
  detached: true,
});
const browser = await chromium.launch({ executablePath: await ensureChromium(), args: chromiumFlags });
try {
  const address = await addressOf(server);
  const viewport = { width: 1280, height: 1150 };
  const page = await browser.newPage({ viewport, colorScheme: 'light', deviceScaleFactor: 0.75 });
  await page.goto(`${address}#${scenes.explore.hash}`);
  await scenes.explore.prepare(page);
  await page.screenshot({ path: picture });
  console.log(`${picture}, served by npx serve at ${address}: ${(await page.locator('footer').textContent())?.trim()}`);
} finally {
  await browser.close();
  process.kill(-server.pid, 'SIGTERM');
  rmSync(folder, { recursive: true, force: true });
}

/** The address that the server prints when it listens. */
async function addressOf({ stdout }) {
  let printed = '';
  for (;;) {
    const found = /http:\/\/[\w.]+:\d+/.exec(printed);
    if (found) return `${found[0]}/`;
    const [chunk] = await once(stdout, 'data', { signal: AbortSignal.timeout(60_000) });
    printed += chunk;
  }
}
