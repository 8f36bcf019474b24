import { expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { openThreads } from './worker-thread.js';

// The conformance suite tests only what a backend announces, so a regression here would skip cases.
test('the backend announces the same features with any number of threads', async () => {
  const expected = {
    dtypes: ['float32', 'float64'],
    inPlace: true,
    limits: { elements: 65535 * 16384 - 2 ** 20, classes: 2 ** 26 },
    subnormals: 'preserve',
    nonFinite: 'ieee',
    expUlp: { base: 2, slope: 0 },
  };
  const one = await wasm.open({ relaxedSimd: false });
  expect(one.supports).toEqual({ ...expected, device: 'WebAssembly SIMD, 1 thread' });
  const two = await openThreads(2);
  expect(two.supports).toEqual({ ...expected, device: 'WebAssembly SIMD, 2 threads' });
  await two.close();
});
