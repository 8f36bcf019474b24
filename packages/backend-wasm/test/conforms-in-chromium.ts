import { conformance, sections } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type LeftOut, testSelection } from '../../../conformance.shared.js';
import { wasm } from '../dist/index.js';
import { lacking } from './lacking.js';

// A browser changes only the workers and the shared memory. The kernels are the same as in Node, where the suite runs with both builds.
// Therefore `npm test` runs one case of each property of the other sections here; threads-in-chromium.ts runs every kernel on two threads.
const leftOut: readonly LeftOut[] = [
  {
    ids: /^extremes\//,
    cases: 288,
    because: 'the numbers are those of the same kernels in Node; threads-in-chromium.ts compares two threads with one',
  },
  {
    ids: /^combinations\//,
    cases: 52,
    because: 'options reach a kernel in the same way on any thread; every kernel is run with its options in Node',
  },
  {
    ids: /^laws\//,
    cases: 1047,
    because: 'laws relate results of kernels that other cases run; Node runs them',
  },
];

/** Kernels that other cases run, with more rows or other rows beside them. */
const leftToAll = /^row-groups\/|many-rows|\/sizes/;

describe('wasm with relaxed SIMD on 2 threads of Chromium conforms', async () => {
  const cases = await conformance(wasm, { required: true, open: { threads: 2, relaxedSimd: true } });
  for (const { name, run } of sections(testSelection(cases, { leftOut, onePerProperty: 132, leftToAll })))
    test(name, run);
  test('lacks only float16 and timing', () => expect(lacking(cases)).toEqual(['has no float16']));
});
