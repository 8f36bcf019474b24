import { expect, test } from 'vitest';
import { staleModules } from '../scripts/build-kernels.mjs';
import * as relaxed from '../src/relaxed.generated.js';
import * as relaxedFloat32 from '../src/relaxed-float32.generated.js';
import * as simd from '../src/simd.generated.js';
import * as simdFloat32 from '../src/simd-float32.generated.js';

const modules = [simd, relaxed, simdFloat32, relaxedFloat32];

// `npm run check` compiles the sources and the worker and compares the results, which a test would only repeat.
test('the embedded modules are built from the present kernels', () => {
  expect(staleModules()).toEqual([]);
});

test('each module is under 64 KiB', () => {
  for (const { module } of modules) expect(atob(module).length).toBeLessThan(65536);
});
