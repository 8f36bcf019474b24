import { conformance } from '@softgrad/core/conformance';
import { describe, test } from 'vitest';
import { wasm } from '../dist/index.js';

for (const threads of [1, 2]) {
  for (const relaxedSimd of [false, true]) {
    const kind = relaxedSimd ? 'relaxed SIMD' : 'SIMD';
    describe(`wasm with ${kind} on ${threads} threads of Chromium conforms`, async () => {
      for (const c of await conformance(wasm, { required: true, open: { threads, relaxedSimd } })) {
        (c.skip ? test.skip : test)(c.name, c.run);
      }
    });
  }
}
