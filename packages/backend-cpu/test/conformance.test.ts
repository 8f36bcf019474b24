import { conformance, sections, skipReasons } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { cpu } from '../src/index.js';

describe('cpu conforms', async () => {
  const cases = await conformance(cpu, { required: true });
  for (const { name, run } of sections(cases)) test(name, run);
  test('and nothing is skipped but what it has no use for', () => expect(skipReasons(cases)).toEqual({}));
});
