// Pages of consumers' applications in headless Chromium.
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { chromiumFlags, ensureChromium } from '../chromium.mjs';

const types = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** What the page in a folder leaves in `globalThis.result`, cross-origin isolated and without leave to evaluate code. */
export async function resultOfFolder(folder, policy = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:") {
  const headers = {
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Embedder-Policy': 'require-corp',
    'Content-Security-Policy': `default-src 'self'; ${policy}`,
  };
  const server = createServer(({ url = '/' }, response) => {
    const file = join(folder, url === '/' ? 'index.html' : url.split('?')[0]);
    const known = existsSync(file);
    response.writeHead(known ? 200 : 404, { 'Content-Type': types[extname(file)] ?? 'text/plain', ...headers });
    response.end(known ? readFileSync(file) : 'not found');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await resultOfPage(`http://127.0.0.1:${server.address().port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** What the page at an address leaves in `globalThis.result`. */
export async function resultOfPage(address) {
  // Imported here, because this module is loaded before anything is installed.
  const { chromium } = await import('playwright-core');
  const browser = await chromium.launch({ executablePath: await ensureChromium(), args: [...chromiumFlags] });
  try {
    const page = await browser.newPage();
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => complaints.push(message.text()));
    await page.goto(address);
    // The scripts of a framework may run after the page has loaded.
    await page.waitForFunction('globalThis.result !== undefined').catch(() => {
      throw new Error(`the page did not run:\n${complaints.join('\n')}`);
    });
    return await page.evaluate('globalThis.result');
  } finally {
    await browser.close();
  }
}
