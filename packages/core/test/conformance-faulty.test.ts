import { describe, expect, test } from 'vitest';
import { type BoundCase, conformance, exact, faulty } from '../conformance/index.js';

const right = await conformance(exact);

/** The case with this id, as it runs with fused kernels. */
function caseOf(bound: readonly BoundCase[], id: string): BoundCase {
  const [found] = bound.filter((c) => c.id === id);
  if (!found) throw new Error(`no case has the id ${id}`);
  return found;
}

describe('every classic mistake is caught by the case named for it', () => {
  test('names are unique', () => {
    const names = faulty.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  test.for(faulty)('$name: $caughtBy', async ({ caughtBy, provider }) => {
    const bound = caseOf(await conformance(provider), caughtBy);
    expect(bound.skip).toBeNull();
    await expect(bound.run()).rejects.toThrow();
    if (caughtBy === 'lifecycle/close') return;
    const control = caseOf(right, caughtBy);
    if (control.skip === null) await control.run();
  });
});
