import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { wasm } from '../dist/index.js';
import { lacking } from './lacking.js';

// What a browser changes: relaxed SIMD, workers, and a memory that is shared. Without relaxed SIMD the bits are those of Node.
describe('wasm with relaxed SIMD on 2 threads of Chromium conforms', async () => {
  const cases = await conformance(wasm, { required: true, open: { threads: 2, relaxedSimd: true } });
  for (const { name, run } of sections(cases)) test(name, run);
  test('and lacks nothing but float16 and timing', () => expect(lacking(cases)).toEqual(['has no float16']));
});
