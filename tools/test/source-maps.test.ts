import { expect, test } from 'vitest';

// From its URL, because the scripts have no declarations.
const { missingSources } = await import(new URL('../../scripts/source-maps.mjs', import.meta.url).href);

test('every source of a source map is in the package or in the map', () => {
  const files = new Map<string, string>([
    ['p/src/index.ts', ''],
    ['p/dist/right.js.map', JSON.stringify({ sources: ['../src/index.ts'] })],
    ['p/dist/root.js.map', JSON.stringify({ sourceRoot: '../src', sources: ['index.ts'] })],
    ['p/dist/embedded.js.map', JSON.stringify({ sources: ['../gone.ts'], sourcesContent: ['text'] })],
    [
      'p/dist/partly.js.map',
      JSON.stringify({ sources: ['../src/index.ts', '../gone.ts'], sourcesContent: ['text', null] }),
    ],
    ['p/dist/index.js.map', JSON.stringify({ sources: ['src/index.ts'] })],
  ]);
  expect(missingSources([...files.keys()], (file: string) => files.get(file))).toEqual([
    'p/dist/partly.js.map points to ../gone.ts, which the package does not contain',
    'p/dist/index.js.map points to src/index.ts, which the package does not contain',
  ]);
});
