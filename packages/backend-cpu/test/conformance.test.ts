import { conformance, sections, skipReasons } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { cpu } from '../src/index.js';

describe('cpu conforms', async () => {
  const cases = await conformance(cpu, { required: true });
  for (const { name, run } of sections(cases)) test(name, run);

  test('and lacks nothing but float16 and a clock: the other skipped cases are for backends that lack what it has', () => {
    const reasons = Object.keys(skipReasons(cases));
    const lacking = reasons.filter((reason) =>
      /^(has no |has neither |does not announce )| than its limit/.test(reason),
    );
    expect(lacking.sort()).toEqual(['has no float16']);
  });
});
