import { beforeEach, expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/exact.js';
import {
  type Backend,
  crossEntropy,
  logSoftmax,
  logSumExp,
  sigmoid,
  softmax,
  type Tensor,
  tensor,
} from '../src/index.js';

/** Which buffers core asks for as intermediate ones, and what it does with them. */

const right = await exact.open();
const { readSync, view } = right;
let intermediates: Set<unknown>;
let lengths: number[];
let backend: Backend;

/** Refuses what a backend need not be able to do with an intermediate buffer. */
function plainly<A extends readonly [unknown, ...unknown[]], R>(name: string, call: (...args: A) => R) {
  return (...args: A): R => {
    if (intermediates.has(args[0])) throw new Error(`${name} was given an intermediate buffer`);
    return call(...args);
  };
}

beforeEach(() => {
  intermediates = new Set();
  lengths = [];
  backend = delegate(right as Backend, {
    kernels: {},
    alloc(length, dtype, use) {
      const buffer = right.alloc(length, dtype);
      if (use !== undefined) {
        expect([use, dtype]).toEqual(['intermediate', 'float64']);
        intermediates.add(buffer);
        lengths.push(length);
      }
      return buffer;
    },
    free(buffer) {
      intermediates.delete(buffer);
      right.free(buffer as never);
    },
    write: plainly('write', right.write) as Backend['write'],
    read: plainly('read', right.read) as Backend['read'],
    ...(readSync && { readSync: plainly('readSync', readSync) as NonNullable<Backend['readSync']> }),
    ...(view && { view: plainly('view', view) as NonNullable<Backend['view']> }),
  });
});

const mask = [true, false, true, true];
const x = () => tensor([[0.5, -1, 2, 0.25]], { dtype: 'float64', backend });

/** Every derivative, composed. */
const calls: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  'softmax.hvp': (x) => softmax.hvp(softmax(x, { mask }), x, x),
  'softmax.doubleBackward': (x) => softmax.doubleBackward(softmax(x), x, x),
  'softmax.linearize.diagonal': (x) => softmax.linearize(x).diagonal(),
  'logSoftmax.vjp': (x) => logSoftmax.vjp(logSoftmax(x, { mask }), x),
  'logSoftmax.jvp': (x) => logSoftmax.jvp(logSoftmax(x), x),
  'logSoftmax.hvp': (x) => logSoftmax.hvp(logSoftmax(x), x, x),
  'logSoftmax.jacobian': (x) => logSoftmax.jacobian(logSoftmax(x)),
  'logSumExp.jvp': (x) => logSumExp.jvp(x, x),
  'crossEntropy.gradient': (x) => crossEntropy.gradient(x, [3], { labelSmoothing: 0.1 }),
  'crossEntropy.jvp': (x) => crossEntropy.jvp(x, [3], x),
  'sigmoid.hvp': (x) => sigmoid.hvp(sigmoid(x), x, x),
};

test.each(Object.entries(calls))(
  '%s frees what it rounds on its way, and passes it to no other call',
  async (_, call) => {
    const values = await call(x()).data();
    expect(lengths.length).toBeGreaterThan(0);
    expect(intermediates.size).toBe(0);
    expect([...values].every(Number.isFinite)).toBe(true);
  },
);

test('what is only chosen is as exact as its operands, so that kernels get buffers of the dtype', () => {
  const masked = softmax(x(), { mask });
  lengths = [];
  softmax.vjp(masked, x());
  expect(lengths).toEqual([]);
});
