import type { Backend, HostArray, Tensor } from '../../../src/index.js';
import { firstDType, type Requirements } from '../../case.js';
import { assert } from '../../check.js';
import type { CallOptions, Operation } from '../../operations/operation.js';
import { callOptions, problemOf, statedFor, tensorsOf } from '../../problem.js';
import type { Problem, ProblemStatement } from '../../statement.js';

/** A law that holds for every operation, written once. */
export interface Law {
  readonly name: string;
  readonly composable: boolean;
  requires?(operation: Operation): Requirements;
  appliesTo?(operation: Operation): boolean;
  run(backend: Backend, operation: Operation): Promise<void>;
}

/** The problem of a law, unless it needs another one. */
export const statement: ProblemStatement = { shape: [3, 4], axis: 1, input: 'ramp' };

/** Rows from nearly uniform to nearly one-hot. */
export const spread: Partial<ProblemStatement> = { shape: [3, 7], input: 'spread' };

export const ieee: Requirements = { features: ['nonFinite: ieee'] };

export function problemIn(backend: Backend, other: Partial<ProblemStatement> = {}): Problem {
  return problemOf({ ...statement, dtype: firstDType(backend), ...other });
}

/** Calls `body` with the operands as tensors, and disposes them. */
export async function withTensors(
  backend: Backend,
  operation: Operation,
  problem: Problem,
  body: (tensors: readonly Tensor[], options: CallOptions) => Promise<void>,
): Promise<void> {
  const tensors = tensorsOf(backend, statedFor(operation, problem).operands, problem);
  try {
    await body(tensors, callOptions(operation, problem));
  } finally {
    for (const operand of tensors) operand.dispose();
  }
}

/** Calls `body` with each operand in turn, among newly made tensors. */
export async function withEachOperand(
  backend: Backend,
  operation: Operation,
  problem: Problem,
  body: (operand: Tensor, k: number, tensors: readonly Tensor[], options: CallOptions) => Promise<void>,
): Promise<void> {
  const { length } = statedFor(operation, problem).operands;
  for (let k = 0; k < length; k++) {
    await withTensors(backend, operation, problem, async (tensors, options) => {
      const operand = tensors[k];
      assert(operand !== undefined, `${operation.name} has no operand ${k}`);
      await body(operand, k, tensors, options);
    });
  }
}

export async function take(result: Tensor): Promise<HostArray> {
  try {
    return await result.data();
  } finally {
    result.dispose();
  }
}
