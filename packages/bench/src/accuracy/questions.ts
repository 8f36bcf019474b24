import type { BenchDType } from '../workloads.js';
import { type AccuracyInput, repeatsOf } from './inputs.js';
import type { AccuracyOpName } from './ops/names.js';
import type { AccuracyOp } from './ops/op.js';
import { accuracyOps } from './ops/table.js';

/** What is asked of every contender. */
export interface Question {
  readonly op: AccuracyOpName;
  readonly dtype: BenchDType;
  readonly input: AccuracyInput;
}

/** Matrices of longer rows are too many entries. */
const mostResultsOfRow = 1e7;

function isAsked(
  { results, isPeriodic = true, isElementwise, operands, hasFewLongRows, mostClasses = Infinity }: AccuracyOp,
  { classes, around0, target, isForAll }: AccuracyInput,
): boolean {
  if (classes > mostClasses || (hasFewLongRows && !isForAll)) return false;
  if (isElementwise && !around0) return false;
  if (target !== 'indices' && !operands.includes('target')) return false;
  return results(classes) <= mostResultsOfRow && (isPeriodic || repeatsOf(classes) === 1);
}

/** What an input costs: its results, which take less time if they repeat, and as much again as a short input for what is there once. */
export function costOf({ op, input: { classes } }: Question, count: number): number {
  const results = Math.max(count, accuracyOps[op].results(classes));
  return count + results * (repeatsOf(classes) > 1 ? 0.3 : 1);
}

/** All questions about these ops; inputs that an op is not measured on are left out. */
export function questionsOf(
  ops: readonly AccuracyOpName[],
  dtypes: readonly BenchDType[],
  inputs: readonly AccuracyInput[],
): readonly Question[] {
  return ops.flatMap((op) =>
    dtypes.flatMap((dtype) =>
      inputs.filter((input) => isAsked(accuracyOps[op], input)).map((input) => ({ op, dtype, input })),
    ),
  );
}
