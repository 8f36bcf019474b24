import { conformance } from '@softgrad/core/conformance';
import { describe, test } from 'vitest';
import { gpujs } from '../src/index.js';

describe.each(['webasm', 'cpu'] as const)('gpujs in Node, mode %s, conforms', async (mode) => {
  const cases = await conformance(gpujs, { required: true, open: { mode } });
  for (const c of cases) (c.skip ? test.skip : test)(c.name, c.run);
});
