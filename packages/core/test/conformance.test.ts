import { describe, test } from 'vitest';
import { conformance, exact } from '../conformance/index.js';

describe('the exact backend conforms', async () => {
  for (const c of await conformance(exact, { required: true })) (c.skip ? test.skip : test)(c.name, c.run);
});
