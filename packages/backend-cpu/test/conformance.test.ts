import { conformance } from '@softgrad/core/conformance';
import { describe, test } from 'vitest';
import { cpu } from '../src/index.js';

describe('cpu conforms', async () => {
  for (const c of await conformance(cpu, { required: true })) (c.skip ? test.skip : test)(c.name, c.run);
});
