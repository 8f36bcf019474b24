import { describe, expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/index.js';
import {
  type Backend,
  type CrossEntropyOptions,
  type CrossEntropyTarget,
  crossEntropy,
  empty,
  logSoftmax,
  logSumExp,
  SoftgradError,
  sigmoid,
  softmax,
  type Tensor,
  tensor,
} from '../src/index.js';
import { failure } from './failure.js';
import { openOutOfPlace } from './out-of-place.js';

// A call that fails leaves everything as it was: no tensor is written to, and no buffer remains.

/** A backend on which an allocation can fail, and whose buffers are counted. */
function failing(backend: Backend, overrides: Partial<Backend> = {}) {
  const buffers = new Set<unknown>();
  let left = Number.POSITIVE_INFINITY;
  const counted = delegate(backend, {
    alloc(length, dtype) {
      if (left === 0) throw new SoftgradError('ERR_OUT_OF_MEMORY', 'no memory');
      left--;
      const buffer = backend.alloc(length, dtype);
      buffers.add(buffer);
      return buffer;
    },
    free(buffer) {
      buffers.delete(buffer);
      backend.free(buffer);
    },
    ...overrides,
  });
  return {
    backend: counted,
    buffers,
    /** Calls `action` with memory for this many buffers. */
    withMemoryFor(allocations: number, action: () => unknown): boolean {
      left = allocations;
      try {
        action();
        return true;
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
        return false;
      } finally {
        left = Number.POSITIVE_INFINITY;
      }
    },
  };
}

const open = async (): Promise<Backend> => (await exact.open()) as Backend;

const backends: readonly [string, () => Promise<Backend>, Partial<Backend>][] = [
  ['fused', open, {}],
  ['composed', open, { kernels: {} }],
  ['that does not write in place', openOutOfPlace, {}],
];

const settings: readonly [CrossEntropyOptions, CrossEntropyTarget][] = [
  [{}, [0, 2]],
  [{ reduction: 'none' }, new Float64Array([0.2, 0, 0.8, 0.5, 0, 0.5])],
  [{ weight: [0, 0, 0] }, [0, 2]],
];

describe.each(backends)('whichever allocation of crossEntropy fails, on a backend %s', (_, openAny, overrides) => {
  test.each(settings)('with %o nothing is written, and no buffer remains', async (options, target) => {
    const { backend, buffers, withMemoryFor } = failing(await openAny(), overrides);
    const values = [0.5, -1, 2, 3, 0.25, -2];
    const x = tensor(values, { shape: [2, 3], dtype: 'float64', backend });
    const loss = tensor(options.reduction === 'none' ? [7, 7] : 7, { dtype: 'float64', backend });
    const results: Tensor[] = [];
    let failures = 0;
    // The call writes into x, so it is the last.
    for (const out of [{}, { loss, gradient: x }]) {
      const call = () => results.push(...Object.values(crossEntropy(x, target, { ...options, out })));
      for (let allocations = 0; !withMemoryFor(allocations, call); allocations++) {
        failures++;
        expect([buffers.size, ...x.dataSync(), loss.dataSync()[0]]).toEqual([2 + results.length, ...values, 7]);
      }
    }
    expect(failures).toBeGreaterThan(3);
    for (const one of results) one.dispose();
    expect(buffers.size).toBe(0);
  });
});

test('whichever allocation of crossEntropy without rows fails, no buffer remains', async () => {
  const { backend, buffers, withMemoryFor } = failing(await open());
  const x = empty([0, 3], { backend });
  for (const reduction of ['mean', 'sum', 'none'] as const) {
    let made: readonly Tensor[] = [];
    for (let allocations = 0; made.length === 0; allocations++) {
      withMemoryFor(allocations, () => {
        made = Object.values(crossEntropy(x, [], { reduction }));
      });
      expect(buffers.size).toBe(1 + made.length);
    }
    for (const one of made) one.dispose();
  }
});

test('a gradient that the caller passed as out stays alive if there is no memory for the loss', async () => {
  const { backend, withMemoryFor } = failing(await open());
  const x = empty([0, 3], { backend });
  const gradient = empty([0, 3], { backend });
  let failures = 0;
  // The target is uploaded before.
  for (
    let allocations = 0;
    !withMemoryFor(allocations, () => crossEntropy(x, [], { out: { gradient } }));
    allocations++
  )
    failures++;
  expect([failures > 1, gradient.disposed]).toEqual([true, false]);
});

test('a backend that cannot add losses refuses their sum before the gradient is written', async () => {
  const { basis: _, ...backend } = delegate(await open(), {});
  const x = tensor([1, 2, 3, 4], { shape: [2, 2], dtype: 'float64', backend });
  const [code] = failure(() => crossEntropy(x, [0, 1], { out: { gradient: x } }));
  expect(code).toBe('ERR_UNSUPPORTED');
  expect([...x.dataSync()]).toEqual([1, 2, 3, 4]);
});

test('a function names itself whichever of its allocations fails', async () => {
  const exactly = await open();
  const { backend, withMemoryFor } = failing(exactly, { kernels: {} });
  const x = tensor([[1, 2]], { dtype: 'float64', backend });
  const [s, y] = [softmax(x), sigmoid(x)];
  const mask = [[true, false]];
  const row = [1, 0];
  const linear = logSumExp.linearize(x, { mask });
  const jacobian = '; vjp and jvp multiply by the Jacobian without storing it';
  const calls: readonly (readonly [name: string, call: () => unknown, advice?: string])[] = [
    ['tensor', () => tensor([1], { backend })],
    ['empty', () => empty([1], { backend })],
    ['softmax', () => softmax(x, { mask })],
    ['softmax.vjp', () => softmax.vjp(s, [row])],
    ['softmax.jacobian', () => softmax.jacobian(s), jacobian],
    ['sigmoid.jacobian', () => sigmoid.jacobian(y), jacobian],
    ['softmax.linearize', () => softmax.linearize(x, { mask })],
    ['logSumExp.linearize.vjp', () => linear.vjp([1])],
    ['crossEntropy', () => crossEntropy(x, [0], { mask, weight: row })],
    ['crossEntropy.hvp', () => crossEntropy.hvp(x, [0], 1, [row])],
  ];
  for (const [name, call, advice = ''] of calls) {
    let allocations = 0;
    while (
      !withMemoryFor(allocations, () => {
        try {
          call();
        } catch (error) {
          expect(error).toMatchObject({ message: `${name}: no memory${advice}`, cause: { message: 'no memory' } });
          throw error;
        }
      })
    )
      allocations++;
    expect(allocations).toBeGreaterThan(0);
  }
  // The read of `to` comes before.
  const other = tensor([1], { dtype: 'float64', backend: exactly });
  const noMemory = failing(exactly, {
    alloc() {
      throw new SoftgradError('ERR_OUT_OF_MEMORY', 'no memory');
    },
  });
  await expect(other.to(noMemory.backend)).rejects.toThrow('to: no memory');
});

describe('linearize after a call with its operand as out', () => {
  const make = (backend: Backend) => tensor([1, 2], { dtype: 'float64', backend });

  test('goes on if that ran out of memory', async () => {
    const { backend, withMemoryFor } = failing(await open(), { kernels: {} });
    const x = make(backend);
    const { vjp } = logSumExp.linearize(x);
    expect(withMemoryFor(0, () => logSoftmax(x, { out: x }))).toBe(false);
    expect(await vjp(1).array()).toEqual(await softmax(x).array());
  });

  test('is refused if that lost its device, and may have written a part', async () => {
    const softmaxOfLostDevice = () => {
      throw new SoftgradError('ERR_DEVICE_LOST', 'the result is incomplete');
    };
    const x = make(failing(await open(), { softmax: softmaxOfLostDevice }).backend);
    const { vjp } = logSumExp.linearize(x);
    expect(failure(() => softmax(x, { out: x }))[0]).toBe('ERR_DEVICE_LOST');
    expect(failure(() => vjp(1))).toEqual([
      'ERR_VALUE',
      'logSumExp.linearize.vjp: a call with the logits of logSumExp.linearize as out overwrote its numbers; linearize again',
    ]);
  });
});
