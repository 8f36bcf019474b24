import { logSoftmaxJacobian, rowIndices, rowValues, type Values } from '../../reference/functions.js';
import { type Backend, type FloatDType, logSoftmax, tensor } from '../../src/index.js';
import { type ConformanceCase, defineCase, dtypeOnly, dtypeSuffix } from '../case.js';
import { assertClose } from '../check.js';
import { layout } from '../inputs.js';
import { operations } from '../operations/all.js';
import { type CrossEntropySetting, crossEntropyOperations, settingParameters } from '../operations/cross-entropy.js';
import { isSecond, type Operation } from '../operations/operation.js';
import { callOptions, checkValues, evaluate, expectation, parametersOf, precisionIn, problemOf } from '../problem.js';
import type { Problem, ProblemStatement } from '../statement.js';
import { checkEach, explaining } from '../sweep.js';
import { logSoftmaxJacobianTolerance } from '../tolerance.js';
import { largeMatrices } from './large.js';
import { valueCase } from './operations.js';

/** Logits at which kernels switch to another method. */
const forward: readonly ProblemStatement[] = [
  // Kernels switch by the quotient x/T, not by x.
  { shape: [20, 17], axis: 1, input: 'displaced', temperature: 2.87 },
  { shape: [17, 20], axis: 0, input: 'displaced', temperature: 0.37 },
  ...(['wide', 'shifted', 'broad', 'huge'] as const).flatMap((input) =>
    [0.37, 2.87].map((temperature): ProblemStatement => ({ shape: [7, 5], axis: 1, input, temperature })),
  ),
  ...[3, 5, 10].map((classes): ProblemStatement => ({ shape: [164, classes], axis: 1, input: 'mixed' })),
  { shape: [164, 5], axis: 1, input: 'mixed', temperature: 1.25 },
  { shape: [5, 164], axis: 0, input: 'mixed' },
  ...[20, 35, 67, 300].map((classes): ProblemStatement => ({ shape: [2, classes], axis: 1, input: 'late' })),
  { shape: [3, 67], axis: 1, input: 'late', temperature: 1.25 },
];

/** Probabilities of which one is nearly 1. */
const derivative: readonly ProblemStatement[] = [1, 0.3, 2, 2.87].flatMap((temperature) =>
  [3, 17].map((classes): ProblemStatement => ({ shape: [5, classes], axis: 1, input: 'dominated', temperature })),
);

/** Rows with one probability from 1 − 2⁻¹ to 1 − 2⁻⁶⁰; `derivative` covers every exponent. */
const confident = [2, 3, 10, 17, 128].map(
  (classes): ProblemStatement => ({ shape: [60, classes], axis: 1, input: 'peaked' }),
);
/** Where the gradient of a class above ½ is computed in another way than that of the others, all ways must agree on which class that is. */
const halved = [5, 2].map((classes): ProblemStatement => ({ shape: [2000, classes], axis: 1, input: 'halved' }));
const disagreement =
  'if a few rows are wholly wrong, whether a class is above ½ is decided twice, from values that are rounded differently';
/** To detect small terms that are lost when they are added to 1. */
const long: ProblemStatement = { shape: [10, 1000], axis: 1, input: 'peaked' };
/** At T = 1 log-probabilities are these logits, because the largest is 0; at other temperatures they are rounded, and so are their exponentials. */
const tempered = [2, 10].map(
  (classes): ProblemStatement => ({ shape: [60, classes], axis: 1, input: 'peaked', temperature: 0.7 }),
);
const longConfident: readonly ProblemStatement[] = [...confident, ...tempered, long];
const lostTerms =
  'if only this long row is wrong, a sum loses small terms beside a large one: sum with compensation, in a wider dtype or in pairs';

/** One row length for each method: an engine that compiles its kernels has another kernel for each length. */
const ofLosses = forward.filter(({ shape: [rows, classes = 0] }) => classes === 5 || (rows === 2 && classes > 60));

const lossAndGradient = [
  ...lossOrGradient('loss', { target: 'indices' }),
  ...lossOrGradient('gradient', { target: 'probabilities', reduction: 'none' }),
];

const ofLargest = [
  ...(['loss', 'gradient'] as const).flatMap((member) =>
    lossOrGradient(member, { target: 'largest', reduction: 'none' }),
  ),
  ...lossOrGradient('gradient', { target: 'nearly', reduction: 'none' }),
];

const ofHalves = [
  ...operations
    .filter(
      ({ family, member }) =>
        ['softmax', 'log-softmax'].includes(family) && ['vjp', 'hvp', 'jacobian'].includes(member),
    )
    .map((operation) => ({ operation, parameters: '' })),
  ...lossOrGradient('gradient', { target: 'probabilities', reduction: 'none' }),
  ...lossOrGradient('gradient', { target: 'indices', reduction: 'none' }),
];

/** Large problems of a Jacobian, and rows whose 1 − p follows from the log-probability alone. That of softmin is the kernel of softmax at another temperature. */
function matricesOf({ name }: Operation, dtype: FloatDType): readonly ProblemStatement[] {
  if (name === 'softmax.jacobian') return largeMatrices(name, dtype);
  return name === 'logSoftmax.jacobian' ? [...tempered, ...largeMatrices(name, dtype)] : [];
}

function lossOrGradient(member: 'loss' | 'gradient', setting: CrossEntropySetting) {
  return crossEntropyOperations(setting)
    .filter((operation) => operation.member === member)
    .map((operation) => ({ operation, parameters: settingParameters(setting) }));
}

/** Members that take a direction, and rows in which no probability is large. */
const directed: readonly string[] = ['vjp', 'jvp', 'hvp', 'double-backward'];
const even = [40, 300].map((classes): ProblemStatement => ({ shape: [1, classes], axis: 1, input: 'narrow' }));

/** Functions that subtract the mean of their direction, which a constant that all its entries have in common does not change. */
const centring: readonly string[] = ['softmax.vjp', 'softmax.jvp'];
const inColumns: ProblemStatement = { shape: [40, 5], axis: 0, input: 'narrow' };

/** More classes than fit into a workgroup's memory. */
const manyClasses: ProblemStatement = { shape: [1, 40000], axis: 1, input: 'spread' };

const atLogits = 'logSoftmax.linearize.diagonal';

/** Values and derivatives where a kernel that is correct for moderate logits fails. */
export const extremes: readonly ConformanceCase[] = [
  ...(['float32', 'float64'] as const).flatMap((dtype) => [
    ...operations
      .filter(({ member, takes }) => member === 'values' && takes.includes('temperature'))
      .map((operation) => extremesCase(operation, forward, dtype)),
    ...operations
      .filter(
        ({ member, takes }) =>
          ['vjp', 'jvp', 'hvp', 'double-backward', 'jacobian'].includes(member) && takes.includes('temperature'),
      )
      .map((operation) => extremesCase(operation, [...derivative, ...matricesOf(operation, dtype)], dtype)),
    ...operations
      .filter(
        ({ family, member, takes }) =>
          (family === 'softmax' && (member === 'vjp' || member === 'jvp')) ||
          (isSecond(member) && takes.includes('temperature')),
      )
      .map((operation) => oneHotCase(operation, dtype)),
    ...operations
      .filter(({ member, takes }) => directed.includes(member) && takes.includes('temperature'))
      .map((operation) => sparseCase(operation, dtype)),
    ...operations
      .filter(({ name }) => centring.includes(name))
      .map((operation) => commonConstantCase(operation, dtype)),
    ...operations
      .filter(({ family, member }) => family.startsWith('log') && ['values', 'vjp', 'jvp', 'diagonal'].includes(member))
      .map((operation) => extremesCase(operation, longConfident, dtype, 'input=peaked')),
    ...operations
      .filter(({ name }) => name === 'logSoftmax.vjp')
      .map((operation) =>
        extremesCase(ofTheLargest(operation), longConfident, dtype, 'input=peaked;cotangent=largest'),
      ),
    ...lossAndGradient.map(({ operation, parameters }) => extremesCase(operation, ofLosses, dtype, parameters)),
    ...ofLargest.map(({ operation, parameters }) => extremesCase(operation, confident, dtype, parameters)),
    ...ofHalves.map(({ operation, parameters }) =>
      extremesCase(operation, halved, dtype, `input=halved${parameters && ';'}${parameters}`),
    ),
  ]),
  ...lossAndGradient.map(({ operation, parameters }) => valueCase(operation, manyClasses, `${parameters};`)),
];

/**
 * The gradient through a nearly one-hot row consists of the probabilities beside the maximum and is as small as they are. Computed as
 * g − ⟨s, g⟩ it would consist of the rounding errors of two numbers of the size of g. Requiring three correct digits, relative to the row's
 * largest entry, tells one from the other.
 */
function oneHotCase(operation: Operation, dtype: FloatDType): ConformanceCase {
  const statements = derivative.filter(({ temperature }) => temperature === 1 || temperature === 2);
  const id = `extremes/nearly-one-hot:operation=${operation.name}${dtypeSuffix(dtype)}`;
  return defineCase(id, { dtype, classes: 17, kernel: null }, (backend) =>
    checkEach(
      statements.map((statement) => ({ ...statement, dtype })),
      parametersOf,
      async (statement) => {
        const problem = problemOf(statement);
        const { expected } = expectation(backend, operation, problem);
        const tolerance = new Float64Array(expected.length);
        for (const at of rowIndices(problem.rows)) {
          const largest = rowValues(expected, at).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          for (const i of at) tolerance[i] = largest / 1000;
        }
        assertClose(operation.name, await evaluate(backend, operation, problem), expected, tolerance);
      },
    ),
  );
}

/**
 * A direction that is 1 at the largest probability and 0 elsewhere, where no probability is large: the other entries of the result are as small as that
 * probability. If the direction's entry there is subtracted from all, they are differences of numbers near 1.
 */
function sparseCase(operation: Operation, dtype: FloatDType): ConformanceCase {
  const id = `extremes/sparse-direction:operation=${operation.name}${dtypeSuffix(dtype)}`;
  const sparse = [1, 2].flatMap((direction) => {
    const alongOne = ofTheLargest(operation, direction);
    return even.map((statement) => ({ direction, alongOne, statement: { ...statement, dtype } }));
  });
  return defineCase(id, { dtype, classes: 300, kernel: null }, (backend) =>
    checkEach(
      sparse,
      ({ direction, statement }) => `direction ${direction}, ${parametersOf(statement)}`,
      ({ alongOne, statement }) => checkValues(backend, alongOne, problemOf(statement)),
    ),
  );
}

/**
 * Directions of multiples of 1/64 in ±1 with a large constant in common, where no probability is large. The constant and its sum with them are exact, so that
 * the result is to be as accurate as without the constant. As ⟨s, g⟩ is rounded and Σ s is 1 only up to rounding, g − ⟨s, g⟩ has the
 * rounding error of the constant.
 */
function commonConstantCase(operation: Operation, dtype: FloatDType): ConformanceCase {
  const id = `extremes/common-constant:operation=${operation.name}${dtypeSuffix(dtype)}`;
  const offset = withConstant(operation, dtype === 'float32' ? 2 ** 16 : -(2 ** 40));
  return defineCase(id, { dtype, classes: 300, kernel: null }, (backend) =>
    checkEach(
      [1, 2].flatMap((temperature) => [...even, inColumns].map((statement) => ({ ...statement, dtype, temperature }))),
      parametersOf,
      (statement) => checkValues(backend, offset, problemOf(statement)),
    ),
  );
}

/** An operation of a direction whose entries have a constant in common, expected as without it. */
function withConstant(operation: Operation, constant: number): Operation {
  const without = ([operand, direction]: readonly Values[]) => [
    operand ?? [],
    Float64Array.from(direction ?? [], (value) => value - constant),
  ];
  return {
    ...operation,
    operands(problem) {
      const [operand, direction] = operation.operands(problem);
      if (!operand || !direction) throw new RangeError(`${operation.name} takes no direction`);
      const values = direction.values.map((value) => constant + Math.round(32 * value) / 64);
      return [operand, { ...direction, values }];
    },
    expected: (operands, problem) => operation.expected(without(operands), problem),
    tolerance: (precision, operands, expected, problem) =>
      operation.tolerance(precision, without(operands), expected, problem),
  };
}

/**
 * An operation whose direction is 1 at the largest logit of each row and 0 elsewhere: as a cotangent, that of the log-likelihood of this class.
 * Directions of another shape stay what they are.
 */
function ofTheLargest(operation: Operation, direction = 1): Operation {
  return {
    ...operation,
    operands(problem) {
      const values = new Float64Array(problem.values.length);
      for (const at of rowIndices(problem.rows)) {
        const logits = rowValues(problem.values, at);
        const largest = at[logits.indexOf(logits.reduce((a, b) => Math.max(a, b)))];
        if (largest !== undefined) values[largest] = 1;
      }
      return operation
        .operands(problem)
        .map((operand, k) =>
          k === direction && operand.values.length === values.length ? { ...operand, values } : operand,
        );
    },
  };
}

/** One case for one operation on all of these problems. */
function extremesCase(
  operation: Operation,
  statements: readonly ProblemStatement[],
  dtype: FloatDType,
  parameters = '',
): ConformanceCase {
  const name = `extremes/${operation.family}-${operation.member}`;
  const suffix = parameters === '' ? dtypeOnly(dtype) : `:${parameters}${dtypeSuffix(dtype)}`;
  const requires = () => {
    const classes = Math.max(...statements.map(({ shape, axis }) => layout(shape, axis).classes));
    const [first] = statements;
    const kernel = first && operation.needs(problemOf({ ...first, temperature: 2, dtype }));
    return { dtype, classes, ...(kernel !== undefined && { kernel }) };
  };
  return defineCase(`${name}${suffix}`, requires, (backend) =>
    checkEach(
      statements.map((statement) => ({ ...statement, dtype })),
      parametersOf,
      (statement) => {
        const problem = problemOf(statement);
        const compared =
          operation.name === atLogits
            ? checkDiagonal(backend, operation, problem)
            : checkValues(backend, operation, problem);
        const advice = statement.shape === long.shape ? lostTerms : statement.input === 'halved' ? disagreement : null;
        return advice === null ? compared : explaining(advice, compared);
      },
    ),
  );
}

/** Also as the diagonal of the Jacobian at the value, because the error of the value is beyond what the diagonal itself may be off. */
async function checkDiagonal(backend: Backend, operation: Operation, problem: Problem): Promise<void> {
  await checkValues(backend, operation, problem);
  const { values, shape, dtype, rows, parameters } = problem;
  const x = tensor(values, { shape, dtype, backend });
  const { value, diagonal } = logSoftmax.linearize(x, callOptions(operation, problem));
  const result = diagonal();
  try {
    const y = Float64Array.from(await value.data());
    const expected = logSoftmaxJacobian(y, rows, parameters, 'diagonal');
    const precision = precisionIn(backend, dtype, 'operation');
    const tolerance = logSoftmaxJacobianTolerance(precision, y, expected, rows, parameters, 'diagonal');
    assertClose(`${atLogits} of its value`, await result.data(), expected, tolerance);
  } finally {
    for (const made of [x, value, result]) made.dispose();
  }
}
