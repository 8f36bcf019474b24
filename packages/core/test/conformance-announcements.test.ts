import { describe, expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import type { ExactBuffer } from '../conformance/exact.js';
import { cases, conformance, exact, faulty } from '../conformance/index.js';
import { type Backend, SoftgradError } from '../src/index.js';
import { recording } from './recording.js';

/**
 * For everything that a backend announces, the faulty backends that announce it falsely: strengths that are not there, and weaknesses
 * that are none. `null`: a weakness that cannot be told from luck, or that core alone sees to.
 */
const misannounced: Readonly<
  Record<string, { readonly strength: readonly string[]; readonly weakness: readonly string[] | null }>
> = {
  dtypes: {
    strength: [
      'float16-that-is-float32',
      'float64-that-is-float32',
      'computes-float64-in-float32',
      'unknown-dtype',
      'no-dtype',
    ],
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

  test.for([
    [{ elements: 1000, classes: 1024 }, 'vjp/huge-cotangents:axis=1', 'limits buffers to 1000 elements'],
    [{ elements: 4096, classes: 4096 }, 'extremes/softmax-jacobian', 'limits buffers to 4096 elements'],
    [
      { elements: 4096, classes: 4096 },
      'softmax/values:shape=1x65537;axis=1;input=spread',
      'limits rows to 4096 classes',
    ],
    [{ elements: 100, classes: 64 }, 'softmax/lengths:rows=32..1023;classes=3', 'limits buffers to 100 elements'],
    [{ elements: 2 ** 28, classes: 64 }, 'vjp/huge-cotangents:axis=0', 'limits rows to 64 classes'],
    [{ elements: 2 ** 28, classes: 1024 }, 'vjp/huge-cotangents:axis=0', null],
  ] as const)('of small limits is no failure of a case that exceeds them: %j, %s', async ([limits, id, reason]) => {
    const right = (await exact.open()) as Backend;
    const small = delegate(right, { supports: { ...right.supports, limits } });
    const [found] = (await conformance(small, { composed: false })).filter((c) => c.id === id);
    if (found.skip === null) await found.run();
    expect(found.skip ?? found.declined?.() ?? null).toBe(reason);
  });

  test('of a limit of memory that is lower than announced is a failure, whatever the error says', async () => {
    const right = (await exact.open()) as Backend;
    const limits = { elements: 2 ** 16, classes: 2 ** 16 };
    const message = (length: number) => `exact holds at most 100 elements in one buffer; ${length} were asked for`;
    const small = delegate(right, {
      supports: { ...right.supports, limits },
      alloc(length, dtype, use) {
        if (length > 100) throw new SoftgradError('ERR_OUT_OF_MEMORY', message(length));
        return right.alloc(length, dtype, use);
      },
    });
    const cases = await conformance(small, { composed: false });
    for (const id of ['vjp/huge-cotangents:axis=1', 'softmax/lengths:rows=32..1023;classes=3']) {
      const [found] = cases.filter((c) => c.id === id);
      await expect(found.run()).rejects.toThrow('at most 100 elements');
    }
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
