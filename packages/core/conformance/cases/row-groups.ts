import type { FloatDType } from '../../src/index.js';
import { type ConformanceCase, defineCase, dtypeSuffix, type Feature } from '../case.js';
import { layout } from '../inputs.js';
import { operations } from '../operations/all.js';
import { type CrossEntropySetting, crossEntropyOperations, settingParameters } from '../operations/cross-entropy.js';
import { problemOf } from '../problem.js';
import type { ProblemStatement } from '../statement.js';
import { type Call, callsOf, checkCalls, largeCallsOf } from './large.js';

/** More rows than a vector has lanes, so short that several rows share a vector or one load. */
const short: readonly ProblemStatement[] = [
  ...[1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 16].map((classes) => [9, classes]),
  // Two rows side by side, the smallest number that is not contiguous.
  [4, 3, 2],
  [2, 20, 2],
].map((shape) => ({ shape, axis: 1, input: 'spread' }));

/** More rows than a vector has lanes, longer than rows kept in registers and shorter than rows processed one by one. */
const medium: readonly ProblemStatement[] = [20, 66, 130, 256].map((classes) => ({
  shape: [9, classes],
  axis: 1,
  input: 'spread',
}));

/** Row r has its target at its dominant logit if r is a multiple of the number of classes, which is every position in a group of four or eight rows. */
const certain: readonly ProblemStatement[] = [
  { shape: [13, 3], axis: 1, input: 'dominated' },
  { shape: [13, 3], axis: 1, input: 'dominated', temperature: 1.25 },
  { shape: [26, 5], axis: 1, input: 'onehot' },
  { shape: [5, 26], axis: 0, input: 'onehot' },
];

/** Rows in which the sum over all classes of (maximum − logit) overflows. */
const lowest: readonly ProblemStatement[] = [{ shape: [9, 13], axis: 1, input: 'lowest' }];

/** Some of the ignored rows have an undefined softmax. */
const undefinedRows: readonly ProblemStatement[] = [
  { shape: [13, 5], axis: 1, input: 'nan' },
  { shape: [5, 13], axis: 0, input: 'infinite' },
];

const lossAndGradientOf = (of: CrossEntropySetting) =>
  crossEntropyOperations(of).filter(({ member }) => member === 'loss' || member === 'gradient');

const setting: CrossEntropySetting = { target: 'indices', reduction: 'none' };
const lossAndGradient = lossAndGradientOf(setting);
const withOptions: CrossEntropySetting = {
  target: 'indices',
  reduction: 'none',
  labelSmoothing: 0.6,
  weighted: true,
  ignoreIndex: 'last',
};
const ofLargest: CrossEntropySetting = { target: 'largest', reduction: 'none' };
const ignoring: CrossEntropySetting = { target: 'ignored', reduction: 'none' };
const ignoringLossAndGradient = lossAndGradientOf(ignoring);
const grouped = ['softmax', 'logSoftmax', 'logSumExp', 'softmax.vjp'];
const dtypes: readonly FloatDType[] = ['float32', 'float64'];

/** Rows that an engine processes several at a time: each result must be correct at every position in the group and beside any other row. */
export const rowGroups: readonly ConformanceCase[] = dtypes.flatMap((dtype) => [
  ...operations
    .filter(({ name, member }) => grouped.includes(name) || (member === 'hvp' && name !== 'sigmoid.hvp'))
    .flatMap((operation) => [
      groupsCase('short', callsOf(operation, short), dtype),
      ...(operation.name === 'logSumExp'
        ? []
        : [groupsCase('medium', [...callsOf(operation, medium), ...largeCallsOf(operation)], dtype)]),
      ...(operation.member === 'values' ? [groupsCase('lowest', callsOf(operation, lowest), dtype)] : []),
    ]),
  ...lossAndGradient.flatMap((operation, k) => [
    groupsCase('short', callsOf(operation, short), dtype, setting),
    groupsCase('medium', [...callsOf(operation, medium.slice(0, 2)), ...largeCallsOfLoss(k)], dtype, setting),
    groupsCase('certain-targets', callsOf(operation, certain), dtype, setting),
    groupsCase('lowest', callsOf(operation, lowest), dtype, setting),
  ]),
  ...ignoringLossAndGradient.map((operation) =>
    groupsCase('undefined-rows', callsOf(operation, undefinedRows), dtype, ignoring, ['nonFinite: ieee']),
  ),
]);

/** The loss or the gradient of large problems, with every option; where most logits are −Infinity, with targets that are not. */
function largeCallsOfLoss(k: number): readonly Call[] {
  const [all, some] = [lossAndGradientOf(withOptions)[k], lossAndGradientOf(ofLargest)[k]];
  if (!all || !some) return [];
  return largeCallsOf(all).map((call) => (call.statement.input === 'behind' ? { ...call, operation: some } : call));
}

/** One case for all of these calls. Its id names the operation of the first. */
function groupsCase(
  what: string,
  calls: readonly Call[],
  dtype: FloatDType,
  options?: CrossEntropySetting,
  features: readonly Feature[] = [],
): ConformanceCase {
  const parameters = options ? `;${settingParameters(options)}` : '';
  const [first] = calls;
  const id = `row-groups/${what}:operation=${first?.operation.name}${parameters}${dtypeSuffix(dtype)}`;
  const all = calls.map((call) => ({ ...call, statement: { ...call.statement, dtype } }));
  const classes = Math.max(...all.map(({ statement: { shape, axis } }) => layout(shape, axis).classes));
  // Without a basis, the kernel that computes all of them.
  const kernel = first?.operation.needs(problemOf({ ...first.statement, dtype, temperature: 2 }));
  return defineCase(id, { dtype, classes, features, ...(kernel !== undefined && { kernel }) }, (backend) =>
    checkCalls(backend, all),
  );
}
