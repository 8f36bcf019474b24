import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { testSelection } from '../../../conformance.shared.js';
import { wasm } from '../src/index.js';
import { lacking } from './lacking.js';
import { withRelaxedSimd } from './relaxed.js';

// Both builds in one process, so that the expected values of the cases are computed once. What core composes is the same with either build: that the primitives
// of relaxed SIMD are right is what the cases about the basis show.
for (const relaxedSimd of [false, true]) {
  const composed = !relaxedSimd || inject('everything');
  describe(`wasm ${relaxedSimd ? 'with' : 'without'} relaxed SIMD on one thread of Node conforms`, async () => {
    const cases = await withRelaxedSimd(() => conformance(wasm, { required: true, composed, open: { relaxedSimd } }));
    const selection = composed ? { composedCases: 97 } : { covering: 576 };
    for (const { name, run } of sections(testSelection(cases, selection))) test(name, run);
    test('lacks only float16 and timing', () => expect(lacking(cases)).toEqual(['has no float16']));
  });
}
