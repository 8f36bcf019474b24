// `pnpm --filter @softgrad/playground screenshots`: takes pictures of every panel of the built page (light, dark and narrow) into screenshots/, which git
// ignores. With the beginning of a picture's name, such as `explore` or `doctor-dark`, only those whose names begin so; with --readme, the two pictures of
// the README, into images/.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { argumentsOf } from '../../../scripts/arguments.mjs';
import { chromiumFlags, ensureChromium } from '../../../scripts/chromium.mjs';
import { startServer } from '../server.mjs';
import { scenes } from './scenes.mjs';

const { values, positionals } = argumentsOf(import.meta.url, {
  options: { readme: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const { readme } = values;
const folder = fileURLToPath(new URL(readme ? '../images/' : '../screenshots/', import.meta.url));
/** Small enough for a README: scaled down, and cropped to the relevant part of the page. */
const inReadme = {
  'explore-light.png': { width: 1280, height: 1150 },
  'doctor-dark.png': { width: 1280, height: 900 },
};
const looks = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 860 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 860 } },
  narrow: { colorScheme: 'light', viewport: { width: 360, height: 740 } },
};

const names = Object.keys(scenes).flatMap((scene) => Object.keys(looks).map((look) => `${scene}-${look}.png`));
const begins = (name) => positionals.length === 0 || positionals.some((start) => name.startsWith(start));
const isWanted = (name) => (readme ? name in inReadme : begins(name));
if (!names.some(isWanted) || (readme && positionals.length > 0)) {
  console.error(
    readme
      ? '--readme takes its two pictures only; expected no name beside it'
      : `No picture's name begins with ${positionals.join(' or ')}; expected the beginning of one of ${Object.keys(scenes).join(', ')}`,
  );
  process.exit(2);
}
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
