import { describe, expect, inject, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import type { ExactBuffer } from '../conformance/exact.js';
import { type BoundCase, conformance, exact, faulty } from '../conformance/index.js';
import { rowIndices } from '../reference/functions.js';
import type { Backend, BackendProvider } from '../src/index.js';

/** The case with this id, as it runs with fused kernels. */
function caseOf(bound: readonly BoundCase[], id: string): BoundCase {
  const [found] = bound.filter((c) => c.id === id);
  if (!found) throw new Error(`no case has the id ${id}`);
  return found;
}

/** What the case says of a false announcement. */
const messages: Readonly<Record<string, string | RegExp>> = {
  'flush-that-is-not-there':
    'supports.subnormals is flush, but float32 results below 2⁻¹²⁶ keep their value: announce preserve',
  'ieee-unannounced': /^supports\.nonFinite is unspecified, and all \d\d+ cases of ieee pass: announce ieee$/,
  'asks-for-too-much': 'expUlp allows exp(−20) an error of 1.2e-2; at most 1e-5 is accepted',
  'slope-of-any-size': 'expUlp allows exp(−20) an error of 2.4e-3; at most 1e-5 is accepted',
  'negative-exp-ulp': 'supports.expUlp must not be negative',
  'unknown-dtype': 'supports.dtypes has bfloat16',
  'no-dtype': 'supports.dtypes is empty',
  'no-device': 'supports.device is empty',
  'no-name': 'the backend has no name',
  unlimited: 'supports is not plain data: it must survive JSON',
  'no-elements': 'supports.limits must be above 0',
  'no-classes': 'supports.limits must be above 0',
  'no-jacobian': 'the backend lacks jacobian (a function)',
  'lost-as-promise': 'the backend lacks lost (a boolean)',
  'always-lost': 'lost is true on a device that works',
  'opens-one-backend':
    'open returned the backend that is open already; expected another one, which is closed by itself',
  'closes-every-backend': 'closed is true after another backend of the provider was closed',
  'closes-once': 'a second close, which must change nothing: it is closed',
  'alloc-gives-nothing': 'alloc returned undefined; expected a buffer (0 float32)',
  'reads-nothing': 'read returns undefined for float32',
  'read-sync-waits':
    'readSync returned a promise; only open, read, sync and close may wait: the other functions enqueue their work, or have their result at once',
  'float16-that-is-float32': 'float16 keeps 1.000244140625, which half precision cannot represent',
  'memory-of-four-bytes': /^memory counts \d+ bytes with 2 buffers of float64; expected at least 160024$/,
  'no-exp-ulp': 'the backend lacks supports.expUlp (an object)',
  'half-a-basis': 'the backend lacks basis.select (a function)',
  'misspelt-kernel':
    /^unknown kernels\.logSoftmaxx, which core never calls: the members of kernels are logSoftmax, logSoftmaxVjp, .*, crossEntropy; helpers belong elsewhere$/,
  'misspelt-verb':
    /^unknown basis\.reduceMax, which core never calls: the members of basis are unary, binary, reduce, select, transpose; helpers belong elsewhere$/,
};

const isUnannounced = /^supports\/(non-finite:declared=unspecified|range:declared=ordinary)$/;

/**
 * One faulty backend for each case, and all whose message is known. In conformance.test.ts a correct backend announces `unspecified` and `ordinary`, where the list of cases has
 * the message: these two cases run all cases of what is not announced.
 */
const onePerCase = faulty.filter(
  ({ name, caughtBy }, k) =>
    !isUnannounced.test(caughtBy) &&
    (name in messages || faulty.findIndex((other) => other.caughtBy === caughtBy) === k),
);

// The right backend passes all of them: conformance.test.ts.
describe('every classic mistake is caught by the case named for it', () => {
  test('names are unique', () => {
    const names = faulty.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(expect.arrayContaining(Object.keys(messages)));
  });

  const selected = inject('everything') ? faulty : onePerCase;

  test('by one for each case, and by those whose message is known', () =>
    expect(selected).toHaveLength(inject('everything') ? 349 : 216));

  test.for(selected)('$name: $caughtBy', async ({ name, caughtBy, provider }) => {
    const bound = caseOf(await conformance(provider, { composed: false }), caughtBy);
    expect(bound.skip).toBeNull();
    const error = await bound.run().then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(Error);
    const message = messages[name];
    if (message === undefined) return;
    expect(error).toMatchObject({ message: typeof message === 'string' ? message : expect.stringMatching(message) });
  });
});

test('a maximum that is not subtracted is named; for other mistakes in the same case it is not', async () => {
  const advice = 'unless the largest logit of the row is subtracted first';
  const messageOf = async (name: string) => {
    const provider = faulty.find((one) => one.name === name)?.provider;
    const bound = caseOf(
      await conformance(provider as BackendProvider),
      'softmax/values:shape=7x5;axis=1;input=shifted',
    );
    return bound.run().then(
      () => 'passed',
      (error: Error) => error.message,
    );
  };
  expect(await messageOf('no-max-shift')).toContain(advice);
  expect(await messageOf('max-from-zero')).toContain(advice);
  expect(await messageOf('uniform')).toMatch(/35 of 35 are wrong$/);
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

test('a vjp of an s that is no softmax may be off by |1 − Σ s| Σ |g| times s, plus rounding, and by no more', async () => {
  const off = (factor: number): BackendProvider => ({
    ...(exact as BackendProvider),
    open: async () => {
      const backend = (await exact.open()) as Backend<ExactBuffer>;
      return delegate(backend, {
        vjp(out, s, g, rows) {
          for (const at of rowIndices(rows)) {
            const sum = (term: (p: number, g: number) => number) =>
              at.reduce((total, i) => Math.fround(total + Math.fround(term(s.data[i] ?? 0, g.data[i] ?? 0))), 0);
            const base = factor * sum((_, g) => Math.abs(g));
            const rest = at.map((i) => Math.fround((g.data[i] ?? 0) - base));
            const mean = at.reduce(
              (total, i, k) => Math.fround(total + Math.fround((s.data[i] ?? 0) * (rest[k] ?? 0))),
              0,
            );
            for (const [k, i] of at.entries()) out.data[i] = (s.data[i] ?? 0) * Math.fround((rest[k] ?? 0) - mean);
          }
        },
      }) as Backend;
    },
  });
  const run = async (factor: number) => caseOf(await conformance(off(factor)), 'vjp/not-a-softmax').run();
  for (const factor of [1, -1, 0.5]) await run(factor);
  for (const factor of [1.0001, -1.0001]) await expect(run(factor)).rejects.toThrow('that is no softmax');
});
