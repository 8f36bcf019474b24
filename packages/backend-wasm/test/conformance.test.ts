import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { lacking } from './lacking.js';
import { withRelaxedSimd } from './relaxed.js';

// Both builds in one process, so that the expected values of the cases are computed once.
for (const relaxedSimd of [false, true]) {
  describe(`wasm ${relaxedSimd ? 'with' : 'without'} relaxed SIMD on one thread of Node conforms`, async () => {
    const cases = await withRelaxedSimd(() => conformance(wasm, { required: true, open: { relaxedSimd } }));
    for (const { name, run } of sections(cases)) test(name, run);
    test('lacks only float16 and timing', () => expect(lacking(cases)).toEqual(['has no float16']));
  });
}
