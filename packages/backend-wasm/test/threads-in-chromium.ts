import { plain } from '@softgrad/core/conformance';
import { expect, inject, test } from 'vitest';
import { wasm } from '../dist/index.js';
import { everyKernel } from './every-kernel.js';
import { compute, logits, sameBits } from './ulp.js';

test('a cross-origin isolated page has threads, whose results have the same bits as those of one thread', async () => {
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
    for (let i = 0; i < 8; i++) {
      const actual = compute(two, [x], (out, input) => two.softmax(out, input, rows, plain));
      expect(sameBits(actual, expected)).toBe(true);
    }
  }
  await two.close();
});

/** A browser changes how threads start and wait, for either dtype: `npm test` computes in float64 on two threads in the suite alone. */
const dtypes = inject('everything') ? (['float32', 'float64'] as const) : (['float32'] as const);

test.each(dtypes)('%s results of every kernel are the same bits on one thread and on two', async (dtype) => {
  const one = await wasm.open();
  const two = await wasm.open({ threads: 2 });
  for (const rows of [
    { outer: 7003, classes: 10, inner: 1 },
    { outer: 5, classes: 67, inner: 211 },
    { outer: 117, classes: 600, inner: 1 },
  ]) {
    const expected = everyKernel(one, dtype, rows);
    const same = everyKernel(two, dtype, rows).map((actual, i) => sameBits(actual, expected[i]));
    expect({ rows, different: same.flatMap((is, kernel) => (is ? [] : [kernel])) }).toEqual({ rows, different: [] });
  }
  await two.close();
});
