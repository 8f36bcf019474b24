import type { Backend, FloatDType } from '../../src/index.js';
import { type ConformanceCase, defineCase, dtypeSuffix, floatDTypes, type Requirements } from '../case.js';
import { type Combination, coveringArray } from '../covering-array.js';
import { type InputName, randomFrom } from '../inputs.js';
import { memoized } from '../memo.js';
import { operations } from '../operations/all.js';
import { type CrossEntropySetting, crossEntropyOperations, settingParameters } from '../operations/cross-entropy.js';
import { isSecond, type Operation } from '../operations/operation.js';
import { checkEach } from '../sweep.js';
import {
  checkTrial,
  isMatrix,
  isPossible,
  isRowwise,
  type Out,
  type Trial,
  type TrialForm,
  type TrialMask,
  trialOf,
} from './trial.js';

/** Row lengths just below and just above the tile sizes of kernels. */
const lengths: readonly (readonly number[])[] = [
  [1],
  [2, 3, 4, 5],
  [6, 7, 8, 9],
  [15, 16, 17],
  [31, 32, 33, 34],
  [63, 64, 65, 67, 127, 128, 129, 130, 255, 256, 257],
];
/** For Jacobians, whose size is the square of the row length. */
const shortLengths = lengths.slice(0, 5);

const finite: readonly InputName[] = ['spread', 'wide', 'shifted', 'dominated', 'displaced', 'mixed', 'late'];
const nonFinite: readonly InputName[] = ['removed', 'nan', 'infinite', 'nothing', 'wide'];
const masks: readonly TrialMask[] = ['none', 'full', 'suffix', 'repeated', 'row', 'columns'];

/** A level of every option. An option that an operation does not take has one constant level. */
interface Levels {
  readonly [name: string]: readonly unknown[];
  readonly member: readonly string[];
  readonly rank: readonly number[];
  readonly axis: readonly TrialForm['axis'][];
  readonly length: readonly (readonly number[])[];
  readonly input: readonly InputName[];
  readonly temperature: readonly (number | undefined)[];
  readonly mask: readonly TrialMask[];
  readonly out: readonly Out[];
  readonly target: readonly CrossEntropySetting['target'][];
  readonly reduction: readonly ('mean' | 'sum' | 'none')[];
  readonly labelSmoothing: readonly (number | undefined)[];
  readonly weighted: readonly boolean[];
  readonly ignoreIndex: readonly (number | 'default' | 'last')[];
}

const noOptions: Levels = {
  member: ['values'],
  rank: [1, 2, 3, 4, 5, 6],
  axis: ['first', 'middle', 'last'],
  length: lengths,
  input: finite,
  temperature: [undefined],
  mask: ['none'],
  out: ['none', 'given', 'operand 0', 'operand 1', 'target', 'operand 2'],
  target: ['indices'],
  reduction: ['mean'],
  labelSmoothing: [undefined],
  weighted: [false],
  ignoreIndex: ['default'],
};
const tempered: Levels = { ...noOptions, temperature: [undefined, 0.37, 2.87, 0.06, 40] };
const masked: Levels = { ...tempered, mask: masks };
const nonFiniteLevels: Levels = { ...masked, input: nonFinite, rank: [1, 2, 3, 4] };
const crossEntropyLevels: Levels = {
  ...masked,
  target: ['indices', 'probabilities', 'unnormalised'],
  reduction: ['mean', 'sum', 'none'],
  labelSmoothing: [undefined, 0.6, 1],
  weighted: [false, true],
  ignoreIndex: ['default', 0, 'last', 255, -1],
};

/** Operations whose options are combined in one covering array. */
interface Group {
  /** `softmax-values` */
  readonly name: string;
  readonly families: readonly string[];
  readonly levels: Levels;
  readonly requires: Requirements;
  /** Every row keeps at least one class, so that no result is infinite. */
  readonly keepsEveryRow?: boolean;
}

const ieee: Requirements = { features: ['nonFinite: ieee'] };
const derivatives = ['vjp', 'jvp', 'jacobian', 'diagonal', 'to-dense'] as const;

const groups: readonly Group[] = [
  ...(['softmax', 'softmin'] as const).flatMap((family): readonly Group[] => [
    {
      name: `${family}-values:set=finite`,
      families: [family],
      levels: masked,
      requires: { kernel: 'softmax' },
    },
    {
      name: `${family}-values:set=non-finite`,
      families: [family],
      levels: nonFiniteLevels,
      requires: { ...ieee, kernel: 'softmax' },
    },
    {
      name: `${family}-derivatives:set=finite`,
      families: [family],
      levels: { ...tempered, member: derivatives, length: shortLengths },
      requires: { kernel: null },
    },
  ]),
  {
    name: 'log-softmax-values:set=finite',
    families: ['log-softmax'],
    levels: tempered,
    requires: { kernel: 'logSoftmax' },
  },
  {
    name: 'log-softmax-values:set=non-finite',
    families: ['log-softmax'],
    levels: { ...nonFiniteLevels, input: [...nonFinite, 'late', 'displaced'] },
    requires: { ...ieee, kernel: 'logSoftmax' },
  },
  {
    name: 'log-softmax-derivatives:set=finite',
    families: ['log-softmax'],
    levels: { ...tempered, member: derivatives, length: shortLengths },
    requires: { kernel: null },
  },
  {
    name: 'log-softmax-derivatives:set=non-finite',
    families: ['log-softmax'],
    levels: { ...nonFiniteLevels, member: derivatives, length: shortLengths },
    requires: { ...ieee, kernel: null },
  },
  {
    name: 'log-sum-exp-values:set=finite',
    families: ['log-sum-exp'],
    levels: masked,
    requires: { kernel: 'logSumExp' },
    keepsEveryRow: true,
  },
  {
    name: 'log-sum-exp-values:set=non-finite',
    families: ['log-sum-exp'],
    levels: nonFiniteLevels,
    requires: { ...ieee, kernel: 'logSumExp' },
  },
  {
    name: 'log-sum-exp-derivatives:set=finite',
    families: ['log-sum-exp'],
    levels: { ...masked, member: ['gradient', 'vjp', 'jvp'] },
    requires: { kernel: null },
  },
  {
    name: 'elementwise:set=finite',
    families: ['sigmoid', 'relu'],
    levels: { ...noOptions, member: ['values', 'vjp', 'jvp', 'jacobian', 'diagonal'], length: shortLengths },
    requires: { kernel: null },
  },
  {
    name: 'cross-entropy:set=finite',
    families: ['cross-entropy'],
    levels: {
      ...crossEntropyLevels,
      member: ['loss', 'gradient', 'vjp', 'jvp'],
      length: lengths.filter((sizes) => sizes[0] !== 31),
      input: ['spread', 'wide', 'displaced', 'late'],
      rank: [1, 2, 3, 4],
    },
    requires: { kernel: null },
  },
  ...secondDerivatives('second-derivatives', ['softmax', 'softmin', 'log-softmax', 'log-sum-exp']),
  {
    name: 'cross-entropy-hvp:set=finite',
    families: ['cross-entropy'],
    levels: { ...crossEntropyLevels, member: ['hvp'] },
    requires: { kernel: null },
  },
];

/** The hvp of functions over rows. */
function secondDerivatives(name: string, families: readonly string[]): readonly Group[] {
  return [
    { name: `${name}:set=finite`, families, levels: { ...tempered, member: ['hvp'] }, requires: { kernel: null } },
    {
      name: `${name}:set=non-finite`,
      families,
      levels: { ...nonFiniteLevels, member: ['hvp'] },
      requires: { ...ieee, kernel: null },
    },
  ];
}

/**
 * One group for each member of cross-entropy. Almost every combination needs a kernel of its own; backends that compile kernels at run
 * time take seconds for it, where others take milliseconds. They have no float64.
 */
const inFloat64: readonly Group[] = (['loss', 'gradient', 'vjp', 'jvp'] as const).map((member) => ({
  name: `cross-entropy-${member}:set=finite`,
  families: ['cross-entropy'],
  levels: { ...crossEntropyLevels, member: [member] },
  requires: { kernel: null },
}));

/** Options × layouts × inputs: every pair of levels occurs in some combination. */
export const combinations: readonly ConformanceCase[] = floatDTypes.flatMap((dtype) =>
  groupsOf(dtype).map((group) => {
    const requires = { ...group.requires, dtype, classes: Math.max(...group.levels.length.flat()) };
    // A composition has the same steps in every dtype.
    const isComposable = dtype === 'float32' && group.requires.features === undefined;
    const check = (backend: Backend) =>
      checkEach(
        trialsOf(group.name, dtype),
        ({ parameters }) => parameters,
        (trial) => checkTrial(backend, trial),
      );
    return defineCase(`combinations/${group.name}${dtypeSuffix(dtype)}`, requires, check, isComposable);
  }),
);

function groupsOf(dtype: FloatDType): readonly Group[] {
  if (dtype === 'float32') return groups;
  // float16 has no kernels of its own, so pairs of levels are enough.
  return dtype === 'float64' ? [...groups, ...inFloat64] : groups.filter(({ requires }) => !requires.features);
}

/** The combinations of a group, with the sizes drawn for the dtype. Made on first use. */
export const trialsOf = memoized((name: string, dtype: FloatDType): readonly Trial[] => {
  const group = groupsOf(dtype).find((candidate) => candidate.name === name);
  if (!group) throw new Error(`unknown group '${name}'`);
  const levels = dtype === 'float16' ? forFloat16(group.levels) : group.levels;
  const array = arrayOf(inFamilies(levels, group.families));
  return array.map((combination, index) => trial(group, combination, dtype, `${name}:${dtype}:${index}`));
});

/** The covering array, shared by float32 and float64 and by all groups with the same levels; the sizes are drawn separately. */
const arrayOf = memoized((levels: FamilyLevels) =>
  coveringArray(levels, { seed: 'combinations', allowed: (chosen) => isAllowed(chosen, levels) }),
);

type FamilyLevels = Levels & { readonly family: readonly string[] };

/** The levels with the family as an option, without the outputs that no member supports. */
function inFamilies(levels: Levels, families: readonly string[]): FamilyLevels {
  const possible = levels.out.filter((out) =>
    families.some((family) => levels.member.some((member) => canBeOut(out, family, member))),
  );
  return { ...levels, family: families, out: possible };
}

/** Leaves out sums of large losses and quotients of large logits, which overflow float16. */
function forFloat16(levels: Levels): Levels {
  return {
    ...levels,
    input: levels.input.filter((input) => input !== 'huge'),
    temperature: levels.temperature.filter((temperature) => temperature === undefined || temperature > 1),
    length: levels.length.filter((sizes) => sizes.every((size) => size < 40)),
  };
}

function isAllowed(chosen: Partial<Combination<FamilyLevels>>, levels: FamilyLevels): boolean {
  const { family, member, out, target, ignoreIndex = 'default', length } = chosen;
  if (!isPossible(chosen)) return false;
  const families = family === undefined ? levels.family : [family];
  const members = member === undefined ? levels.member : [member];
  if (out !== undefined && !families.some((f) => members.some((m) => canBeOut(out, f, m)))) return false;
  if (target === 'indices') {
    if (out === 'target') return false;
    // Otherwise every row would be ignored.
    if (ignoreIndex !== 'default' && length?.[0] === 1) return false;
  } else if (target !== undefined && (ignoreIndex === 'last' || Number(ignoreIndex) >= 0)) {
    // Refused: rows of probabilities have no class index.
    return false;
  }
  return true;
}

/** Whether the operand has the same shape as the result. */
function canBeOut(out: Out, family: string, member: string): boolean {
  if (out === 'none' || out === 'given') return true;
  if (isMatrix(member) || isRowwise(family, member)) return false;
  if (out === 'target') return family === 'cross-entropy';
  if (out === 'operand 1') {
    const cotangentHasFewer = family === 'log-sum-exp' || family === 'cross-entropy';
    return (member === 'vjp' || member === 'jvp' || isSecond(member)) && !cotangentHasFewer;
  }
  if (out === 'operand 2') return isSecond(member);
  return true;
}

const crossEntropyOf = memoized((setting: CrossEntropySetting) => crossEntropyOperations(setting));

function trial(group: Group, combination: Combination<FamilyLevels>, dtype: FloatDType, seed: string): Trial {
  const { family, member, out, target, reduction, labelSmoothing, weighted, ignoreIndex } = combination;
  const asTensor = out === 'target' || randomFrom(`${seed}:target`)() < 0.5;
  const setting: CrossEntropySetting = {
    target,
    reduction,
    weighted,
    ignoreIndex,
    asTensor,
    ...(labelSmoothing !== undefined && { labelSmoothing }),
  };
  const isCrossEntropy = family === 'cross-entropy';
  const operation = find(isCrossEntropy ? crossEntropyOf(setting) : operations, family, member);
  const made = trialOf(operation, combination, {
    out,
    dtype,
    seed,
    isScalar: isCrossEntropy && isRowwise(family, member) && reduction !== 'none',
    keepsEveryRow: group.keepsEveryRow ?? false,
  });
  if (!isCrossEntropy) return made;
  const parameters = `${made.parameters};${settingParameters(setting)}${asTensor ? ';target is a tensor' : ''}`;
  return { ...made, parameters };
}

function find(list: readonly Operation[], family: string, member: string): Operation {
  const found = list.find((operation) => operation.family === family && operation.member === member);
  if (!found) throw new Error(`unknown operation '${family}/${member}'`);
  return found;
}
