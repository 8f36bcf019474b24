import type { FloatDType } from '../../src/index.js';
import { type ConformanceCase, defineCase } from '../case.js';
import { operations } from '../operations/all.js';
import { type CrossEntropySetting, crossEntropyOperations, settingParameters } from '../operations/cross-entropy.js';
import type { Operation } from '../operations/operation.js';
import { checkValues, parametersOf, problemOf, requirementsOf } from '../problem.js';
import type { MaskName, ProblemStatement } from '../statement.js';

const small = [7, 5];

/** Nearly one-hot rows, with the other probabilities at every exponent. */
const peaked: ProblemStatement = { shape: [60, 4], axis: 1, input: 'peaked' };

/** The inputs for values. */
const forward: readonly ProblemStatement[] = [
  ...(['ramp', 'spread', 'wide', 'shifted', 'removed', 'onehot', 'ties', 'nan', 'infinite', 'nothing'] as const).map(
    (input) => ({ shape: small, axis: 1, input }),
  ),
  { shape: small, axis: 0, input: 'spread' },
  { shape: small, axis: 0, input: 'removed' },
  { shape: [2, 3, 4], axis: 1, input: 'ramp' },
  { shape: [3, 67], axis: 1, input: 'narrow' },
  peaked,
];

/** The inputs for derivatives. */
const derivative: readonly ProblemStatement[] = [
  { shape: small, axis: 1, input: 'wide' },
  { shape: small, axis: 1, input: 'onehot' },
  { shape: small, axis: 0, input: 'removed' },
  { shape: [2, 3, 4], axis: 1, input: 'ramp' },
  peaked,
];

/** The inputs for the operators of `linearize`, whose members are other operations under another name. */
const operator: readonly ProblemStatement[] = [{ shape: [2, 3, 4], axis: 1, input: 'spread' }, peaked];

const tempered: readonly ProblemStatement[] = [
  { shape: small, axis: 1, input: 'spread', temperature: 0.5 },
  { shape: small, axis: 0, input: 'removed', temperature: 3 },
];

/** Masked rows that are otherwise the easiest: exp neither overflows nor underflows without a shift, at T = 1, in contiguous memory. */
const maskedNarrow: ProblemStatement = { shape: small, axis: 1, input: 'narrow', mask: 'full' };

const masked: readonly ProblemStatement[] = [
  ...(['full', 'row', 'columns'] as const).flatMap((mask: MaskName): readonly ProblemStatement[] => [
    { shape: small, axis: 0, input: 'nan', mask },
    { shape: [2, 3, 4], axis: 1, input: 'shifted', mask, temperature: 2 },
  ]),
  maskedNarrow,
  { ...maskedNarrow, axis: 0 },
  { ...maskedNarrow, shape: [3, 67] },
];

const maskedOnce: readonly ProblemStatement[] = [
  { shape: small, axis: 0, input: 'spread', mask: 'full' },
  { shape: small, axis: 1, input: 'spread', mask: 'row', temperature: 2 },
];

const elementwise: readonly ProblemStatement[] = (
  ['broad', 'wide', 'shifted', 'removed', 'nan', 'infinite'] as const
).map((input) => ({ shape: small, axis: 1, input }));

const otherDTypes: readonly FloatDType[] = ['float64', 'float16'];

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

/** Rows whose target weights are all 0: where such a row has no softmax it has no loss either, unless it is ignored. */
const weightless: readonly CrossEntropySetting[] = [
  { target: 'nothing', reduction: 'none' },
  { target: 'ignored', reduction: 'none', weighted: 'zero' },
];

const undefinedRows: readonly ProblemStatement[] = (['nan', 'infinite', 'nothing'] as const).map((input) => ({
  shape: small,
  axis: 1,
  input,
}));

/** Cross-entropy under all of its options, as PyTorch defines them. */
export const crossEntropyValues: readonly ConformanceCase[] = [
  ...settings.flatMap((setting) =>
    crossEntropyOperations(setting).flatMap((operation) =>
      crossEntropyStatements(setting, operation).map((statement) =>
        valueCase(operation, statement, `${settingParameters(setting)};`),
      ),
    ),
  ),
  ...weightless.flatMap((setting) =>
    crossEntropyOperations(setting)
      .filter(({ member }) => member === 'loss' || member === 'gradient')
      .flatMap((operation) =>
        undefinedRows.map((statement) => valueCase(operation, statement, `${settingParameters(setting)};`)),
      ),
  ),
];

function statementsFor({ family, member, takes }: Operation): readonly ProblemStatement[] {
  const masks = takes.includes('mask');
  const once: ProblemStatement = { shape: small, axis: 1, input: 'spread' };
  const all: ProblemStatement = { ...once, mask: 'full', temperature: 0.5 };
  const last = masks ? (member === 'values' ? [all] : [once, all]) : [once];
  if (!takes.includes('temperature')) return inOtherDTypes(takes.includes('axis') ? operator : elementwise, last);
  if (member === 'diagonal' || member === 'to-dense') return inOtherDTypes([...operator, ...tempered], last);
  if (member !== 'values') {
    // Derivatives of the others compute the values first, and their kernels take no mask.
    const narrow = family === 'log-sum-exp' ? [maskedNarrow] : [];
    return inOtherDTypes([...derivative, ...tempered, ...(masks ? [...maskedOnce, ...narrow] : [])], last);
  }
  // The plain call of the required kernel has cases of its own.
  const plain = family === 'softmax' ? [] : forward;
  return inOtherDTypes([...plain, ...tempered, ...masked], last);
}

function inOtherDTypes(
  list: readonly ProblemStatement[],
  statements: readonly ProblemStatement[],
): readonly ProblemStatement[] {
  return [...list, ...otherDTypes.flatMap((dtype) => statements.map((statement) => ({ ...statement, dtype })))];
}

function crossEntropyStatements(
  { target, reduction, labelSmoothing, weighted }: CrossEntropySetting,
  { member }: Operation,
): readonly ProblemStatement[] {
  const once: ProblemStatement = { shape: small, axis: 1, input: 'spread' };
  if (member === 'vjp' || member === 'jvp') return inOtherDTypes([{ ...once, axis: 0, mask: 'full' }], [once]);
  const hasNoOption = reduction === undefined && labelSmoothing === undefined && weighted === undefined;
  const list: readonly ProblemStatement[] = [
    once,
    { shape: [2, 3, 4], axis: 1, input: 'shifted', temperature: 2 },
    { ...maskedNarrow, axis: 0 },
    ...(hasNoOption ? [maskedNarrow] : []),
  ];
  if (member === 'hvp') return inOtherDTypes(list, [{ ...once, input: 'narrow' }]);
  const extreme: readonly ProblemStatement[] = [
    { shape: small, axis: 1, input: 'wide' },
    { shape: small, axis: 1, input: 'removed' },
  ];
  return inOtherDTypes(target === 'indices' ? [...list, ...extreme] : list, [{ ...once, input: 'narrow' }]);
}

/** One operation on one problem, compared with the reference. */
export function valueCase(operation: Operation, statement: ProblemStatement, prefix = ''): ConformanceCase {
  const id = `${operation.family}/${operation.member}:${prefix}${parametersOf(statement)}`;
  // Whether a feature is required depends on the expected results, which take time to compute.
  const requires = () => requirementsOf(operation, problemOf(statement));
  return defineCase(id, requires, (backend) => checkValues(backend, operation, problemOf(statement)));
}
