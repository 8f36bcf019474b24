import { expect, test } from 'vitest';
import { sourceHash as hashOfSources } from '../scripts/build-kernels.mjs';
import * as relaxed from '../src/relaxed.generated.js';
import * as simd from '../src/simd.generated.js';

// `npm run check` compiles the sources and the worker, and compares; a test would do it a second time.
test('the embedded modules come from the kernels as they are', () => {
  for (const { sourceHash } of [simd, relaxed]) expect(sourceHash).toBe(hashOfSources());
});

test('each module is under 64 KiB', () => {
  for (const { module } of [simd, relaxed]) expect(atob(module).length).toBeLessThan(65536);
});
