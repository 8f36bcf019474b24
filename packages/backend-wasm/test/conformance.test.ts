import { conformance, sections } from '@softgrad/core/conformance';
import { describe, test } from 'vitest';
import { wasm } from '../dist/index.js';

for (const threads of [1, 3]) {
  describe(`wasm on ${threads} threads of Node conforms`, async () => {
    const cases = await conformance(wasm, { required: true, open: { threads, relaxedSimd: false } });
    for (const { name, run } of sections(cases)) test(name, run);
  });
}
