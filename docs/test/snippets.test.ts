import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformWithOxc } from 'vite';
import { afterAll, describe, expect, test } from 'vitest';
import { root, snippets } from './snippets.js';

// Inside the package, so that the snippets' imports resolve as a reader's do.
const folder = mkdtempSync(fileURLToPath(new URL('.run-', import.meta.url)));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the code in the documents runs and prints what it says', () => {
  test.each(snippets().map((snippet) => [snippet.place, snippet] as const))('%s', async (_place, { code, printed }) => {
    const file = join(folder, 'snippet.mjs');
    const { code: javascript } = await transformWithOxc(code, 'snippet.ts', { target: 'es2022', sourcemap: false });
    writeFileSync(file, javascript);
    const output = execFileSync(process.execPath, [file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    expect(
      output
        .trimEnd()
        .split('\n')
        .map((line) => line.trimEnd()),
    ).toEqual(printed.length > 0 ? printed : ['']);
  });
});

test('the page about backends shows the files of the template, which the package of core contains', () => {
  const shown = snippets().filter(({ place }) => place.startsWith('docs/write-a-backend.md'));
  const core = join(root, 'packages/core');
  const template = ['backend.ts', 'basis.ts'].map((file) =>
    readFileSync(join(core, 'template', file), 'utf8').trimEnd(),
  );
  expect(shown.map(({ code }) => code)).toEqual(template);
  expect(JSON.parse(readFileSync(join(core, 'package.json'), 'utf8')).files).toContain('template');
});
