import { conformance } from '@softgrad/core/conformance';
import { describe, test } from 'vitest';
import { webgpu } from '../src/index.js';

describe('webgpu in Node', async () => {
  for (const c of await conformance(webgpu, { required: true })) (c.skip ? test.skip : test)(c.name, c.run);
});
