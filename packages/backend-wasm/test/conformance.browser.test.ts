import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type LeftOut, select } from '../../../conformance.shared.js';
import { wasm } from '../dist/index.js';
import { lacking } from './lacking.js';

// A browser changes only the workers and the shared memory. The kernels are the same as in Node, where both builds run the whole suite.
const leftOut: readonly LeftOut[] = [
  {
    ids: /^extremes\//,
    cases: 256,
    because: 'the numbers are those of the same kernels in Node; threads.browser.test.ts compares two threads with one',
  },
  {
    ids: /^combinations\//,
    cases: 52,
    because: 'options reach a kernel in the same way on any thread; every kernel is run with its options in Node',
  },
  {
    ids: /^laws\//,
    cases: 1047,
    because: 'laws relate results of kernels that other cases run; Node runs them with both builds',
  },
];

describe('wasm with relaxed SIMD on 2 threads of Chromium conforms', async () => {
  const cases = await conformance(wasm, { required: true, open: { threads: 2, relaxedSimd: true } });
  const chosen = select(cases, leftOut);
  for (const { name, run } of sections(chosen.selected)) test(name, run);
  test('runs all cases except those listed', () => expect(chosen.leftOut).toEqual(leftOut));
  test('lacks only float16 and timing', () => expect(lacking(cases)).toEqual(['has no float16']));
});
