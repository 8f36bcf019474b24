import { plain } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { wasm } from '../dist/index.js';
import { compute, logits, sameBits } from './ulp.js';

test('a cross-origin isolated page has threads, whose results are the bits of one', async () => {
  const one = await wasm.open();
  const two = await wasm.open({ threads: 2 });
  expect(two.supports.device).toBe('WebAssembly relaxed SIMD, 2 threads');
  for (const [outer, classes] of [
    [50_001, 3],
    [700, 600],
    [19, 9001],
  ]) {
    const rows = { outer, classes, inner: 1 };
    const x = logits('float32', outer * classes, 30, 0, 3);
    const expected = compute(one, [x], (out, input) => one.softmax(out, input, rows, plain));
    for (let i = 0; i < 20; i++) {
      const actual = compute(two, [x], (out, input) => two.softmax(out, input, rows, plain));
      expect(sameBits(actual, expected)).toBe(true);
    }
  }
  await two.close();
});
