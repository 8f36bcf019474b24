import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import limits from '../../packages/softgrad/.size-limit.js';
import { root } from './snippets.js';

/** The limits of bundles, which `npm run check` holds, in kB. They are at most a few hundred bytes above the sizes. */
const limit = (name: string) => {
  const found = limits.find((entry: { name: string }) => entry.name === name);
  return Number.parseFloat(found?.limit ?? 'NaN');
};
const cpu = limit('tensor, softmax, setBackend, with cpu');
const wasm = limit('the same, with cpu and wasm');
const single = limit('the same, with cpu and wasm for float32 alone');
const wasmOfCore = limit('tensor, softmax, setBackend of core, with wasm');
const singleOfCore = limit('the same, with wasm for float32 alone');

test.each([
  [
    'docs/architecture.md',
    /is ([\d.]+) kB in a bundle \(minified, gzipped\), ([\d.]+) kB with wasm, and ([\d.]+) kB with wasm for/,
    [cpu, wasm, single],
  ],
  [
    'docs/architecture.md',
    /without cpu, it is\s+([\d.]+) kB with wasm, and ([\d.]+) kB for float32 alone/,
    [wasmOfCore, singleOfCore],
  ],
  [
    'packages/softgrad/README.md',
    /cpu are ([\d.]+) kB in a bundle, minified and gzipped, and ([\d.]+) kB with wasm\. .* it loads ([\d.]+) kB/,
    [cpu, wasm, single],
  ],
  [
    'packages/backend-wasm/README.md',
    /then loads ([\d.]+) kB, minified and gzipped, instead of ([\d.]+), or ([\d.]+) instead of ([\d.]+) if/,
    [single, wasm, singleOfCore, wasmOfCore],
  ],
] as const)('%s has the sizes of bundles, to a kilobyte: %s', (file, pattern, expected) => {
  const [, ...stated] = pattern.exec(readFileSync(join(root, file), 'utf8')) ?? [];
  expect(stated).toHaveLength(expected.length);
  for (const [k, size] of expected.entries())
    expect(Math.abs(Number(stated[k]) - size), `${stated[k]} kB`).toBeLessThanOrEqual(1);
});
