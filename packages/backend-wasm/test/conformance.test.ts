import { conformance } from '@softgrad/core/conformance';
import { describe, test } from 'vitest';
import { wasm } from '../dist/index.js';

for (const threads of [1, 3]) {
  describe(`wasm on ${threads} threads of Node conforms`, async () => {
    for (const c of await conformance(wasm, { required: true, open: { threads, relaxedSimd: false } })) {
      (c.skip ? test.skip : test)(c.name, c.run);
    }
  });
}
