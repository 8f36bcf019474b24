import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { build, type Rolldown } from 'vite';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { chromiumFlags, findChromium } from '../../../scripts/chromium.mjs';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** GPU engines take the longest to open, and only the first test's policy affects them. In the other tests, `npm run test:all` opens them too. */
const withoutGpu = inject('everything') ? '' : '?without=webgl,webgpu';
const onGpu = inject('everything') ? { webgl: '0.5 0.5', webgpu: '0.5 0.5' } : {};

describe('a page bundled and minified by vite, under a Content-Security-Policy without unsafe-eval', () => {
  let server: Server;
  let browser: Browser;
  let headers: Readonly<Record<string, string>> = {};

  beforeAll(async () => {
    const output = (await build({
      root: fileURLToPath(new URL('./page', import.meta.url)),
      logLevel: 'error',
      build: { write: false, minify: 'esbuild', target: 'es2022', assetsInlineLimit: 0 },
    })) as Rolldown.RolldownOutput;
    const files = new Map(
      output.output.map((file) => [`/${file.fileName}`, file.type === 'chunk' ? file.code : file.source]),
    );
    server = createServer(({ url = '/' }, response) => {
      const { pathname } = new URL(url, 'http://localhost');
      const path = pathname === '/' ? '/index.html' : pathname;
      const body = files.get(path);
      response.writeHead(body === undefined ? 404 : 200, {
        'Content-Type': types[extname(path)] ?? 'text/plain',
        ...headers,
      });
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    browser = await chromium.launch({ executablePath: (await findChromium()) ?? '', args: [...chromiumFlags] });
  });

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  async function resultsUnder(
    policy: string,
    more: Readonly<Record<string, string>> = {},
    query = '',
  ): Promise<unknown> {
    headers = { 'Content-Security-Policy': policy, ...more };
    const page = await browser.newPage();
    try {
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${query}`);
      return await page.evaluate(() => (globalThis as unknown as { results: Promise<unknown> }).results);
    } finally {
      await page.close();
    }
  }

  test('every engine runs if WebAssembly may be compiled, and finds its files without configuration', async () => {
    const half = '0.5 0.5';
    expect(await resultsUnder("script-src 'self' 'wasm-unsafe-eval'")).toEqual({
      webgl: half,
      webgpu: half,
      wasm: half,
      cpu: half,
    });
  });

  test.each([
    ['without blobs: one thread', ''],
    ['with blobs: threads', 'blob:'],
  ])('the same in a cross-origin isolated page, where threads are available, %s', async (_, blobs) => {
    const isolated = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
    const policy = `script-src 'self' 'wasm-unsafe-eval' ${blobs}; worker-src 'self' blob:`;
    expect(await resultsUnder(policy, isolated, withoutGpu)).toEqual({ ...onGpu, wasm: '0.5 0.5', cpu: '0.5 0.5' });
  });

  test('without wasm-unsafe-eval only engine wasm is unavailable, and says what the policy needs', async () => {
    expect(await resultsUnder("script-src 'self'", {}, withoutGpu)).toEqual({
      ...onGpu,
      wasm: expect.stringMatching(/^ERR_BACKEND_UNAVAILABLE .*'wasm-unsafe-eval' in its script-src$/),
      cpu: '0.5 0.5',
    });
  });
});
