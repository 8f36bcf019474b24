import type { FloatDType } from '../../src/index.js';
import { type ConformanceCase, defineCase } from '../case.js';
import { assertClose } from '../check.js';
import { type CrossEntropySetting, crossEntropyOperations, settingParameters } from '../operations-cross-entropy.js';
import { type Operation, operations } from '../operations.js';
import {
  evaluate,
  expectation,
  type MaskName,
  type ProblemStatement,
  parametersOf,
  problemOf,
  requirementsOf,
} from '../problem.js';

const small = [7, 5];

/** What every operation is tried on, by the options that it has. */
const statements: readonly ProblemStatement[] = [
  ...(['ramp', 'spread', 'wide', 'shifted', 'removed', 'onehot', 'ties', 'nan', 'infinite', 'nothing'] as const).map(
    (input) => ({ shape: small, axis: 1, input }),
  ),
  ...(['spread', 'removed'] as const).map((input) => ({ shape: small, axis: 0, input })),
  { shape: [2, 3, 4], axis: 1, input: 'ramp' },
  { shape: [3, 67], axis: 1, input: 'narrow' },
];

const tempered: readonly ProblemStatement[] = [0.5, 3].flatMap((temperature) => [
  { shape: small, axis: 1, input: 'spread', temperature },
  { shape: small, axis: 0, input: 'removed', temperature },
]);

const masked: readonly ProblemStatement[] = (['full', 'row', 'columns'] as const).flatMap((mask: MaskName) => [
  { shape: small, axis: 1, input: 'spread', mask },
  { shape: small, axis: 0, input: 'nan', mask },
  { shape: [2, 3, 4], axis: 1, input: 'shifted', mask, temperature: 2 },
]);

const elementwise: readonly ProblemStatement[] = (['broad', 'wide', 'shifted', 'removed', 'nan', 'infinite'] as const).map(
  (input) => ({ shape: small, axis: 1, input }),
);

/** Inputs whose derivatives are not defined by the operation's output alone, or overflow on the way. */
const others: readonly FloatDType[] = ['float64', 'float16'];

/** Every operation of core over inputs, axes, temperatures and masks. */
export const values: readonly ConformanceCase[] = operations.flatMap((operation) =>
  statementsFor(operation).map((statement) => valueCase(operation, statement)),
);

const settings: readonly CrossEntropySetting[] = [
  { target: 'indices' },
  { target: 'indices', reduction: 'sum' },
  { target: 'indices', reduction: 'none' },
  { target: 'indices', weighted: true },
  { target: 'ignored' },
  { target: 'ignored', weighted: true, labelSmoothing: 0.1 },
  { target: 'indices', labelSmoothing: 0.1, reduction: 'none' },
  { target: 'probabilities' },
  { target: 'probabilities', reduction: 'none', weighted: true },
  { target: 'probabilities', labelSmoothing: 0.25, reduction: 'sum' },
];

/** Cross-entropy under all of its options, as PyTorch defines them. */
export const crossEntropyValues: readonly ConformanceCase[] = settings.flatMap((setting) =>
  crossEntropyOperations(setting).flatMap((operation) =>
    crossEntropyStatements(setting).map((statement) =>
      valueCase(operation, statement, `${settingParameters(setting)};`),
    ),
  ),
);

function statementsFor({ family, member, takes }: Operation): readonly ProblemStatement[] {
  if (family === 'sigmoid' || family === 'relu') {
    const matrices: readonly ProblemStatement[] = [{ shape: [2, 3, 4], axis: 1, input: 'ramp' }];
    const list = takes.includes('axis') ? matrices : elementwise;
    return inOtherDTypes(list, { shape: small, axis: 1, input: 'spread' });
  }
  const first = family === 'softmax' && member === 'values' ? [] : statements;
  return inOtherDTypes(
    [
      ...first,
      ...(takes.includes('temperature') ? tempered : []),
      ...(takes.includes('mask') ? masked : []),
    ],
    { shape: small, axis: 1, input: 'spread', ...(takes.includes('mask') && { mask: 'full', temperature: 0.5 }) },
  );
}

function inOtherDTypes(list: readonly ProblemStatement[], statement: ProblemStatement): readonly ProblemStatement[] {
  return [...list, ...others.map((dtype) => ({ ...statement, dtype }))];
}

function crossEntropyStatements({ target }: CrossEntropySetting): readonly ProblemStatement[] {
  const list: readonly ProblemStatement[] = [
    { shape: small, axis: 1, input: 'spread' },
    { shape: [2, 3, 4], axis: 1, input: 'shifted', temperature: 2 },
    { shape: small, axis: 0, input: 'narrow', mask: 'full' },
  ];
  const more: readonly ProblemStatement[] =
    target === 'indices'
      ? [
          { shape: small, axis: 1, input: 'wide' },
          { shape: small, axis: 1, input: 'removed' },
        ]
      : [];
  return inOtherDTypes([...list, ...more], { shape: small, axis: 1, input: 'narrow' });
}

function valueCase(operation: Operation, statement: ProblemStatement, prefix = ''): ConformanceCase {
  const id = `${operation.family}/${operation.member}:${prefix}${parametersOf(statement)}`;
  return defineCase(id, requirementsOf(operation, problemOf(statement)), async (backend) => {
    const problem = problemOf(statement);
    const { expected, tolerance } = expectation(backend, operation, problem);
    assertClose(operation.name, await evaluate(backend, operation, problem), expected, tolerance);
  });
}
