import { expect, test } from 'vitest';
import { exact } from '../conformance/exact.js';
import { type Backend, operationsOf } from '../src/index.js';

const opened = await exact.open();
const { basis } = opened;
if (!basis) throw new Error('the exact backend composes');
const kernels: NonNullable<Backend['kernels']> = { logSoftmaxVjp: () => {}, relu: () => {}, crossEntropy: () => {} };

const required = ['softmax', 'softmin'].flatMap((name) => [name, `${name}.vjp`, `${name}.jvp`, `${name}.jacobian`]);
const own = ['logSoftmax.vjp', 'relu', 'crossEntropy'];

/** The functions that a backend computes in one of the three ways. */
function functions(parts: Partial<Backend>, how: string): readonly string[] {
  const found = operationsOf({ ...(opened as Backend), kernels: undefined, basis: undefined, ...parts });
  return Object.keys(found).filter((name) => found[name] === how);
}

test('the required kernels exist in every backend, whatever else it lacks', () => {
  expect(functions({}, 'kernel')).toEqual(required);
  expect(functions({}, 'composed')).toEqual([]);
  expect(functions({}, 'missing')).toEqual(expect.arrayContaining([...own, 'logSumExp.gradient', 'sigmoid.vjp']));
});

test('kernels are distinguished from compositions of the basis', () => {
  expect(functions({ kernels, basis }, 'kernel').toSorted()).toEqual([...required, ...own].toSorted());
  expect(functions({ kernels, basis }, 'missing')).toEqual([]);
  expect(functions({ kernels }, 'composed')).toEqual([]);
  expect(functions({ basis }, 'composed')).toEqual(functions({}, 'missing'));
});
