import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { build, type Rolldown } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromiumFlags, findChromium } from '../../../scripts/chromium.mjs';

const entry = fileURLToPath(new URL('../dist/index.js', import.meta.url));

/** The page's program: shows the first probability or the error as the title. */
const program = `
  import { webgpu } from ${JSON.stringify(entry)};
  async function main() {
    const reason = await webgpu.unavailable();
    if (reason) return reason;
    const backend = await webgpu.open();
    const [x, s] = [backend.alloc(3, 'float32'), backend.alloc(3, 'float32')];
    backend.write(x, Float32Array.of(1, 2, 3));
    backend.softmax(s, x, { outer: 1, classes: 3, inner: 1 }, { temperature: 1, mask: null });
    const [first] = await backend.read(s);
    backend.close();
    return first.toFixed(4);
  }
  main().then((text) => (document.title = text), (error) => (document.title = String(error)));`;

describe('bundled for a page without the package webgpu', () => {
  let browser: Browser;
  let script: string;
  beforeAll(async () => {
    script = await bundle();
    const executablePath = await findChromium();
    if (!executablePath) throw new Error('Chromium is missing');
    browser = await chromium.launch({ executablePath, args: [...chromiumFlags] });
  });
  afterAll(() => browser?.close());

  test('it computes under a content security policy without eval', async () => {
    const page = await browser.newPage();
    expect(await titleOf(page, 'https://softgrad.test/', script)).toBe('0.0900');
    await page.close();
  });

  test('in a page without WebGPU, such as an insecure one, it says what to use', async () => {
    const page = await browser.newPage();
    expect(await titleOf(page, 'http://softgrad.test/', script)).toMatch(/^there is no navigator\.gpu: use a browser/);
    await page.close();
  });
});

/** @throws if the bundler tries to resolve the optional package */
async function bundle(): Promise<string> {
  const outputs = await build({
    configFile: false,
    logLevel: 'error',
    build: { write: false, target: 'es2022', rolldownOptions: { input: 'virtual:page' } },
    plugins: [
      {
        name: 'page',
        resolveId(id) {
          if (id === 'webgpu') throw new Error('the bundler tries to resolve webgpu');
          return id === 'virtual:page' ? id : null;
        },
        load: (id) => (id === 'virtual:page' ? program : null),
      },
    ],
  });
  const { output } = outputs as Rolldown.RolldownOutput;
  const [chunk] = output;
  return chunk.code;
}

async function titleOf(page: Page, address: string, script: string): Promise<string> {
  await page.route('**/*', (route) => {
    const isScript = route.request().url().endsWith('.js');
    return route.fulfill({
      contentType: isScript ? 'text/javascript' : 'text/html',
      headers: { 'Content-Security-Policy': "default-src 'none'; script-src 'self'" },
      body: isScript ? script : '<!doctype html><title></title><script type="module" src="/page.js"></script>',
    });
  });
  await page.goto(address);
  // Polled from outside, because a condition evaluated in the page would itself need eval.
  await expect.poll(() => page.title(), { timeout: 20_000 }).not.toBe('');
  return page.title();
}
