import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { explored, usePlayground } from './playground.js';

const { open, openAnew, url, takeComplaints } = usePlayground();

/** `fetch` sets Host itself; here the test sets it. */
function ask(path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET') {
  const { port, host } = new URL(url);
  return new Promise<{ status: number; headers: Readonly<Record<string, unknown>>; body: string }>(
    (resolve, reject) => {
      request({ host: '127.0.0.1', port, path, method, headers: { host, ...headers } }, (response) => {
        let body = '';
        response.on('data', (chunk) => (body += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      })
        .on('error', reject)
        .end();
    },
  );
}

describe('the server', () => {
  test('isolates the page and allows nothing from elsewhere', async () => {
    const { status, headers, body } = await ask('/');
    expect(status).toBe(200);
    expect(body).toContain('<div id="app">');
    expect(headers['cross-origin-opener-policy']).toBe('same-origin');
    expect(headers['cross-origin-embedder-policy']).toBe('require-corp');
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe-inline|'unsafe-eval'|https?:|\*/);
  });

  test.each([
    ['a foreign Host', { host: 'evil.example' }],
    ['a foreign Host on the right port', { host: 'evil.example:80' }],
    ['a foreign Origin', { origin: 'http://evil.example' }],
    ['an Origin of null', { origin: 'null' }],
  ])('refuses %s', async (_what, headers) => {
    expect((await ask('/', headers)).status).toBe(403);
  });

  test('answers to localhost and to its own Origin', async () => {
    const { port } = new URL(url);
    expect((await ask('/', { host: `localhost:${port}`, origin: `http://localhost:${port}` })).status).toBe(200);
  });

  test.each([
    ['/../package.json', 404],
    ['/%2e%2e/package.json', 404],
    ['/..%2fpackage.json', 404],
    ['/%00', 404],
    ['/%zz', 404],
    ['/assets', 404],
    ['/nothing.js', 404],
  ])('serves nothing outside of its folder: %s', async (path, status) => {
    expect((await ask(path)).status).toBe(status);
  });

  test('takes GET and HEAD only', async () => {
    expect((await ask('/', {}, 'POST')).status).toBe(405);
    expect(await ask('/', {}, 'HEAD')).toMatchObject({ status: 200, body: '' });
  });
});

describe('the page under the policy', () => {
  test('is isolated and cannot evaluate code', async () => {
    const page = await open('explore');
    await explored(page);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    // From a timer, because code that the debugger evaluates may use eval.
    const outcome = await page.evaluate(
      () =>
        new Promise((resolve) => {
          setTimeout(() => {
            try {
              // biome-ignore lint/security/noGlobalEval: the test asserts that it is forbidden
              resolve(globalThis.eval('1 + 1'));
            } catch (error) {
              resolve(error instanceof Error ? error.name : 'thrown');
            }
          });
        }),
    );
    expect(outcome).toBe('EvalError');
    await expect.poll(takeComplaints).toEqual([expect.stringMatching(/^policy: script-src eval/)]);
  });

  test('sends nothing elsewhere', async () => {
    const page = await open('explore');
    await explored(page);
    const sent = await page.evaluate(() =>
      fetch('http://127.0.0.1:9/').then(
        () => 'sent',
        () => 'refused',
      ),
    );
    expect(sent).toBe('refused');
    // The policy's own event and two messages on the console.
    const seen: string[] = [];
    await expect.poll(() => seen.push(...takeComplaints())).toBe(3);
    expect(seen).toContainEqual(expect.stringMatching(/^policy: connect-src http:\/\/127\.0\.0\.1:9/));
  });

  test('loads less than 300 kB of compressed JavaScript at first, and engines on demand', async () => {
    const page = await openAnew('explore');
    await explored(page);
    const scripts = await page.evaluate(() =>
      performance
        .getEntriesByType('resource')
        .map(({ name }) => new URL(name).pathname)
        .filter((path) => path.endsWith('.js')),
    );
    expect(scripts.length).toBeGreaterThan(0);
    // The only engine that Explore loads at first is backend-wasm, with its WebAssembly in a script.
    const compressed = { page: 0, engine: 0 };
    for (const script of scripts) {
      const { body } = await ask(script);
      const isEngine = body.includes('DecompressionStream') || script.includes('.generated');
      compressed[isEngine ? 'engine' : 'page'] += gzipSync(body).length;
    }
    expect(compressed.engine).toBeGreaterThan(0);
    expect(compressed.page).toBeLessThan(50_000);
    expect(compressed.page + compressed.engine).toBeLessThan(300_000);
    // Strings of the engines that minifying keeps: they occur in the build, but must not occur in what was loaded.
    const built = fileURLToPath(new URL('../dist/assets/', import.meta.url));
    const chunks = readdirSync(built).filter((name) => name.endsWith('.js'));
    const loaded = new Set(scripts.map((path) => path.split('/').at(-1)));
    for (const word of ['MathBackendWebGL', 'HeadlessGLKernel', 'ort-wasm-simd', '@compute']) {
      const holders = chunks.filter((name) => readFileSync(join(built, name), 'utf8').includes(word));
      expect(holders.length, word).toBeGreaterThan(0);
      expect(
        holders.filter((name) => loaded.has(name)),
        word,
      ).toEqual([]);
    }
  });
});
