// Finds a Chromium for the browser tests, and installs one if there is none.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { aptGet, installation } from './apt.mjs';

/** The packages of Debian that have it, the preferred one first: without windows it starts in a third of the time, and tests of pages take 0.6 of the processor time. */
export const chromiumPackage = 'chromium-headless-shell|chromium';

/** Paths where a Chromium other than Playwright's own may be installed. */
export const chromiumPlaces = [
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];

/** The flags with which WebGL2, WebGPU and SharedArrayBuffer work headless and without a GPU. */
export const chromiumFlags = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  // Draw pages without the software GPU, so that it is free for the computations of tests.
  '--disable-gpu-compositing',
  '--disable-gpu-rasterization',
  // Otherwise ANGLE compiles WebGL pipelines first in parts and then as a whole, which takes twice as long on a software device.
  '--disable-angle-features=supportsGraphicsPipelineLibrary,warmUpPipelineCacheAtLink',
];

/** The path that the environment names, or null. Throws if nothing is there. */
export function namedChromium() {
  const named = process.env.CHROMIUM_PATH;
  if (named && !existsSync(named)) {
    throw new Error(
      `CHROMIUM_PATH is '${named}', and there is no such file: set it to the path of a Chromium, or unset it, and one is found or installed.`,
    );
  }
  return named || null;
}

/** The path of a Chromium on this machine, or null. */
export async function findChromium() {
  const named = namedChromium();
  if (named) return named;
  const installed = chromiumPlaces.find((path) => existsSync(path));
  if (installed) return installed;
  const { chromium } = await import('playwright-core');
  const own = chromium.executablePath();
  return own && existsSync(own) ? own : null;
}

/** Environment variables with which Node runs WebGPU on Chromium's software device; none if the environment already names a driver. */
export async function softwareDevice() {
  if (process.env.VK_DRIVER_FILES) return {};
  const folders = ['/usr/lib/chromium', '/usr/lib/chromium-browser', dirname((await findChromium()) ?? '')];
  const folder = folders.find((candidate) => existsSync(join(candidate, 'vk_swiftshader_icd.json')));
  if (!folder) return {};
  return {
    VK_DRIVER_FILES: join(folder, 'vk_swiftshader_icd.json'),
    LD_LIBRARY_PATH: [folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
  };
}

/** Finds a Chromium, or installs one: with apt if possible, otherwise Playwright's own build. */
export async function ensureChromium() {
  const found = await findChromium();
  if (found) return found;
  const run = (command, args) => spawnSync(command, args, { stdio: 'inherit' }).status === 0;
  console.log('No Chromium found: installing one for the browser tests.');
  const apt = aptGet();
  const byApt = apt !== null && run('sh', ['-c', installation([chromiumPackage], apt)]);
  if (!byApt) run(process.execPath, ['node_modules/playwright-core/cli.js', 'install', 'chromium']);
  const path = await findChromium();
  if (path) return path;
  throw new Error(
    'The browser tests need Chromium: install it (apt-get install chromium, or npx playwright install chromium), or set CHROMIUM_PATH.',
  );
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  ensureChromium().then(console.log, (error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
