import type { BackendProvider } from '@softgrad/core';
import { conformance, sections, skipReasons } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type CpuBuffer, cpu } from '../src/index.js';
import { elementsOf } from '../src/intermediate.js';
import { keptBytes } from '../src/storage.js';

/**
 * cpu with freed buffers full of NaN (integers: 127), because their contents are unspecified when they are used again. What intermediate results are rounded by
 * becomes as large as they were, because NaN there would count as 0. Larger buffers than it keeps are never used again.
 */
const spoiling: BackendProvider<CpuBuffer> = {
  ...cpu,
  open: async () => {
    const backend = await cpu.open();
    const { free } = backend;
    return Object.assign(backend, {
      free(buffer: CpuBuffer) {
        const { high, low } = elementsOf(buffer);
        const isFloat = high instanceof Float32Array || high instanceof Float64Array;
        if (high.byteLength <= keptBytes) {
          low?.set(high);
          high.fill(isFloat ? Number.NaN : 127);
        }
        free(buffer);
      },
    });
  },
};

describe('cpu conforms', async () => {
  const cases = await conformance(spoiling, { required: true });
  for (const { name, run } of sections(cases)) test(name, run);

  test('and lacks nothing but float16 and a clock: the other skipped cases are for backends that lack what it has', () => {
    const reasons = Object.keys(skipReasons(cases));
    const lacking = reasons.filter((reason) =>
      /^(has no |has neither |does not announce )| than its limit/.test(reason),
    );
    expect(lacking.sort()).toEqual(['has no float16']);
  });
});
