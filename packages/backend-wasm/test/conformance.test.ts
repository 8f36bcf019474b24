import { setFlagsFromString } from 'node:v8';
import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { hasRelaxedSimd } from '../src/module.js';
import { lacking } from './lacking.js';

// Both in one process, which computes what the cases expect once.
for (const relaxedSimd of [false, true]) {
  describe(`wasm ${relaxedSimd ? 'with' : 'without'} relaxed SIMD on one thread of Node conforms`, async () => {
    const cases = await withRelaxedSimd(() => conformance(wasm, { required: true, open: { relaxedSimd } }));
    for (const { name, run } of sections(cases)) test(name, run);
    test('and lacks nothing but float16 and timing', () => expect(lacking(cases)).toEqual(['has no float16']));
  });
}

/** Node 20 compiles relaxed SIMD by a flag. Modules that were compiled before it is cleared stay as they are. */
async function withRelaxedSimd<T>(open: () => Promise<T>): Promise<T> {
  if (hasRelaxedSimd()) return open();
  setFlagsFromString('--experimental-wasm-relaxed-simd');
  try {
    return await open();
  } finally {
    setFlagsFromString('--no-experimental-wasm-relaxed-simd');
  }
}
