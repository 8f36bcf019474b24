import { type Backend, crossEntropy, type Tensor, tensor } from '../../src/index.js';
import { type ConformanceCase, defineKernelCase, type Requirements } from '../case.js';
import { assert, assertClose } from '../check.js';
import { cycledTo } from '../inputs.js';
import { garbage } from '../kernel.js';
import { operations } from '../operations/all.js';
import { crossEntropyOperations } from '../operations/cross-entropy.js';
import type { Operand, Operation } from '../operations/operation.js';
import { owning } from '../owning.js';
import { operationPrecision } from '../precision.js';
import { callOptions, expectation, problemOf, statedFor, tensorsOf } from '../problem.js';
import { summation } from '../rounding.js';
import type { Problem } from '../statement.js';
import { count, period } from './many-rows.js';
import { isRowwise } from './trial.js';

const classes = 2;
const dtype = 'float32';

/** Rows one after the other (1), or side by side (0). */
type Axis = 0 | 1;

const shapeOf = (axis: Axis, rows: number) => (axis === 1 ? [rows, classes] : [classes, rows]);

/** One period of the rows. */
const problemOver = (axis: Axis): Problem => problemOf({ shape: shapeOf(axis, period), axis, input: 'spread', dtype });

/** The values of one period as often as there are rows: an entry for each logit, a number for each row, or a matrix for each row. */
function repeated(values: ArrayLike<number>, axis: Axis): Float64Array {
  const perRow = values.length / period;
  if (axis === 1 || perRow !== classes) return cycledTo(perRow * count, values);
  const all = new Float64Array(classes * count);
  const once = Float64Array.from(values);
  for (let c = 0; c < classes; c++) {
    all.set(cycledTo(count, once.subarray(c * period, (c + 1) * period)), c * count);
  }
  return all;
}

/** An operand for all rows. */
function repeatedOperand(operand: Operand, axis: Axis): Operand {
  const values = repeated(operand.values, axis);
  return { ...operand, values, shape: values.length === count ? [count] : shapeOf(axis, count) };
}

/** The functions with a kernel of their own that `manyRows` does not test. */
const oneAfterTheOther = [
  'logSoftmax',
  'logSoftmax.vjp',
  'logSoftmax.jvp',
  'logSoftmax.jacobian',
  'logSumExp',
  'softmax.hvp',
  'logSoftmax.hvp',
  'logSumExp.hvp',
];
/** Functions whose rows side by side a kernel may process in another way. */
const sideBySide = ['softmax', 'softmax.vjp', 'logSoftmax', 'logSumExp'];
const ofCrossEntropy = crossEntropyOperations({ target: 'indices', reduction: 'none', asTensor: true });

/** Operations on more rows than one dispatch has workgroups. */
export const manyRowsOfOperations: readonly ConformanceCase[] = ([1, 0] as const).flatMap((axis) => [
  ...operations
    .filter(({ name }) => (axis === 1 ? oneAfterTheOther : sideBySide).includes(name))
    .map((operation) => operationCase(operation, axis)),
  ...ofCrossEntropy
    .filter(({ member }) => axis === 1 && member === 'gradient')
    .map((operation) => operationCase(operation, axis)),
  manyRowsCase('crossEntropy', axis, { kernel: 'crossEntropy' }, (backend) => assertBoth(backend, axis)),
  ...(axis === 1 ? [manyRowsCase('crossEntropy.loss', axis, { kernel: null }, assertMean)] : []),
]);

function operationCase(operation: Operation, axis: Axis): ConformanceCase {
  const kernel = operation.needs(problemOver(axis));
  const elements = count * classes ** (operation.member === 'jacobian' ? 2 : 1);
  return manyRowsCase(operation.name, axis, { elements, ...(kernel !== undefined && { kernel }) }, (backend) =>
    assertOperation(backend, operation, axis),
  );
}

function manyRowsCase(
  name: string,
  axis: Axis,
  requires: Requirements,
  run: (backend: Backend) => Promise<void>,
): ConformanceCase {
  const id = `row-groups/many:operation=${name};shape=${shapeOf(axis, count).join('x')};axis=${axis}`;
  return defineKernelCase(id, { dtype, elements: count * classes, ...requires }, run);
}

/** What is compared with the rows of one period. */
function expected(backend: Backend, operation: Operation, axis: Axis) {
  const { expected: once, tolerance } = expectation(backend, operation, problemOver(axis));
  return { values: repeated(once, axis), tolerance: repeated(tolerance, axis) };
}

function allOperands(operation: Operation, axis: Axis): readonly Operand[] {
  return statedFor(operation, problemOver(axis)).operands.map((operand) => repeatedOperand(operand, axis));
}

/** A tensor in which an element that is not written is found. */
function unwritten(backend: Backend, shape: readonly number[]): Tensor {
  const length = shape.reduce((a, b) => a * b, 1);
  return tensor(garbage(length, dtype), { shape, dtype, backend });
}

async function assertOperation(backend: Backend, operation: Operation, axis: Axis): Promise<void> {
  const problem = problemOver(axis);
  const { family, member, name } = operation;
  const shape = isRowwise(family, member)
    ? [count]
    : member === 'jacobian'
      ? [count, classes, classes]
      : shapeOf(axis, count);
  await owning(async (own) => {
    const tensors = tensorsOf(backend, allOperands(operation, axis), problem).map(own);
    const out = own(unwritten(backend, shape));
    operation.apply(tensors, { ...callOptions(operation, problem), out }, problem);
    const { values, tolerance } = expected(backend, operation, axis);
    assertClose(name, await out.data(), values, tolerance);
  });
}

/** Operands of cross-entropy, and its loss and gradient. */
function crossEntropyOver(backend: Backend, axis: Axis) {
  const of = (member: 'loss' | 'gradient') => {
    const found = ofCrossEntropy.find((operation) => operation.member === member);
    assert(found !== undefined, `cross-entropy has no ${member}`);
    return { ...expected(backend, found, axis), operands: allOperands(found, axis) };
  };
  const [loss, gradient] = [of('loss'), of('gradient')];
  const tensors = tensorsOf(backend, loss.operands, problemOver(axis));
  const [x, target] = tensors;
  assert(x !== undefined && target !== undefined, 'cross-entropy has no logits or no target');
  return { loss, gradient, x, target };
}

/** The loss and the gradient in one call. */
async function assertBoth(backend: Backend, axis: Axis): Promise<void> {
  const { loss, gradient, x, target } = crossEntropyOver(backend, axis);
  await owning(async (own) => {
    const out = { loss: own(unwritten(backend, [count])), gradient: own(unwritten(backend, shapeOf(axis, count))) };
    crossEntropy(own(x), own(target), { axis, reduction: 'none', out });
    assertClose('the loss', await out.loss.data(), loss.values, loss.tolerance);
    assertClose('the gradient', await out.gradient.data(), gradient.values, gradient.tolerance);
  });
}

/** The mean loss, which is a sum of as many numbers as there are rows. */
async function assertMean(backend: Backend): Promise<void> {
  const { loss, x, target } = crossEntropyOver(backend, 1);
  await owning(async (own) => {
    const mean = own(crossEntropy.loss(own(x), own(target)));
    const average = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / count;
    const value = average(loss.values);
    const { unit } = operationPrecision(backend.supports, dtype);
    const bound = average(loss.tolerance) + unit * (summation(count) + 6) * value;
    assertClose('the mean loss', await mean.data(), [value], [bound]);
  });
}
