import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { lacking } from './lacking.js';

describe('wasm on one thread of Node conforms', async () => {
  const cases = await conformance(wasm, { required: true, open: { relaxedSimd: false } });
  for (const { name, run } of sections(cases)) test(name, run);
  test('and lacks nothing but float16 and timing', () => expect(lacking(cases)).toEqual(['has no float16']));
});
