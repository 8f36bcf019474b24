import {
  crossEntropyGradient,
  crossEntropyHvp,
  crossEntropyJvp,
  crossEntropyLoss,
  crossEntropyVjp,
  type ReferenceCrossEntropyOptions,
  type ReferenceTarget,
} from '../../reference/cross-entropy.js';
import type { Values } from '../../reference/functions.js';
import { type CrossEntropyOptions, type CrossEntropyTarget, crossEntropy, type Tensor } from '../../src/index.js';
import { rounded } from '../inputs.js';
import { memoizedFor } from '../memo.js';
import type { Problem } from '../statement.js';
import {
  crossEntropyGradientTolerance,
  crossEntropyJvpTolerance,
  crossEntropyLossTolerance,
} from '../tolerance-cross-entropy.js';
import { crossEntropyHvpTolerance } from '../tolerance-hvp.js';
import { ignoreIndexOf, type TargetSetting, targetArgument, targetOf, targetOperand } from './cross-entropy-target.js';
import {
  cotangentOf,
  logitsOf,
  type One,
  type Operand,
  type Operation,
  type Three,
  type Two,
  tangentOf,
} from './operation.js';

/** The options of one cross-entropy operation, as written in a case's id. */
export interface CrossEntropySetting extends TargetSetting {
  readonly reduction?: 'mean' | 'sum' | 'none';
  readonly labelSmoothing?: number;
  /** Weights 0.5, 1, 1.5, … by class, every third negative unless a mean divides by their sum; 'zero': 0 for every class. */
  readonly weighted?: boolean | 'zero';
}

/** Loss, gradient, vjp, jvp and hvp of cross-entropy with the same setting. */
export function crossEntropyOperations(setting: CrossEntropySetting): readonly Operation[] {
  const family = { family: 'cross-entropy', takes: ['axis', 'temperature', 'mask'] } as const;
  const { reduction = 'mean' } = setting;
  const options = (problem: Problem): ReferenceCrossEntropyOptions => ({
    ...problem.parameters,
    reduction,
    labelSmoothing: setting.labelSmoothing ?? 0,
    weight: setting.weighted ? weights(problem, setting) : null,
    ignoreIndex: ignoreIndexOf(setting, problem),
  });
  const call = (problem: Problem): readonly [CrossEntropyTarget, CrossEntropyOptions] => {
    const weight = setting.weighted ? { weight: weights(problem, setting) } : {};
    const smoothing = setting.labelSmoothing === undefined ? {} : { labelSmoothing: setting.labelSmoothing };
    const { ignoreIndex } = setting;
    const ignoring =
      ignoreIndex === undefined || ignoreIndex === 'default' ? {} : { ignoreIndex: ignoreIndexOf(setting, problem) };
    return [targetArgument(target(problem), problem), { reduction, ...weight, ...smoothing, ...ignoring }];
  };
  const target = memoizedFor((problem: Problem): ReferenceTarget => targetOf(setting, problem));
  const lossCotangent = (problem: Problem): Operand => {
    if (reduction !== 'none') return { values: Float64Array.of(rounded(-1.5, problem.dtype)), shape: [] };
    const count = problem.rows.outer * problem.rows.inner;
    const values = Float64Array.from({ length: count }, (_, r) => rounded(((r % 5) - 2) / 2, problem.dtype));
    return { values, shape: problem.shape.filter((_, k) => k !== problem.axis) };
  };
  const member = (
    name: 'loss' | 'gradient' | 'vjp' | 'jvp' | 'hvp',
    rest: Pick<Operation, 'operands' | 'needs' | 'expected' | 'tolerance'> & {
      run(
        tensors: readonly Tensor[],
        target: CrossEntropyTarget,
        options: CrossEntropyOptions & { readonly out?: Tensor | undefined },
      ): Tensor;
    },
  ): Operation => ({
    name: `crossEntropy.${name}`,
    ...family,
    member: name,
    ...rest,
    operands: (problem) => {
      const operands = rest.operands(problem);
      return setting.asTensor ? [...operands, targetOperand(target(problem), problem)] : operands;
    },
    apply: (tensors, shared, problem) => {
      const [plain, own] = call(problem);
      const asTensor = setting.asTensor ? tensors.at(-1) : undefined;
      return rest.run(tensors, asTensor ?? plain, { ...own, ...shared });
    },
  });
  return [
    member('loss', {
      needs: () => (reduction === 'none' ? 'crossEntropy' : null),
      operands: (problem) => [logitsOf(problem)],
      run: ([x]: One<Tensor>, target, all) => crossEntropy.loss(x, target, all),
      expected: ([x]: One<Values>, problem) => crossEntropyLoss(x, target(problem), problem.rows, options(problem)),
      tolerance: (precision, [x]: One<Values>, expected, problem) =>
        crossEntropyLossTolerance(precision, x, target(problem), expected, problem.rows, options(problem)),
    }),
    member('gradient', {
      needs: () => 'crossEntropy',
      operands: (problem) => [logitsOf(problem)],
      run: ([x]: One<Tensor>, target, all) => crossEntropy.gradient(x, target, all),
      expected: ([x]: One<Values>, problem) => crossEntropyGradient(x, target(problem), problem.rows, options(problem)),
      tolerance: (precision, [x]: One<Values>, expected, problem) =>
        crossEntropyGradientTolerance(precision, x, target(problem), null, expected, problem.rows, options(problem)),
    }),
    member('vjp', {
      needs: () => null,
      operands: (problem) => [logitsOf(problem), lossCotangent(problem)],
      run: ([x, g]: Two<Tensor>, target, all) => crossEntropy.vjp(x, target, g, all),
      expected: ([x, g]: Two<Values>, problem) =>
        crossEntropyVjp(x, target(problem), g, problem.rows, options(problem)),
      tolerance: (precision, [x, g]: Two<Values>, expected, problem) =>
        crossEntropyGradientTolerance(precision, x, target(problem), g, expected, problem.rows, options(problem)),
    }),
    member('jvp', {
      needs: () => null,
      operands: (problem) => [logitsOf(problem), cotangentOf(problem)],
      run: ([x, t]: Two<Tensor>, target, all) => crossEntropy.jvp(x, target, t, all),
      expected: ([x, t]: Two<Values>, problem) =>
        crossEntropyJvp(x, target(problem), t, problem.rows, options(problem)),
      tolerance: (precision, [x, t]: Two<Values>, expected, problem) =>
        crossEntropyJvpTolerance(precision, x, target(problem), t, expected, problem.rows, options(problem)),
    }),
    member('hvp', {
      needs: () => null,
      operands: (problem) => [logitsOf(problem), lossCotangent(problem), tangentOf(problem)],
      run: ([x, g, t]: Three<Tensor>, target, all) => crossEntropy.hvp(x, target, g, t, all),
      expected: ([x, g, t]: Three<Values>, problem) =>
        crossEntropyHvp(x, target(problem), g, t, problem.rows, options(problem)),
      tolerance: (precision, [x, g, t]: Three<Values>, expected, problem) =>
        crossEntropyHvpTolerance(precision, x, target(problem), g, t, expected, problem.rows, options(problem)),
    }),
  ];
}

/** The setting as parameters of a case's id. */
export function settingParameters(setting: CrossEntropySetting): string {
  const { target, reduction, labelSmoothing, weighted, ignoreIndex } = setting;
  const weight = weighted ? `;weight=${weighted === 'zero' ? 'zero' : 'classes'}` : '';
  const smoothing = labelSmoothing === undefined ? '' : `;labelSmoothing=${labelSmoothing}`;
  const ignoring = ignoreIndex === undefined ? '' : `;ignoreIndex=${ignoreIndex}`;
  const reduced = reduction ? `;reduction=${reduction}` : '';
  return `target=${target}${reduced}${smoothing}${weight}${ignoring}`;
}

function weights({ rows }: Problem, { weighted, reduction = 'mean' }: CrossEntropySetting): Float64Array {
  if (weighted === 'zero') return new Float64Array(rows.classes);
  const signOf = (c: number) => (reduction !== 'mean' && c % 3 === 1 ? -1 : 1);
  return Float64Array.from({ length: rows.classes }, (_, c) => (signOf(c) * (c + 1)) / 2);
}
