import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { transformWithOxc } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root, type Snippet, snippets } from './snippets.js';

// A folder inside the package, so that the imports of snippets resolve as they do for a reader.
const folder = mkdtempSync(fileURLToPath(new URL('.run-', import.meta.url)));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Matches snippets that choose the backend, which would also change it for later snippets. */
const chooses = /\bsetBackend\b/;

const all = snippets();
const outputs = new Map<Snippet, string>();

describe('the code in the documents runs and prints what its comments say', () => {
  beforeAll(async () => {
    const files = new Map<Snippet, string>();
    for (const [k, snippet] of all.entries()) {
      const { code } = await transformWithOxc(snippet.code, 'snippet.ts', { target: 'es2022', sourcemap: false });
      const file = join(folder, `snippet${k}.mjs`);
      writeFileSync(file, code);
      files.set(snippet, file);
    }
    // Run all snippets in one process, so that each engine is loaded once.
    const ordered = all.toSorted((a, b) => Number(chooses.test(a.code)) - Number(chooses.test(b.code)));
    const printed = await outputsOf(ordered.map((snippet) => files.get(snippet) ?? ''));
    for (const [k, snippet] of ordered.entries()) outputs.set(snippet, printed[k] ?? '');
  }, 600_000);

  test.each(all.map((snippet) => [snippet.place, snippet] as const))('%s', (_place, snippet) => {
    const lines = (outputs.get(snippet) ?? '').trimEnd().split('\n');
    const { printed } = snippet;
    expect(lines.map((line) => line.trimEnd())).toEqual(printed.length > 0 ? printed : ['']);
  });
});

/** The output of each file, run in one process. */
async function outputsOf(files: readonly string[]): Promise<readonly string[]> {
  const runner = fileURLToPath(new URL('run-snippets.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [runner, ...files]);
  return JSON.parse(stdout);
}

test('the page about backends shows the files of the template that the package core contains', () => {
  const shown = snippets().filter(({ place }) => place.startsWith('docs/write-a-backend.md'));
  const core = join(root, 'packages/core');
  const template = ['backend.ts', 'basis.ts'].map((file) =>
    readFileSync(join(core, 'template', file), 'utf8').trimEnd(),
  );
  expect(shown.map(({ code }) => code)).toEqual(template);
  expect(JSON.parse(readFileSync(join(core, 'package.json'), 'utf8')).files).toContain('template');
});
