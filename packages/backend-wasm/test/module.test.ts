import { expect, test } from 'vitest';
import { sourceHash as hashOfSources } from '../scripts/build-kernels.mjs';
import { relaxed, simd, sourceHash } from '../src/module.generated.js';

// `npm run check` compiles the sources and compares; a test would do it a second time.
test('the embedded modules come from the kernels as they are', () => {
  expect(sourceHash).toBe(hashOfSources());
});

test('each module is under 64 KiB', () => {
  for (const module of [simd, relaxed]) expect(atob(module).length).toBeLessThan(65536);
});
