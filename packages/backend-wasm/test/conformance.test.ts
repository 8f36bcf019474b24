import { setFlagsFromString } from 'node:v8';
import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { hasFusedMultiplyAdd } from '../src/module.js';
import { lacking } from './lacking.js';

// Both builds in one process, so that the expected values of the cases are computed once.
for (const relaxedSimd of [false, true]) {
  describe(`wasm ${relaxedSimd ? 'with' : 'without'} relaxed SIMD on one thread of Node conforms`, async () => {
    const cases = await withRelaxedSimd(() => conformance(wasm, { required: true, open: { relaxedSimd } }));
    for (const { name, run } of sections(cases)) test(name, run);
    test('lacks only float16 and timing', () => expect(lacking(cases)).toEqual(['has no float16']));
  });
}

/** Node 20 needs a flag to compile relaxed SIMD. Modules that are already compiled keep working after the flag is cleared. */
async function withRelaxedSimd<T>(open: () => Promise<T>): Promise<T> {
  if (hasFusedMultiplyAdd()) return open();
  setFlagsFromString('--experimental-wasm-relaxed-simd');
  try {
    return await open();
  } finally {
    setFlagsFromString('--no-experimental-wasm-relaxed-simd');
  }
}
