import { conformance, sections } from '@softgrad/core/conformance';
import { describe, test } from 'vitest';
import { wasm } from '../dist/index.js';

for (const threads of [1, 2]) {
  for (const relaxedSimd of [false, true]) {
    const kind = relaxedSimd ? 'relaxed SIMD' : 'SIMD';
    describe(`wasm with ${kind} on ${threads} threads of Chromium conforms`, async () => {
      const cases = await conformance(wasm, { required: true, open: { threads, relaxedSimd } });
      for (const { name, run } of sections(cases)) test(name, run);
    });
  }
}
