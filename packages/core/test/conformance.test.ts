import { describe, test } from 'vitest';
import { conformance, exact, sections } from '../conformance/index.js';

describe('the exact backend conforms', async () => {
  for (const { name, run } of sections(await conformance(exact, { required: true }))) test(name, run);
});
