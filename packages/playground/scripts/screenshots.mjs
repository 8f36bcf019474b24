// Takes pictures of every panel of the built page, light, dark and narrow, into screenshots/ (which git ignores).
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { chromiumFlags, ensureChromium } from '../../../scripts/chromium.mjs';
import { startServer } from '../server.mjs';
import { scenes } from './scenes.mjs';

const folder = fileURLToPath(new URL('../screenshots/', import.meta.url));
const looks = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 860 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 860 } },
  narrow: { colorScheme: 'light', viewport: { width: 360, height: 740 } },
};

const wanted = process.argv[2] ?? '';
mkdirSync(folder, { recursive: true });
const { url, close } = await startServer();
const browser = await chromium.launch({ executablePath: await ensureChromium(), args: chromiumFlags });
try {
  for (const [scene, { hash, prepare }] of Object.entries(scenes)) {
    for (const [look, options] of Object.entries(looks)) {
      const name = `${scene}-${look}.png`;
      if (!name.startsWith(wanted)) continue;
      const page = await browser.newPage(options);
      await page.goto(`${url}#${hash}`);
      await prepare(page);
      await page.screenshot({ path: join(folder, name), fullPage: true });
      await page.close();
      console.log(join('screenshots', name));
    }
  }
} finally {
  await browser.close();
  await close();
}
