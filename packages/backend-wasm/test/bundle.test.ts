import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { build, type Rolldown } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromiumFlags, findChromium } from '../../../scripts/chromium.mjs';

const types: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript' };
const isolated = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

describe('a page bundled and minified by vite', () => {
  let server: Server;
  let browser: Browser;
  let context: BrowserContext;
  /** Every test loads it afresh: that takes less time than another page. */
  let page: Page;
  let headers: Readonly<Record<string, string>> = {};
  /** The names of the files that a page has loaded, without the hash of their contents. */
  const loaded: string[] = [];
  /** Paths for which the server answers 404. */
  let missing = /^$/;

  beforeAll(async () => {
    const { output } = (await build({
      root: fileURLToPath(new URL('./page', import.meta.url)),
      configFile: false,
      logLevel: 'error',
      build: { write: false, minify: true, target: 'es2022' },
    })) as Rolldown.RolldownOutput;
    const files = new Map(output.map((file) => [`/${file.fileName}`, file.type === 'chunk' ? file.code : file.source]));
    server = createServer(({ url = '/' }, response) => {
      const path = url === '/' ? '/index.html' : url;
      const body = missing.test(path) ? undefined : files.get(path);
      loaded.push(path.replace(/^.*\/|-[\w-]{8}(?=\.js$)/g, ''));
      response.writeHead(body === undefined ? 404 : 200, {
        'Content-Type': types[extname(path)] ?? 'text/plain',
        'Cache-Control': 'no-store',
        ...headers,
      });
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    browser = await chromium.launch({ executablePath: (await findChromium()) ?? '', args: [...chromiumFlags] });
    context = await browser.newContext();
    page = await context.newPage();
  });

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  const address = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

  async function opened(
    threads: number,
    more: Readonly<Record<string, string>>,
    options: { readonly float64?: boolean | undefined; readonly required?: boolean } = {},
  ): Promise<unknown> {
    headers = more;
    loaded.length = 0;
    await page.goto(address());
    await page.waitForFunction('"result" in globalThis');
    return await page.evaluate(`result(${JSON.stringify({ threads, ...options })})`);
  }

  test('computes on one thread without cross-origin isolation, and says why', async () => {
    expect(await opened(2, {})).toEqual({
      device: expect.stringMatching(/^WebAssembly relaxed SIMD, 1 thread \(no SharedArrayBuffer: /),
      right: true,
    });
  });

  test('computes on two threads in a cross-origin isolated page', async () => {
    expect(await opened(2, isolated)).toEqual({ device: 'WebAssembly relaxed SIMD, 2 threads', right: true });
  });

  test.each([
    [1, undefined, 'WebAssembly relaxed SIMD, 1 thread', ['relaxed.generated.js']],
    [1, false, 'WebAssembly relaxed SIMD with float64: false, 1 thread', ['relaxed-float32.generated.js']],
    [
      2,
      false,
      'WebAssembly relaxed SIMD with float64: false, 2 threads',
      ['relaxed-float32.generated.js', 'softgrad-worker.js', 'threading.js'],
    ],
  ])(
    'with %i threads and float64: %s loads only the files that this takes',
    async (threads, float64, device, files) => {
      expect(await opened(threads, isolated, { float64 })).toEqual({ device, right: true });
      expect(loaded.filter((name) => name !== 'favicon.ico').sort()).toEqual(
        ['index.html', 'index.js', ...files].sort(),
      );
    },
  );

  test("needs only 'wasm-unsafe-eval' and 'self' in a Content-Security-Policy", async () => {
    const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";
    const both = { ...isolated, 'Content-Security-Policy': policy };
    expect(await opened(2, both)).toEqual({ device: 'WebAssembly relaxed SIMD, 2 threads', right: true });
  });

  /** Lets the server have no files of this name, for the tests of a `describe`. */
  const withoutFiles = (name: RegExp) => {
    beforeAll(() => {
      missing = name;
    });
    afterAll(() => {
      missing = /^$/;
    });
  };

  describe('without the file of the worker', () => {
    withoutFiles(/worker-/);

    test('starts threads from the source', async () => {
      expect(await opened(2, isolated)).toEqual({ device: 'WebAssembly relaxed SIMD, 2 threads', right: true });
    });

    test('uses one thread if the policy forbids workers from blobs', async () => {
      const policy = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";
      expect(await opened(2, { ...isolated, 'Content-Security-Policy': policy })).toEqual({
        device:
          'WebAssembly relaxed SIMD, 1 thread (from its file: the worker did not load; from a blob: the worker did not load; ' +
          "allow blob: in the policy's worker-src, or serve @softgrad/backend-wasm/worker and pass worker: '/worker.js')",
        right: true,
      });
    });
  });

  describe('without the file that starts threads, as where a page is offline', () => {
    withoutFiles(/threading-/);

    test('uses one thread, and says why', async () => {
      expect(await opened(2, isolated)).toEqual({
        device: expect.stringMatching(
          /^WebAssembly relaxed SIMD, 1 thread \(the code that starts threads did not load: .+\)$/,
        ),
        right: true,
      });
      expect(await opened(1, isolated)).toEqual({ device: 'WebAssembly relaxed SIMD, 1 thread', right: true });
    });

    test('is unavailable if the threads are required', async () => {
      expect(await opened(2, isolated, { required: true })).toEqual({ code: 'ERR_BACKEND_UNAVAILABLE', reason: null });
    });
  });

  describe('without the file of the kernels', () => {
    withoutFiles(/generated-/);

    test('is unavailable', async () => {
      expect(await opened(1, isolated)).toEqual({ code: 'ERR_BACKEND_UNAVAILABLE', reason: null });
    });
  });

  test('uses one thread if the policy forbids workers', async () => {
    const policy = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'";
    expect(await opened(2, { ...isolated, 'Content-Security-Policy': policy })).toEqual({
      device: expect.stringMatching(/^WebAssembly relaxed SIMD, 1 thread \(.+\)$/),
      right: true,
    });
  });

  test('is unavailable if the policy forbids WebAssembly, and says what it needs', async () => {
    expect(await opened(1, { 'Content-Security-Policy': "script-src 'self'" })).toEqual({
      code: 'ERR_BACKEND_UNAVAILABLE',
      reason: expect.stringMatching(/: a Content-Security-Policy must have 'wasm-unsafe-eval' in its script-src; /),
    });
  });

  describe('loaded where engines have none of these', () => {
    const names = ['DecompressionStream', 'Blob', 'WebAssembly'];
    let page: Page;

    beforeAll(async () => {
      headers = {};
      page = await context.newPage();
      await page.addInitScript(`globalThis.removed = {};
        for (const name of ${JSON.stringify(names)}) {
          removed[name] = globalThis[name];
          delete globalThis[name];
        }`);
      await page.goto(address());
      await page.waitForFunction('"result" in globalThis');
    });
    afterAll(() => page?.close());

    test.each(names)('is unavailable if the engine has all but %s, and says so', async (name) => {
      const outcome = await page.evaluate(`(async () => {
        Object.assign(globalThis, removed);
        delete globalThis.${name};
        return result({});
      })()`);
      expect(outcome).toEqual({
        code: 'ERR_BACKEND_UNAVAILABLE',
        reason: expect.stringContaining(`has no ${name}`),
      });
    });
  });
});
