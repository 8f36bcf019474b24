import { conformance, sections } from '@softgrad/core/conformance';
import { describe, test } from 'vitest';
import { gpujs } from '../src/index.js';
import { nodeModes } from './node-modes.js';

describe.each(nodeModes)('gpujs in Node, mode %s, conforms', async (mode) => {
  const cases = await conformance(gpujs, { required: true, open: { mode } });
  for (const { name, run } of sections(cases)) test(name, run);
});
