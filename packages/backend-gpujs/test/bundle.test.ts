import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromiumFlags, findChromium } from '../../../scripts/chromium.mjs';

const types: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript' };
let folder: string;
let server: Server;
let browser: Browser;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'softgrad-gpujs-'));
  const root = fileURLToPath(new URL('page', import.meta.url));
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    build: { outDir: folder, minify: true, emptyOutDir: true },
  });
  server = createServer(async ({ url = '/' }, response) => {
    const { pathname, searchParams } = new URL(url, 'http://localhost');
    const path = pathname === '/' ? '/index.html' : pathname;
    const policy = searchParams.get('policy');
    if (policy) response.setHeader('Content-Security-Policy', policy);
    response.setHeader('Content-Type', types[extname(path)] ?? 'application/octet-stream');
    await readFile(join(folder, path)).then(
      (content) => response.end(content),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  browser = await chromium.launch({ executablePath: (await findChromium()) ?? '', args: [...chromiumFlags] });
});

afterAll(async () => {
  await browser.close();
  server.close();
  await rm(folder, { recursive: true });
});

/** Opens the bundled page, under a Content-Security-Policy if one is given. */
async function opened(policy: string): Promise<Page> {
  const page = await browser.newPage();
  const { port } = server.address() as AddressInfo;
  await page.goto(`http://127.0.0.1:${port}/?policy=${encodeURIComponent(policy)}`);
  await page.waitForFunction('"tried" in globalThis');
  return page;
}

const tried = (page: Page, mode: string): Promise<Record<string, unknown>> => page.evaluate(`tried('${mode}')`);

const close = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 5));

const works = (mode: string) => ({
  name: `gpujs-${mode}`,
  s: close([0.09003057, 0.24472847, 0.66524096]),
  dx: close([0.08192507, -0.02203304, -0.05989202]),
});

describe('a minified production bundle', () => {
  let page: Page;
  beforeAll(async () => {
    page = await opened('');
  });

  // GPU modes are tested below, in the same page under a Content-Security-Policy.
  test.each(['webasm', 'cpu'])('computes in mode %s', async (mode) => {
    expect(await tried(page, mode)).toEqual(works(mode));
  });
});

describe("under a Content-Security-Policy of script-src 'self'", () => {
  let page: Page;
  beforeAll(async () => {
    page = await opened("script-src 'self'");
  });

  // WebGL 1 is not tested: WebGL 2's classes derive from its classes.
  test('mode webgl2 computes', async () => {
    expect(await tried(page, 'webgl2')).toEqual(works('webgl2'));
  });

  test.each([
    ['cpu', /Content-Security-Policy forbids eval.* allow 'unsafe-eval'/],
    ['webasm', /Content-Security-Policy forbids WebAssembly: allow 'wasm-unsafe-eval'/],
  ])('mode %s says what it needs', async (mode, message) => {
    expect(await tried(page, mode)).toEqual({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: expect.stringMatching(message),
    });
  });

  test('auto chooses WebGPU, which needs neither', async () => {
    expect(await tried(page, 'auto')).toEqual(works('webgpu'));
  });
});
