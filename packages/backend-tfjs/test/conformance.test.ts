import { conformance } from '@softgrad/core/conformance';
import { describe, test } from 'vitest';
import { tfjs } from '../src/index.js';

for (const engine of ['cpu', 'wasm'] as const) {
  describe(`tfjs on engine ${engine} conforms`, async () => {
    const cases = await conformance(tfjs, { required: true, open: { engine } });
    for (const c of cases) (c.skip ? test.skip : test)(c.name, c.run);
  });
}
