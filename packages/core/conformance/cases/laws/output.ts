import { type Backend, tensor } from '../../../src/index.js';
import { assert, assertSame } from '../../check.js';
import { garbage } from '../../kernel.js';
import type { Operation } from '../../operations/operation.js';
import { evaluate, problemOf, statedFor } from '../../problem.js';
import type { Problem } from '../../statement.js';
import { type Law, problemIn, take, withEachOperand, withTensors } from './law.js';

/** The result is the same wherever it is written, and only `out` is written. */
export const outputLaws: readonly Law[] = [
  { name: 'out-equals-allocated', composable: true, run: outEqualsAllocated },
  { name: 'out-may-be-an-operand', composable: false, run: outMayBeAnOperand },
  {
    name: 'in-place-equals-allocated',
    composable: false,
    requires: () => ({ features: ['inPlace'], classes: 1100 }),
    appliesTo: ({ takes }) => takes.includes('axis'),
    run: inPlaceEqualsAllocated,
  },
  { name: 'operands-unchanged', composable: true, run: operandsUnchanged },
  { name: 'deterministic', composable: true, run: deterministic },
];

/** With `out`, the same bits are written into that tensor, which is returned. */
async function outEqualsAllocated(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend);
  await withTensors(backend, operation, problem, async (tensors, options) => {
    const allocated = operation.apply(tensors, options, problem);
    const { shape, dtype, size } = allocated;
    const out = tensor(garbage(size, dtype), { shape, dtype, backend });
    const result = operation.apply(tensors, { ...options, out }, problem);
    assert(result === out, `${operation.name}: the result is not the tensor given as out`);
    const [expected, actual] = await Promise.all([take(allocated), take(out)]);
    assertSame(`${operation.name} into out`, actual, expected);
  });
}

/** An operand with the result's shape may be `out`, whether or not the backend works in place. */
async function outMayBeAnOperand(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend);
  const expected = await evaluate(backend, operation, problem);
  const shape = await shapeOfResult(backend, operation, problem);
  await withEachOperand(backend, operation, problem, async (out, k, tensors, options) => {
    if (out.shape.join() !== shape.join()) return;
    operation.apply(tensors, { ...options, out }, problem);
    assertSame(`${operation.name} into its operand ${k}`, await out.data(), expected);
  });
}

/** Rows of the lengths at which kernels switch methods, most of them with the largest logit near the end. */
const inPlaceShapes = [
  [2, 2],
  [5, 17],
  [3, 67],
  [2, 300],
  [1, 1100],
] as const;

/** A result that overwrites one of its operands has the same bits as in a tensor of its own. */
async function inPlaceEqualsAllocated(backend: Backend, operation: Operation): Promise<void> {
  const dtypes = backend.supports.dtypes.filter((dtype) => dtype !== 'float16');
  for (const dtype of dtypes) {
    for (const shape of inPlaceShapes) {
      for (const input of ['spread', 'mixed'] as const) {
        const problem = problemOf({ shape, axis: 1, input, dtype });
        const expected = await evaluate(backend, operation, problem);
        if (expected.length !== problem.values.length) return;
        await withEachOperand(backend, operation, problem, async (out, _, tensors, options) => {
          if (out.shape.join() !== shape.join()) return;
          operation.apply(tensors, { ...options, out }, problem);
          assertSame(`${operation.name} of ${shape.join('x')} in place`, await out.data(), expected);
        });
      }
    }
  }
}

async function shapeOfResult(backend: Backend, operation: Operation, problem: Problem): Promise<readonly number[]> {
  let shape: readonly number[] = [];
  await withTensors(backend, operation, problem, async (tensors, options) => {
    const result = operation.apply(tensors, options, problem);
    shape = result.shape;
    result.dispose();
  });
  return shape;
}

async function operandsUnchanged(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend);
  await withTensors(backend, operation, problem, async (tensors, options) => {
    const result = operation.apply(tensors, options, problem);
    const { operands } = statedFor(operation, problem);
    const after = await Promise.all(tensors.map((operand) => operand.data()));
    result.dispose();
    for (const [k, { values }] of operands.entries()) {
      assertSame(`operand ${k} after ${operation.name}`, after[k] ?? [], values);
    }
  });
}

/** Same input, same backend: same bits. */
async function deterministic(backend: Backend, operation: Operation): Promise<void> {
  const problem = problemIn(backend);
  const [first, second] = await Promise.all([
    evaluate(backend, operation, problem),
    evaluate(backend, operation, problem),
  ]);
  assertSame(`${operation.name}, the second time`, second, first);
}
