import type { ReferenceTarget } from '../../reference/cross-entropy.js';
import { rowIndices, rowValues } from '../../reference/functions.js';
import type { CrossEntropyTarget } from '../../src/index.js';
import { cycled, randomFrom, rounded } from '../inputs.js';
import type { Problem } from '../statement.js';
import type { Operand } from './operation.js';

/** The target of a cross-entropy operation and its ignoreIndex. */
export interface TargetSetting {
  /**
   * ignored: indices, with −100 in every third row. largest: the index of the row's largest logit. unnormalised: probabilities, with one row that
   * sums to 0.6 or 1.7. nearly: probabilities, 1 for the row's largest logit and tiny ones for the others. nothing: probabilities that are all 0.
   */
  readonly target: 'indices' | 'probabilities' | 'ignored' | 'largest' | 'unnormalised' | 'nearly' | 'nothing';
  /** Every third row, starting with the second, has this index, and no other row has it if there is another class. 'last' is the index of the last class. */
  readonly ignoreIndex?: number | 'default' | 'last';
  /** The target is a tensor and the last operand. */
  readonly asTensor?: boolean;
}

/** The index that is ignored. */
export function ignoreIndexOf({ ignoreIndex = 'default' }: TargetSetting, { rows }: Problem): number {
  if (ignoreIndex === 'default') return -100;
  return ignoreIndex === 'last' ? rows.classes - 1 : ignoreIndex;
}

/** Class indices that the mask keeps (ignoreIndex if it keeps none), or seeded probabilities. */
export function targetOf(setting: TargetSetting, problem: Problem): ReferenceTarget {
  if (setting.target === 'probabilities' || setting.target === 'unnormalised') {
    return { kind: 'probabilities', values: shares(problem, setting.target === 'unnormalised') };
  }
  if (setting.target === 'nothing') return { kind: 'probabilities', values: new Float64Array(problem.values.length) };
  const { rows, parameters } = problem;
  if (setting.target === 'nearly') return { kind: 'probabilities', values: nearlyOneHot(problem) };
  if (setting.target === 'largest') {
    return { kind: 'indices', values: rowIndices(rows).map((at) => largestOf(problem, at)) };
  }
  const ignored = ignoreIndexOf(setting, problem);
  const values = rowIndices(rows).map((at, row) => {
    if (setting.target === 'ignored' && row % 3 === 0) return -100;
    if (setting.ignoreIndex !== undefined && row % 3 === 1) return ignored;
    const kept = at.flatMap((i, c) => (c !== ignored && (!parameters.mask || parameters.mask[i]) ? [c] : []));
    return kept.length === 0 ? ignored : cycled(kept, row * 2 + 1);
  });
  return { kind: 'indices', values };
}

/** The target as a plain argument. */
export function targetArgument({ kind, values }: ReferenceTarget, problem: Problem): CrossEntropyTarget {
  if (kind === 'probabilities') return { data: Float64Array.from(values), shape: problem.shape };
  return Int32Array.from(values);
}

/** The target as an operand. */
export function targetOperand({ kind, values }: ReferenceTarget, problem: Problem): Operand {
  if (kind === 'probabilities') return { values: Float64Array.from(values), shape: problem.shape };
  const shape = problem.shape.filter((_, k) => k !== problem.axis);
  return { values: Float64Array.from(values), shape, dtype: 'int32' };
}

/** The class of the largest logit of a row. */
function largestOf({ values }: Problem, at: readonly number[]): number {
  const logits = rowValues(values, at);
  return logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));
}

/** 1 at the largest logit. What the other classes have together is from 2⁻⁸ to 2⁻⁵⁷, in another order than the probabilities of 'peaked' rows. */
function nearlyOneHot(problem: Problem): Float64Array {
  const values = new Float64Array(problem.values.length);
  rowIndices(problem.rows).forEach((at, row) => {
    const largest = largestOf(problem, at);
    at.forEach((i, c) => {
      const share = (1 + (c % 3)) / (2 * at.length);
      values[i] = c === largest ? 1 : rounded(share * 2 ** -(8 + ((7 * row) % 50)), problem.dtype);
    });
  });
  return values;
}

function shares({ rows, dtype, values: logits }: Problem, unnormalised: boolean): Float64Array {
  const values = new Float64Array(logits.length);
  rowIndices(rows).forEach((at, row) => {
    const random = randomFrom(`target:${row}:${rows.classes}`);
    const parts = at.map((i, c) => ({ i, part: c % 4 === 2 ? 0 : random() }));
    const sum = parts.reduce((whole, { part }) => whole + part, 0);
    const total = unnormalised ? (row % 2 ? 1.7 : 0.6) : 1;
    for (const { i, part } of parts) values[i] = rounded((part / sum) * total, dtype);
  });
  return values;
}
