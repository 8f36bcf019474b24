import { describe, expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import type { ExactBuffer } from '../conformance/exact.js';
import { cases, conformance, exact, faulty } from '../conformance/index.js';
import type { Backend } from '../src/index.js';
import { recording } from './recording.js';

/**
 * For everything that a backend announces, the faulty backends that announce it falsely: strengths that are not there, and weaknesses
 * that are none. `null`: a weakness that cannot be told from luck, or that core alone sees to.
 */
const misannounced: Readonly<
  Record<string, { readonly strength: readonly string[]; readonly weakness: readonly string[] | null }>
> = {
  dtypes: {
    strength: ['float64-that-is-float32', 'computes-float64-in-float32', 'unknown-dtype', 'no-dtype'],
    weakness: null,
  },
  inPlace: { strength: ['not-in-place', 'vjp-not-in-place', 'basis-not-in-place'], weakness: null },
  limits: {
    strength: ['limit-of-elements-too-high', 'limit-of-classes-too-high', 'unlimited'],
    weakness: ['no-elements', 'no-classes'],
  },
  device: { strength: ['no-device'], weakness: null },
  subnormals: { strength: ['flushes-undeclared', 'vjp-flushes-undeclared'], weakness: ['flush-that-is-not-there'] },
  nonFinite: { strength: ['swallows-nan', 'basis-without-nan'], weakness: ['ieee-unannounced'] },
  expUlp: {
    strength: ['exp-less-exact-than-announced', 'negative-exp-ulp'],
    weakness: ['asks-for-too-much', 'slope-of-any-size'],
  },
  name: { strength: ['no-name'], weakness: null },
  readSync: { strength: ['read-sync-gives-its-own-memory'], weakness: null },
  view: { strength: ['view-is-a-copy'], weakness: null },
  basis: { strength: ['half-a-basis', 'misspelt-verb'], weakness: null },
  kernels: { strength: ['misspelt-kernel', 'declines-in-silence', 'ignores-its-parameters'], weakness: null },
};

describe('a false announcement', () => {
  test('of every kind, and both ways where both are asserted, is among the faulty backends', async () => {
    const { supports } = await exact.open();
    expect(Object.keys(misannounced)).toEqual(
      expect.arrayContaining([...Object.keys(supports), 'readSync', 'view', 'basis', 'kernels']),
    );
    const names = faulty.map(({ name }) => name);
    for (const { strength, weakness } of Object.values(misannounced)) {
      expect(strength.length).toBeGreaterThan(0);
      expect(names).toEqual(expect.arrayContaining([...strength, ...(weakness ?? [])]));
    }
  });

  test('of no dtype is named by the cases that need one', async () => {
    const right = (await exact.open()) as Backend;
    const [found] = cases.filter(({ id }) => id === 'supports/limits:elements');
    const without = delegate(right, { supports: { ...right.supports, dtypes: [] } });
    await expect(found.run(without)).rejects.toThrow('supports.dtypes of exact is empty');
  });

  test.for([
    [130, [15, 390]],
    [129, [15]],
  ] as const)('of at most %i classes is a limit that rows may have', async ([classes, lengths]) => {
    const right = (await exact.open()) as Backend;
    const { backend, reads } = recording(
      delegate(right, { supports: { ...right.supports, limits: { elements: 2 ** 28, classes } } }),
    );
    const [sums] = cases.filter(({ id }) => id === 'softmax/sums');
    await sums.run(backend);
    expect(reads).toEqual(lengths);
  });

  test('of subnormals that are flushed is right if one of the three kernels flushes them', async () => {
    const right = (await exact.open()) as Backend<ExactBuffer>;
    const flushing =
      <A extends readonly unknown[]>(kernel: (out: ExactBuffer, ...rest: A) => unknown) =>
      (out: ExactBuffer, ...rest: A) => {
        kernel(out, ...rest);
        out.data.set(out.data.map((value) => (Math.abs(value) < 2 ** -126 ? 0 : value)));
      };
    const supports = { ...right.supports, subnormals: 'flush' } as const;
    for (const kernels of [
      { softmax: flushing(right.softmax) },
      { vjp: flushing(right.vjp) },
      { jacobian: flushing(right.jacobian) },
    ]) {
      const cases = await conformance(delegate(right, { supports, ...kernels }) as Backend, { composed: false });
      const [found] = cases.filter(({ id }) => id === 'supports/subnormals:declared=flush');
      expect(found.skip).toBeNull();
      await found.run();
    }
  });
});
