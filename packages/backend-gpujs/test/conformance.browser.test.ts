import { conformance, sections } from '@softgrad/core/conformance';
import { describe, test } from 'vitest';
import { gpujs } from '../src/index.js';

describe.each(['webgpu', 'webgl2', 'webgl', 'webasm', 'cpu'] as const)(
  'gpujs in Chromium, mode %s, conforms',
  async (mode) => {
    const cases = await conformance(gpujs, { required: true, open: { mode } });
    for (const { name, run } of sections(cases)) test(name, run);
  },
);
