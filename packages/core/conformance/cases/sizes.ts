import type { FloatDType } from '../../src/index.js';
import { type ConformanceCase, defineKernelCase, dtypeSuffix } from '../case.js';
import { assertClose } from '../check.js';
import { cycledTo } from '../inputs.js';
import { operations } from '../operations/all.js';
import type { Operation } from '../operations/operation.js';
import { callOptions, expectation, problemOf, statedFor, tensorsOf } from '../problem.js';
import { checkEach, integers, sizesFrom } from '../sweep.js';

/** The number of different elements, which repeat. A prime, so that an element in the wrong place is wrong. */
const period = 251;

/** Numbers of elements with every kind of remainder, and more than four for each of the workgroups that a dispatch has in one dimension of a GPU. */
const sizes: readonly (readonly [dtype: FloatDType, sizes: readonly number[]])[] = [
  ['float32', integers(4, 11).flatMap(sizesFrom)],
  ['float64', integers(4, 9).flatMap(sizesFrom)],
  ['float32', [...integers(12, 16).map((k) => 1.5 * 2 ** k + 3), 2 ** 16 + 1, 4 * 65535 + 7]],
];

/** The elementwise functions and their derivatives. */
export const elementwiseSizes: readonly ConformanceCase[] = operations
  .filter(({ family, member }) => ['sigmoid', 'relu'].includes(family) && ['values', 'vjp'].includes(member))
  .flatMap((operation) => sizes.map(([dtype, counts]) => sizesCase(operation, dtype, counts)));

function sizesCase(operation: Operation, dtype: FloatDType, counts: readonly number[]): ConformanceCase {
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const id = `${operation.family}/sizes:member=${operation.member};elements=${least}..${most}${dtypeSuffix(dtype)}`;
  const problem = () => problemOf({ shape: [period], axis: 0, input: 'spread', dtype });
  const kernel = operation.needs(problem());
  return defineKernelCase(id, { dtype, elements: most, ...(kernel !== undefined && { kernel }) }, (backend) => {
    const { expected, tolerance } = expectation(backend, operation, problem());
    const { operands } = statedFor(operation, problem());
    return checkEach(
      counts,
      (count) => `${count} elements`,
      async (count) => {
        const shape = [count];
        const tensors = tensorsOf(
          backend,
          operands.map(({ values }) => ({ values: cycledTo(count, values), shape })),
          problem(),
        );
        const result = operation.apply(tensors, callOptions(operation, problem()), problem());
        try {
          assertClose(operation.name, await result.data(), cycledTo(count, expected), cycledTo(count, tolerance));
        } finally {
          for (const made of [result, ...tensors]) made.dispose();
        }
      },
    );
  });
}
