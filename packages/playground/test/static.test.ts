import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeStaticPage } from '../static.mjs';
import { availableBackends, explored, usePlayground } from './playground.js';

const parent = mkdtempSync(join(tmpdir(), 'softgrad-static-'));
afterAll(() => rmSync(parent, { recursive: true }));
const folder = join(parent, 'page');

/** A minimal static host: files by name below its own path, with no header except their type. */
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/octet-stream',
};
const base = '/below/a path/';
const server = createServer(({ url = '' }, response) => {
  const path = decodeURIComponent(new URL(url, 'http://localhost').pathname);
  const file = join(folder, path.startsWith(base) ? path.slice(base.length) || 'index.html' : 'nowhere');
  if (!existsSync(file)) response.writeHead(404).end();
  else
    response
      .writeHead(200, { 'Content-Type': types[extname(file)] ?? 'application/octet-stream' })
      .end(readFileSync(file));
});
let address = '';
beforeAll(async () => {
  await writeStaticPage(folder, { docs: '../?a=1&b="2"' });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  if (typeof bound === 'object' && bound !== null) address = `http://127.0.0.1:${bound.port}${encodeURI(base)}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const { open, takeComplaints } = usePlayground(() => address);

test('from a static host without headers the page computes, on one thread, and says so', async () => {
  const page = await open('explore');
  await explored(page);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
  const footer = await page.locator('footer').textContent();
  expect(footer).toContain('Engines run on one thread here');
  expect(footer).toContain('Cross-Origin-Opener-Policy');
  expect(await page.locator('.engine-device').textContent()).toMatch(/WebAssembly.*1 thread/);
  const docs = page.getByRole('link', { name: 'Documentation' });
  const link = await docs.evaluate((element) => (element instanceof HTMLAnchorElement ? element.href : ''));
  expect(link).toBe(new URL('../?a=1&b=%222%22', address).href);
});

test('everything that it loads is below its own address', async () => {
  const page = await open('conformance');
  const loaded: string[] = [];
  page.on('request', (request) => loaded.push(request.url()));
  await availableBackends(page);
  expect(loaded.filter((url) => !/^(blob|data):/.test(url) && !url.startsWith(address))).toEqual([]);
  const written = readdirSync(join(folder, 'assets')).filter((name) => /\.(css|js)$/.test(name));
  const absolute = ['../index.html', ...written].filter((name) =>
    /(?:src|href)="\/|url\(\/|from"\/|import\("\//.test(readFileSync(join(folder, 'assets', name), 'utf8')),
  );
  expect(absolute).toEqual([]);
  // Engines that this browser cannot run report this on its console as well.
  takeComplaints();
});

test('the doctor reads numbers from the URL', async () => {
  const parameters = new URLSearchParams({ signal: '[[1, 2, 3]]', gradient: '[[0, 0, 0]]' });
  const page = await open(`doctor?${parameters}`);
  await page.locator('.answer .card').first().waitFor();
  expect(await page.getByLabel('logits', { exact: true }).inputValue()).toBe('[[1, 2, 3]]');
});

test('from a file it says why it does not run, and what to do', async () => {
  const page = await open('explore', { locale: 'en', at: pathToFileURL(join(folder, 'index.html')).href });
  const text = await page.locator('.file-url').textContent();
  expect(text).toContain('This page cannot run from a file');
  expect(text).toContain('npx serve');
  // What the browser itself says of the modules.
  expect(takeComplaints().join('\n')).toMatch(/CORS|origin/i);
});

test('a folder with anything else in it is left as it is', async () => {
  const other = join(folder, 'other.txt');
  writeFileSync(other, '');
  await expect(writeStaticPage(folder)).rejects.toThrow(
    /page contains other\.txt: expected a folder that does not exist yet/,
  );
  expect(readFileSync(join(folder, 'index.html'), 'utf8')).toContain('rel="help"');
  await expect(writeStaticPage(parent)).rejects.toThrow(/contains page\/\S+ and \d+ more: expected a folder/);
  await expect(writeStaticPage(join(other, 'page'))).rejects.toThrow(/other\.txt is not a folder; expected a folder/);
  rmSync(other);
});

test('only what was written before is replaced, and the repository of a published page stays', async () => {
  mkdirSync(join(folder, '.git'));
  writeFileSync(join(folder, '.git', 'HEAD'), 'ref');
  writeFileSync(join(folder, 'index.html'), 'changed');
  await writeStaticPage(folder, { docs: 'https://x/?a=$&b' });
  expect(readFileSync(join(folder, 'index.html'), 'utf8')).toContain('href="https://x/?a=$&amp;b"');
  await writeStaticPage(folder);
  expect(readFileSync(join(folder, 'index.html'), 'utf8')).not.toContain('rel="help"');
  expect(readFileSync(join(folder, '.git', 'HEAD'), 'utf8')).toBe('ref');
});

test('a list of files that leads out of the folder is not followed', async () => {
  const [outside, inside] = [join(parent, 'mine.txt'), join(parent, 'listed')];
  mkdirSync(inside);
  writeFileSync(outside, 'mine');
  writeFileSync(join(inside, '.softgrad-page.json'), JSON.stringify(['../mine.txt', '.softgrad-page.json']));
  await writeStaticPage(inside);
  expect(readFileSync(outside, 'utf8')).toBe('mine');
});
