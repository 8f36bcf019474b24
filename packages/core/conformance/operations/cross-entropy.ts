import { type CrossEntropyOptions, type CrossEntropyTarget, crossEntropy, type Tensor } from '../../src/index.js';
import { randomFrom, rounded } from '../inputs.js';
import type { Problem } from '../problem.js';
import { rowIndices } from '../reference.js';
import {
  crossEntropyJvp,
  crossEntropyVjp,
  type ReferenceCrossEntropyOptions,
  type ReferenceTarget,
  crossEntropy as reference,
} from '../reference-cross-entropy.js';
import {
  crossEntropyGradientTolerance,
  crossEntropyJvpTolerance,
  crossEntropyLossTolerance,
} from '../tolerance-cross-entropy.js';
import { cotangentOf, logitsOf, named, type Operand, type Operation } from './operation.js';

/** The options of one cross-entropy operation, as a case's id has them. */
export interface CrossEntropySetting {
  readonly target: 'indices' | 'probabilities' | 'ignored';
  readonly reduction?: 'mean' | 'sum' | 'none';
  readonly labelSmoothing?: number;
  /** Weights 0.5, 1, 1.5, … by class. */
  readonly weighted?: boolean;
}

/** Loss, gradient, vjp and jvp of cross-entropy under a setting. */
export function crossEntropyOperations(setting: CrossEntropySetting): readonly Operation[] {
  const family = { family: 'cross-entropy', takes: ['axis', 'temperature', 'mask'] } as const;
  const { reduction = 'mean' } = setting;
  const options = (problem: Problem): ReferenceCrossEntropyOptions => ({
    ...problem.parameters,
    reduction,
    labelSmoothing: setting.labelSmoothing ?? 0,
    weight: setting.weighted ? weights(problem) : null,
  });
  const call = (problem: Problem): readonly [CrossEntropyTarget, CrossEntropyOptions] => {
    const weight = setting.weighted ? { weight: weights(problem) } : {};
    const smoothing = setting.labelSmoothing === undefined ? {} : { labelSmoothing: setting.labelSmoothing };
    return [targetArgument(setting, problem), { reduction, ...weight, ...smoothing }];
  };
  const lossCotangent = (problem: Problem): Operand => {
    if (reduction !== 'none') return { values: Float64Array.of(rounded(-1.5, problem.dtype)), shape: [] };
    const count = problem.rows.outer * problem.rows.inner;
    const values = Float64Array.from({ length: count }, (_, r) => rounded(((r % 5) - 2) / 2, problem.dtype));
    return { values, shape: problem.shape.filter((_, k) => k !== problem.axis) };
  };
  const member = (
    name: 'loss' | 'gradient' | 'vjp' | 'jvp',
    rest: Pick<Operation, 'operands' | 'needs' | 'expected' | 'tolerance'> & {
      run(
        tensors: readonly Tensor[],
        target: CrossEntropyTarget,
        options: CrossEntropyOptions & { out?: Tensor },
      ): Tensor;
    },
  ): Operation => ({
    ...named(family, name),
    ...rest,
    apply: (tensors, shared, problem) => {
      const [target, own] = call(problem);
      return rest.run(tensors, target, { ...own, ...shared });
    },
  });
  return [
    member('loss', {
      needs: () => (reduction === 'none' ? 'crossEntropy' : null),
      operands: (problem) => [logitsOf(problem)],
      run: ([x], target, all) => crossEntropy.loss(x, target, all),
      expected: ([x], problem) => reference(x, targetOf(setting, problem), problem.rows, options(problem)).loss,
      tolerance: (precision, [x], expected, problem) =>
        crossEntropyLossTolerance(precision, x, targetOf(setting, problem), expected, problem.rows, options(problem)),
    }),
    member('gradient', {
      needs: () => 'crossEntropy',
      operands: (problem) => [logitsOf(problem)],
      run: ([x], target, all) => crossEntropy.gradient(x, target, all),
      expected: ([x], problem) => reference(x, targetOf(setting, problem), problem.rows, options(problem)).gradient,
      tolerance: (precision, [x], expected, problem) =>
        crossEntropyGradientTolerance(
          precision,
          x,
          targetOf(setting, problem),
          null,
          expected,
          problem.rows,
          options(problem),
        ),
    }),
    member('vjp', {
      needs: () => null,
      operands: (problem) => [logitsOf(problem), lossCotangent(problem)],
      run: ([x, g], target, all) => crossEntropy.vjp(x, target, g, all),
      expected: ([x, g], problem) => crossEntropyVjp(x, targetOf(setting, problem), g, problem.rows, options(problem)),
      tolerance: (precision, [x, g], expected, problem) =>
        crossEntropyGradientTolerance(
          precision,
          x,
          targetOf(setting, problem),
          g,
          expected,
          problem.rows,
          options(problem),
        ),
    }),
    member('jvp', {
      needs: () => null,
      operands: (problem) => [logitsOf(problem), cotangentOf(problem)],
      run: ([x, t], target, all) => crossEntropy.jvp(x, target, t, all),
      expected: ([x, t], problem) => crossEntropyJvp(x, targetOf(setting, problem), t, problem.rows, options(problem)),
      tolerance: (precision, [x, t], expected, problem) =>
        crossEntropyJvpTolerance(precision, x, targetOf(setting, problem), t, expected, problem.rows, options(problem)),
    }),
  ];
}

/** The setting as parameters of an id. */
export function settingParameters({ target, reduction, labelSmoothing, weighted }: CrossEntropySetting): string {
  const smoothing = labelSmoothing === undefined ? '' : `;labelSmoothing=${labelSmoothing}`;
  return `target=${target}${reduction ? `;reduction=${reduction}` : ''}${smoothing}${weighted ? ';weight=classes' : ''}`;
}

/**
 * Class indices that the mask keeps (−100 where it keeps none and, for 'ignored', in every third row), or seeded
 * probabilities that add up to 1.
 */
function targetOf({ target }: CrossEntropySetting, problem: Problem): ReferenceTarget {
  const { rows, dtype, parameters } = problem;
  const indices = rowIndices(rows);
  if (target === 'probabilities') {
    const values = new Float64Array(problem.values.length);
    indices.forEach((at, row) => {
      const random = randomFrom(`target:${row}:${rows.classes}`);
      const shares = at.map((_, c) => (c % 4 === 2 ? 0 : random()));
      const sum = shares.reduce((a, b) => a + b, 0);
      at.forEach((i, c) => {
        values[i] = rounded(shares[c] / sum, dtype);
      });
    });
    return { kind: 'probabilities', values };
  }
  const values = indices.map((at, row) => {
    if (target === 'ignored' && row % 3 === 0) return -100;
    const kept = at.flatMap((i, c) => (!parameters.mask || parameters.mask[i] ? [c] : []));
    return kept.length === 0 ? -100 : kept[(row * 2 + 1) % kept.length];
  });
  return { kind: 'indices', values };
}

function targetArgument(setting: CrossEntropySetting, problem: Problem): CrossEntropyTarget {
  const { kind, values } = targetOf(setting, problem);
  if (kind === 'probabilities') return { data: Float64Array.from(values), shape: problem.shape };
  return Int32Array.from(values);
}

function weights({ rows }: Problem): Float64Array {
  return Float64Array.from({ length: rows.classes }, (_, c) => (c + 1) / 2);
}
