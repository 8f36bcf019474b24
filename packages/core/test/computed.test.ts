import { expect, test } from 'vitest';
import { exact } from '../conformance/exact.js';
import { type Backend, operationsOf } from '../src/index.js';
import { type Definition, directionsOf, type MemberName } from '../src/ops/definition.js';
import { isRequired } from '../src/ops/evaluate.js';
import { definitions } from '../src/ops/table.js';

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

const kernelsOfDefinitions = Object.values<Definition>(definitions).flatMap((definition) =>
  (Object.keys(directionsOf) as MemberName[]).flatMap((member) => {
    const kernel = definition[member]?.kernel;
    return kernel
      ? [{ function: `${definition.name}.${member}`, kernel, directions: directionsOf[member].length }]
      : [];
  }),
);

test.each(kernelsOfDefinitions)('$function calls its kernel, with its operands in their order', (one) => {
  const { kernel, directions } = one;
  const parameters = { rows: { outer: 2, classes: 3, inner: 4 }, temperature: 0.5, mask: null };
  const call = (backend: object) => kernel.call(backend as Backend, parameters, 'out', ['x', 'first', 'second']);
  const calls: unknown[][] = [];
  const recorded = { [kernel.name]: (...given: unknown[]) => void calls.push(given) };
  expect(call(isRequired(kernel.name) ? recorded : { kernels: recorded })).not.toBe(false);
  const ofRows =
    one.function.startsWith('sigmoid') || one.function.startsWith('relu') ? [3] : [parameters.rows, parameters];
  expect(calls).toEqual([['out', ...['x', 'first', 'second'].slice(0, 1 + directions), ...ofRows]]);
  if (!isRequired(kernel.name)) for (const kernels of [undefined, {}]) expect(call({ kernels })).toBe(false);
});
