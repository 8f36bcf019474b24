import { conformance, sections } from '@softgrad/core/conformance';
import { describe, test } from 'vitest';
import { webgpu } from '../src/index.js';

describe('webgpu in Chromium', async () => {
  for (const { name, run } of sections(await conformance(webgpu, { required: true }))) test(name, run);
});
