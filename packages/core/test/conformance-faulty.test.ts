import { describe, expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import { type BoundCase, conformance, exact, faulty } from '../conformance/index.js';
import type { Backend, BackendProvider } from '../src/index.js';

/** The case with this id, as it runs with fused kernels. */
function caseOf(bound: readonly BoundCase[], id: string): BoundCase {
  const [found] = bound.filter((c) => c.id === id);
  if (!found) throw new Error(`no case has the id ${id}`);
  return found;
}

// The right backend passes all of them: conformance.test.ts.
describe('every classic mistake is caught by the case named for it', () => {
  test('names are unique', () => {
    const names = faulty.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  test.for(faulty)('$name: $caughtBy', async ({ caughtBy, provider }) => {
    const bound = caseOf(await conformance(provider, { composed: false }), caughtBy);
    expect(bound.skip).toBeNull();
    await expect(bound.run()).rejects.toThrow();
  });
});

test('an element that a kernel forgot is not called a wrong value', async () => {
  const forgetful: BackendProvider = {
    ...(exact as BackendProvider),
    open: async () => delegate((await exact.open()) as Backend, { softmax: () => {} }),
  };
  const bound = caseOf(await conformance(forgetful), 'softmax/values:shape=7x5;axis=0;input=wide');
  await expect(bound.run()).rejects.toThrow(
    /: element \d+ was not written: it still has the initial value −7\.25, expected \S+; 35 of 35 are wrong$/,
  );
});
