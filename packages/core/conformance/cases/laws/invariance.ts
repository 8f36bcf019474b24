import type { Backend } from '../../../src/index.js';
import { assertClose } from '../../check.js';
import { withoutKernels } from '../../counted.js';
import type { Operation } from '../../operations/operation.js';
import { evaluate, expectation, problemOf } from '../../problem.js';
import { type Law, problemIn, statement, take, withTensors } from './law.js';

/** The effect on a result of adding a constant to all logits. */
const shifts: Readonly<Record<string, 'nothing' | 'adds'>> = {
  softmax: 'nothing',
  softmin: 'nothing',
  logSoftmax: 'nothing',
  logSumExp: 'adds',
  'logSumExp.gradient': 'nothing',
  'crossEntropy.loss': 'nothing',
  'crossEntropy.gradient': 'nothing',
};

/** The result is the same up to rounding over another axis, of shifted logits, and composed. */
export const invarianceLaws: readonly Law[] = [
  { name: 'axis', composable: false, appliesTo: ({ takes }) => takes.includes('axis'), run: axisEqualsTransposed },
  { name: 'shift', composable: true, appliesTo: ({ name }) => name in shifts, run: shift },
  {
    name: 'tempered-shift',
    composable: true,
    // A backend may decline a temperature, and core composes the call if there is a basis.
    requires(operation) {
      const kernel = operation.needs(problemOf({ ...statement, temperature: 3 }));
      return kernel === undefined ? {} : { kernel };
    },
    appliesTo: ({ name }) => shifts[name] === 'nothing',
    run: shiftAtTemperature,
  },
  {
    name: 'fused-equals-composed',
    composable: false,
    requires: () => ({ features: ['kernels', 'basis'] }),
    run: fusedEqualsComposed,
  },
];

/** An operation over axis k equals the one over the last axis of the transposed operands; a negative axis counts from the end. */
async function axisEqualsTransposed(backend: Backend, operation: Operation): Promise<void> {
  const shape = [2, 3, 4];
  const overAxis = (axis: number) => {
    const problem = problemIn(backend, { shape, axis, input: 'spread' });
    const { expected, tolerance } = expectation(backend, operation, problem);
    return withTensors(backend, operation, problem, async (tensors, options) => {
      const negative = axis - shape.length;
      const result = await take(operation.apply(tensors, { ...options, axis: negative }, problem));
      assertClose(`${operation.name} over axis ${negative} of 2x3x4`, result, expected, tolerance);
    });
  };
  await Promise.all([0, 1, 2].map(overAxis));
}

/**
 * softmax(x + c, T) = softmax(x, T): the result for x + c is as accurate as that for x, however large c is, because x + c is exact. An
 * operation whose result moves by c/T has the rounding of that.
 */
async function shiftAtTemperature(backend: Backend, operation: Operation): Promise<void> {
  const plain = problemIn(backend, { shape: [3, 7], temperature: 3 });
  const c = plain.dtype === 'float16' ? 96 : 65536;
  const original = { ...plain, values: plain.values.map((value) => Math.round(value * 8) / 8) };
  const moved = { ...original, values: original.values.map((value) => value + c) };
  const { expected, tolerance } = expectation(backend, operation, original);
  const after = await evaluate(backend, operation, moved);
  assertClose(`${operation.name} of logits + ${c} at temperature 3`, after, expected, tolerance);
}

/** softmax(x + c) = softmax(x), logSumExp(x + c) = logSumExp(x) + c: multiples of 1/8 and c = 96, so that x + c is exact. */
async function shift(backend: Backend, operation: Operation): Promise<void> {
  const plain = problemIn(backend, { shape: [3, 7] });
  const original = { ...plain, values: plain.values.map((value) => Math.round(value * 8) / 8) };
  const moved = { ...original, values: original.values.map((value) => value + 96) };
  const { expected, tolerance } = expectation(backend, operation, moved);
  const [before, after] = await Promise.all([
    evaluate(backend, operation, original),
    evaluate(backend, operation, moved),
  ]);
  const change = shifts[operation.name] === 'adds' ? 96 : 0;
  assertClose(`${operation.name} of logits + 96`, after, expected, tolerance);
  const both = tolerance.length === before.length ? Array.from(tolerance, (value) => 2 * value) : tolerance;
  assertClose(
    `${operation.name} of logits and of logits + 96`,
    after,
    before.map((value) => value + change),
    both,
  );
}

async function fusedEqualsComposed(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend, { shape: [3, 7], input: 'spread' });
  const { tolerance } = expectation(backend, operation, problem);
  const [fused, composed] = await Promise.all([
    evaluate(backend, operation, problem),
    evaluate(withoutKernels(backend), operation, problem),
  ]);
  assertClose(
    `${operation.name}, fused compared with composed`,
    fused,
    composed,
    Array.from(tolerance, (value) => 2 * value),
  );
}
