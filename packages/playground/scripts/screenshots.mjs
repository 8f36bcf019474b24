// Takes pictures of every panel of the built page (light, dark and narrow) into screenshots/, which git ignores.
// With the beginning of a name, only the scenes whose names begin so; with --readme, the two pictures of the README, into images/.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { chromiumFlags, ensureChromium } from '../../../scripts/chromium.mjs';
import { startServer } from '../server.mjs';
import { scenes } from './scenes.mjs';

const readme = process.argv[2] === '--readme';
const folder = fileURLToPath(new URL(readme ? '../images/' : '../screenshots/', import.meta.url));
/** Small enough for a README: scaled down, and cropped to the relevant part of the page. */
const inReadme = {
  'explore-light.png': { width: 1280, height: 1075 },
  'doctor-dark.png': { width: 1280, height: 900 },
};
const looks = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 860 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 860 } },
  narrow: { colorScheme: 'light', viewport: { width: 360, height: 740 } },
};

const isWanted = (name) => (readme ? name in inReadme : name.startsWith(process.argv[2] ?? ''));
mkdirSync(folder, { recursive: true });
const { url, close } = await startServer();
const browser = await chromium.launch({ executablePath: await ensureChromium(), args: chromiumFlags });
try {
  for (const [scene, { hash, prepare }] of Object.entries(scenes)) {
    for (const [look, options] of Object.entries(looks)) {
      const name = `${scene}-${look}.png`;
      if (!isWanted(name)) continue;
      const page = await browser.newPage(
        readme ? { ...options, viewport: inReadme[name], deviceScaleFactor: 0.75 } : options,
      );
      await page.goto(`${url}#${hash}`);
      await prepare(page);
      await page.screenshot({ path: join(folder, name), fullPage: !readme });
      await page.close();
      console.log(join(folder, name));
    }
  }
} finally {
  await browser.close();
  await close();
}
