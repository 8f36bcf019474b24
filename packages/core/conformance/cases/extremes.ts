import { rowIndices, rowValues } from '../../reference/functions.js';
import type { FloatDType } from '../../src/index.js';
import { type ConformanceCase, defineCase, dtypeOnly } from '../case.js';
import { assertClose } from '../check.js';
import { layout } from '../inputs.js';
import { operations } from '../operations/all.js';
import { type CrossEntropySetting, crossEntropyOperations, settingParameters } from '../operations/cross-entropy.js';
import { isSecond, type Operation } from '../operations/operation.js';
import { evaluate, expectation, parametersOf, problemOf } from '../problem.js';
import type { ProblemStatement } from '../statement.js';
import { checkEach } from '../sweep.js';
import { valueCase } from './operations.js';

/** Logits at which kernels change their way of computing. */
const forward: readonly ProblemStatement[] = [
  // The quotient x/T decides, not x.
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

/** Probabilities of which one is all but 1. */
const derivative: readonly ProblemStatement[] = [1, 0.3, 2, 2.87].flatMap((temperature) =>
  [3, 17].map((classes): ProblemStatement => ({ shape: [5, classes], axis: 1, input: 'dominated', temperature })),
);

/** Rows of which one probability is 1 − 2⁻¹ to 1 − 2⁻⁶⁰: `derivative` at every distance. */
const confident = [2, 3, 10, 17, 128].map(
  (classes): ProblemStatement => ({ shape: [60, classes], axis: 1, input: 'peaked' }),
);
/** Also a long one, for what does not add small terms to 1. */
const longConfident: readonly ProblemStatement[] = [...confident, { shape: [10, 1000], axis: 1, input: 'peaked' }];

/** One length for one way of computing: an engine that compiles its kernels has another for each. */
const ofLosses = forward.filter(({ shape: [rows, classes = 0] }) => classes === 5 || (rows === 2 && classes > 60));

const lossAndGradient = [
  ...lossOrGradient('loss', { target: 'indices' }),
  ...lossOrGradient('gradient', { target: 'probabilities', reduction: 'none' }),
];

const ofLargest = (['loss', 'gradient'] as const).flatMap((member) =>
  lossOrGradient(member, { target: 'largest', reduction: 'none' }),
);

function lossOrGradient(member: 'loss' | 'gradient', setting: CrossEntropySetting) {
  return crossEntropyOperations(setting)
    .filter((operation) => operation.member === member)
    .map((operation) => ({ operation, parameters: settingParameters(setting) }));
}

/** More classes than a workgroup has memory for. */
const manyClasses: ProblemStatement = { shape: [1, 40000], axis: 1, input: 'spread' };

/** Values and derivatives where a kernel that is right for moderate logits goes wrong. */
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
      .map((operation) => extremesCase(operation, derivative, dtype)),
    ...operations
      .filter(
        ({ family, member, takes }) =>
          (family === 'softmax' && (member === 'vjp' || member === 'jvp')) ||
          (isSecond(member) && takes.includes('temperature')),
      )
      .map((operation) => oneHotCase(operation, dtype)),
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
  ]),
  ...lossAndGradient.map(({ operation, parameters }) => valueCase(operation, manyClasses, `${parameters};`)),
];

/**
 * The gradient through a nearly one-hot row is as small as what the row has beside its maximum, and made of it alone: in
 * g − ⟨s, g⟩ it would be what two roundings of g leave. Three digits of the row's largest entry tell one from the other.
 */
function oneHotCase(operation: Operation, dtype: FloatDType): ConformanceCase {
  const statements = derivative.filter(({ temperature }) => temperature === 1 || temperature === 2);
  const id = `extremes/nearly-one-hot:operation=${operation.name}${dtypeOnly(dtype).replace(':', ';')}`;
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

/** A vjp whose cotangent is 1 at the largest logit of each row and 0 elsewhere, as the log-likelihood of that class has it. */
function ofTheLargest(operation: Operation): Operation {
  return {
    ...operation,
    operands(problem) {
      const values = new Float64Array(problem.values.length);
      for (const at of rowIndices(problem.rows)) {
        const logits = rowValues(problem.values, at);
        const largest = at[logits.indexOf(logits.reduce((a, b) => Math.max(a, b)))];
        if (largest !== undefined) values[largest] = 1;
      }
      return operation.operands(problem).map((operand, k) => (k === 1 ? { ...operand, values } : operand));
    },
  };
}

/** One operation on all of these problems. */
function extremesCase(
  operation: Operation,
  statements: readonly ProblemStatement[],
  dtype: FloatDType,
  parameters = '',
): ConformanceCase {
  const name = `extremes/${operation.family}-${operation.member}`;
  const suffix = parameters === '' ? dtypeOnly(dtype) : `:${parameters}${dtypeOnly(dtype).replace(':', ';')}`;
  const classes = Math.max(...statements.map(({ shape, axis }) => layout(shape, axis).classes));
  const [kernel] = statements
    .slice(0, 1)
    .map((statement) => operation.needs(problemOf({ ...statement, temperature: 2, dtype })));
  return defineCase(`${name}${suffix}`, { dtype, classes, ...(kernel !== undefined && { kernel }) }, (backend) =>
    checkEach(
      statements.map((statement) => ({ ...statement, dtype })),
      parametersOf,
      async (statement) => {
        const problem = problemOf(statement);
        const { expected, tolerance } = expectation(backend, operation, problem);
        assertClose(operation.name, await evaluate(backend, operation, problem), expected, tolerance);
      },
    ),
  );
}
