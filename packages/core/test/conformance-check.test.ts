import { describe, expect, test } from 'vitest';
import { assert, assertClose, assertSame, assertThrows, poison, toleranceUsed } from '../conformance/check.js';
import { counted, freeAll, liveBuffers, withoutKernels } from '../conformance/counted.js';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/index.js';
import { plain } from '../conformance/kernel.js';
import { defaultLimitMs, within } from '../conformance/limit.js';
import { kernelNames, unknownFunctions, verbNames } from '../conformance/members.js';
import { missingMembers } from '../conformance/structure.js';
import { type Backend, SoftgradError } from '../src/index.js';

/** The message of the error that `action` throws or rejects with. */
async function messageOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'nothing was thrown';
}

describe('a comparison within bounds', () => {
  test('names the worst element, both values, the bound and how many are wrong', async () => {
    const message = await messageOf(() =>
      assertClose('softmax of 1x4', [0, 1.5, 3, 3.25], [0, 1, 2, 3], [1, 0.25, 0.125, 0.25]),
    );
    expect(message).toBe('softmax of 1x4: element 2 is 3, expected 2, 8.00 times the bound of 0.125; 2 of 4 are wrong');
  });

  test('has three digits of the bound', async () => {
    for (const [bound, shown] of [
      [1.3591225436345551e-5, '0.0000136'],
      [2.802596928649634e-45, '2.8e-45'],
    ] as const) {
      expect(await messageOf(() => assertClose('x', [1], [0], [bound]))).toContain(
        ` times the bound of ${shown}; 1 of 1`,
      );
    }
  });

  test('omits the multiple of the bound if there is none', async () => {
    const message = await messageOf(() => assertClose('x', [Number.NaN, 1], [1, 1], [1, 1]));
    expect(message).toBe('x: element 0 is NaN, expected 1; 1 of 2 are wrong');
    expect(await messageOf(() => assertClose('x', [1], [Number.NaN], [1]))).toBe(
      'x: element 0 is 1, expected NaN; 1 of 1 are wrong',
    );
    expect(await messageOf(() => assertClose('x', [2], [1], [0]))).toBe(
      'x: element 0 is 2, expected 1; 1 of 1 are wrong',
    );
  });

  test('says by which factor all elements are off', async () => {
    const bounds = [1e-8, 1e-8, 1e-8, 1e-8, 1e-8];
    const given = [1, -2, 0, 0.5, Number.NaN];
    const endOf = async (got: readonly number[], expected: readonly number[] = given) =>
      (await messageOf(() => assertClose('vjp', got, expected, bounds))).replace(/^.* are wrong/, '');
    expect(await endOf(given.map((value) => -value))).toBe('; all are -1 times the expected numbers');
    expect(await endOf(given.map((value) => value / 3))).toBe('; all are 0.333 times the expected numbers');
    expect(await endOf([2, -4, 5e-5, 1, Number.NaN])).toBe('; all are 2 times the expected numbers');
    expect(await endOf([2, -4, 1.1e-4, 1, Number.NaN])).toBe('');
    expect(await endOf([2, -4, 0, 1, Number.NaN], [1, -2, 5e-5, 0.5, Number.NaN])).not.toBe('');
    expect(await endOf([2, -4, 0, 1, Number.NaN], [1, -2, 1.1e-4, 0.5, Number.NaN])).toBe('');
    expect(await endOf([2, -4, 0, 1.0006, Number.NaN])).toBe('; all are 2 times the expected numbers');
    expect(await endOf([2, -4, 0, 1.0011, Number.NaN])).toBe('');
    expect(await endOf([2, -4, 0, 1, 3])).toBe('');
    expect(await endOf([2, -4, 0, 0.5, Number.NaN])).toBe('');
    expect(await endOf([0, 0, 0, 0, Number.NaN])).toBe('');
    // Two elements may have a common factor by chance.
    expect(await endOf([2, -4, 0, 0, Number.NaN], [1, -2, 0, 0, Number.NaN])).toBe('');
  });

  test('knows an element that was never written', async () => {
    expect(poison).toBe(-7.25);
    expect(await messageOf(() => assertClose('vjp', [1, -7.25], [1, 0.5], [0.1, 0.1]))).toBe(
      'vjp: element 1 was not written: it still has the initial value −7.25, expected 0.5; 1 of 2 are wrong',
    );
    expect(await messageOf(() => assertSame('vjp', [1, -7.25], [1, 0.5]))).toBe(
      'vjp: element 1 was not written: it still has the initial value −7.25, expected 0.5',
    );
    assertClose('right', [-7.25], [-7.25], [0]);
  });

  test('accepts the bound itself, equal infinities, NaN for NaN and either zero', () => {
    assertClose(
      'x',
      [1.5, Number.POSITIVE_INFINITY, Number.NaN, -0],
      [1, Number.POSITIVE_INFINITY, Number.NaN, 0],
      [0.5, 0, 0, 0],
    );
    assertSame('x', [Number.NaN, -0, 2], [Number.NaN, 0, 2]);
    expect(toleranceUsed(-0, 0, Number.NaN)).toBe(0);
    expect(toleranceUsed(1.25, 1, 0.5)).toBe(0.5);
    expect(toleranceUsed(0.75, 1, 0.5)).toBe(0.5);
    expect(toleranceUsed(1, 2, Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  });

  test('compares lengths first', async () => {
    expect(await messageOf(() => assertClose('x', [1], [1, 2], [1, 1]))).toBe('x: 1 elements, expected 2');
    expect(await messageOf(() => assertSame('x', [1, 2], [1]))).toBe('x: 2 elements, expected 1');
    expect(await messageOf(() => assertSame('x', [1, 3], [1, 2]))).toBe('x: element 1 is 3, expected 2');
  });
});

describe('an expected error', () => {
  test('is one of softgrad with the code', async () => {
    await assertThrows('softmax', 'ERR_AXIS', () => {
      throw new SoftgradError('ERR_AXIS', 'axis 3');
    });
    await assertThrows('softmax', 'ERR_AXIS', () => Promise.reject(new SoftgradError('ERR_AXIS', 'axis 3')));
  });

  test.for<[string, () => unknown, string]>([
    [
      'another code',
      () => Promise.reject(new SoftgradError('ERR_SHAPE', 'no')),
      'softmax: expected ERR_AXIS, got ERR_SHAPE (no)',
    ],
    ['another error', () => Promise.reject(new TypeError('no')), 'softmax: expected ERR_AXIS, got TypeError (no)'],
    ['no error at all', () => Promise.reject('no'), 'softmax: expected ERR_AXIS, got no'],
    ['nothing', () => 1, 'softmax: expected ERR_AXIS, nothing was thrown'],
  ])('and not %s', async ([, action, message]) => {
    expect(await messageOf(() => assertThrows('softmax', 'ERR_AXIS', action))).toBe(message);
  });

  test('has the thrown error as its cause', async () => {
    const thrown = new TypeError('no');
    await expect(assertThrows('x', 'ERR_AXIS', () => Promise.reject(thrown))).rejects.toMatchObject({ cause: thrown });
  });

  test('of an assertion is its message', async () => {
    assert(true, 'never');
    expect(await messageOf(() => assert(false, 'closed is false'))).toBe('closed is false');
  });
});

describe('a delegate', () => {
  /** A backend that records the calls to it. */
  function noting() {
    const calls: unknown[][] = [];
    const backend = { name: 'noting', supports: {}, closed: false, kernels: { relu: () => {} } };
    const names = ['alloc', 'write', 'read', 'readSync', 'view', 'free', 'sync', 'close', 'softmax', 'jacobian', 'vjp'];
    const methods = Object.fromEntries(
      names.map((name) => [
        name,
        function (this: unknown, ...operands: unknown[]) {
          calls.push([name, this === whole, ...operands]);
          return name;
        },
      ]),
    );
    const whole = Object.assign(backend, methods) as unknown as Backend & typeof methods;
    return { calls, whole, names };
  }

  test('passes every call on, with its operands and its result, to the backend itself', () => {
    const { calls, whole, names } = noting();
    const other = delegate(whole, {}) as unknown as Record<string, (...operands: number[]) => unknown>;
    for (const name of names) expect(other[name](1, 2, 3, 4, 5)).toBe(name);
    const taken = {
      alloc: 3,
      write: 2,
      read: 1,
      readSync: 1,
      view: 1,
      free: 1,
      sync: 0,
      close: 0,
      softmax: 4,
      jacobian: 4,
      vjp: 5,
    };
    expect(calls).toEqual(
      Object.entries(taken).map(([name, count]) => [name, true, ...[1, 2, 3, 4, 5].slice(0, count)]),
    );
    expect(other).toMatchObject({ name: 'noting', supports: whole.supports, kernels: whole.kernels, closed: false });
    Object.assign(whole, { closed: true });
    expect(other.closed).toBe(true);
  });

  test('has no optional member that the backend lacks, and every override', () => {
    const { whole } = noting();
    const { readSync: _, view: __, kernels: ___, ...least } = whole;
    const other = delegate(least as Backend, { name: 'other' });
    for (const name of ['readSync', 'view', 'basis', 'kernels']) expect(name in other).toBe(false);
    expect(other.name).toBe('other');
  });
});

describe('an account of buffers', () => {
  test('refuses a buffer that was freed, or given out, twice', async () => {
    const right = (await exact.open()) as Backend;
    const backend = counted(right);
    const buffer = backend.alloc(1, 'float32');
    backend.free(buffer);
    expect(() => backend.free(buffer)).toThrow(/^a buffer was freed twice, or was never allocated here$/);
    const same = counted(delegate(right, { alloc: () => buffer }));
    same.alloc(3, 'float32');
    expect(() => same.alloc(3, 'float32')).toThrow(/^alloc returned a buffer that is still in use \(3 float32\)$/);
  });

  test.each<[string, (backend: Backend) => unknown]>([
    ['alloc', ({ alloc }) => alloc(1, 'float32')],
    ['write', ({ write }) => write({}, Float32Array.of(1))],
    ['softmax', ({ softmax }) => softmax({}, {}, { outer: 1, classes: 1, inner: 1 }, plain)],
    ['jacobian', ({ jacobian }) => jacobian({}, {}, { outer: 1, classes: 1, inner: 1 }, plain)],
    ['vjp', ({ vjp }) => vjp({}, {}, {}, { outer: 1, classes: 1, inner: 1 }, plain)],
    ['basis.unary', ({ basis }) => basis?.unary({}, 'exp', {}, 1)],
    ['kernels.relu', ({ kernels }) => kernels?.relu?.({}, {}, 1)],
  ])('refuses a promise of %s, and ignores its rejection', async (name, call) => {
    const waits = async () => {
      throw new Error('too late');
    };
    const functions = { alloc: waits, write: waits, softmax: waits, jacobian: waits, vjp: waits } as unknown;
    const basis = Object.freeze({ unary: waits }) as unknown;
    const kernels = Object.freeze({ relu: waits }) as unknown;
    const backend = delegate((await exact.open()) as Backend, {
      ...(functions as Partial<Backend>),
      basis: basis as NonNullable<Backend['basis']>,
      kernels: kernels as NonNullable<Backend['kernels']>,
    });
    expect(() => call(counted(backend))).toThrow(
      `${name} returned a promise; only open, read, sync and close may wait: the other functions enqueue their work, or have their result at once`,
    );
  });

  test('is shared with the backend without kernels, and ends when it is closed', async () => {
    const right = (await exact.open()) as Backend;
    const freed: unknown[] = [];
    const backend = counted(delegate(right, { free: (buffer) => void freed.push(buffer) }));
    const composed = withoutKernels(backend);
    expect(composed.kernels).toEqual({});
    const buffer = composed.alloc(2, 'float32');
    expect([liveBuffers(backend), liveBuffers(composed)]).toEqual([1, 1]);
    freeAll(backend);
    expect(freed).toEqual([buffer]);
    expect(liveBuffers(composed)).toBe(0);
    backend.alloc(1, 'float32');
    await backend.close();
    expect(right.closed).toBe(true);
    expect(liveBuffers(backend)).toBe(0);
  });

  test('of a backend that keeps no list is empty', async () => {
    const right = (await exact.open()) as Backend;
    expect(liveBuffers(right)).toBe(0);
    freeAll(right);
    expect(liveBuffers(withoutKernels(right))).toBe(0);
  });
});

describe('members', () => {
  test('are the kernels and verbs that core calls', () => {
    expect(kernelNames).toHaveLength(15);
    expect(verbNames).toEqual(['unary', 'binary', 'reduce', 'select', 'transpose']);
  });

  test('that core never calls are found in objects and instances of classes; data and constructors are not reported', () => {
    class Base {
      helper() {}
    }
    class Derived extends Base {
      readonly size = 3;
      relu() {}
      other = () => {};
    }
    expect([...unknownFunctions(new Derived(), kernelNames)].sort()).toEqual(['helper', 'other']);
    expect(unknownFunctions({ relu() {}, sigmoid: 1 }, kernelNames)).toEqual([]);
    expect(unknownFunctions(Object.create(null), kernelNames)).toEqual([]);
  });

  test('that a backend must have are named with their types', async () => {
    const right = delegate((await exact.open()) as Backend, {});
    expect(missingMembers(right)).toEqual([]);
    expect(missingMembers({} as Backend)).toEqual([
      'name (a string)',
      'closed (a boolean)',
      ...['alloc', 'write', 'read', 'free', 'sync', 'close', 'softmax', 'jacobian', 'vjp'].map(
        (name) => `${name} (a function)`,
      ),
      'supports (an object)',
      'supports.limits (an object)',
      'supports.expUlp (an object)',
    ]);
    const supports = { limits: {}, expUlp: { base: '1', slope: 0 } };
    expect(missingMembers({ ...right, supports, basis: null } as never)).toEqual([
      'supports.dtypes (an array)',
      'supports.inPlace (a boolean)',
      ...['device', 'subnormals', 'nonFinite'].map((name) => `supports.${name} (a string)`),
      'supports.limits.elements (a number)',
      'supports.limits.classes (a number)',
      'supports.expUlp.base (a number)',
      'basis (an object)',
    ]);
  });
});

describe('a limit of time', () => {
  const never = new Promise<never>(() => {});

  test('names the call that did not end, and what to do', async () => {
    expect(await messageOf(() => within('storage/order', 2, never))).toBe(
      'storage/order did not end within 0.002 s: a promise of the backend (open, read, sync, …) never settles, or this device needs a longer limit (timeoutMs; softgrad conformance --timeout SECONDS)',
    );
    expect(defaultLimitMs).toBe(120_000);
  });

  test.for<[unknown, string]>([
    [0, '0'],
    [-1, '-1'],
    [Number.NaN, 'NaN'],
    ['1000', 'the text "1000"'],
  ])('of %j is refused', async ([limit, shown]) => {
    expect(await messageOf(() => within('x', limit as number, Promise.resolve()))).toBe(
      `timeoutMs is ${shown}; expected milliseconds above 0`,
    );
  });

  test.for([1000, 2 ** 31 - 1, 2 ** 31, Number.POSITIVE_INFINITY])(
    'of %d ms passes on what comes in time',
    async (limit) => {
      const later = new Promise<number>((resolve) => setTimeout(() => resolve(3), 5));
      expect(await within('x', limit, later)).toBe(3);
      expect(await messageOf(() => within('x', limit, Promise.reject(new Error('the kernel failed'))))).toBe(
        'the kernel failed',
      );
    },
  );
});
