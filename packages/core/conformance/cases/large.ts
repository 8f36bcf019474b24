import type { Backend, FloatDType } from '../../src/index.js';
import type { Operation } from '../operations/operation.js';
import { checkValues, meetsNonFinite, parametersOf, problemOf } from '../problem.js';
import type { ProblemStatement } from '../statement.js';
import { checkEach } from '../sweep.js';

/**
 * Rows so long, so many and such wide blocks of rows side by side that a kernel may treat them by other lines than shorter, fewer and narrower ones,
 * with the options that it may have forgotten there.
 */
const large: readonly ProblemStatement[] = [
  { shape: [2, 1030], axis: 1, input: 'spread', temperature: 0.37, mask: 'row' },
  { shape: [1, 4100], axis: 1, input: 'narrow', temperature: 2.87, mask: 'end' },
  { shape: [1, 1030], axis: 1, input: 'behind', temperature: 2.87 },
  { shape: [1030, 2], axis: 0, input: 'spread', temperature: 2.87, mask: 'row' },
  { shape: [66, 45], axis: 0, input: 'spread', temperature: 0.37, mask: 'row' },
  { shape: [331, 3], axis: 1, input: 'spread', temperature: 2.87, mask: 'full' },
  { shape: [3, 331], axis: 0, input: 'spread', temperature: 0.37, mask: 'full' },
];

/**
 * Jacobians of many rows, of blocks of rows side by side and of long rows: these in float32 alone, because they take most time, and at a power of two
 * as the temperature, with which the reference takes less.
 */
export function largeMatrices(name: string, dtype: FloatDType): readonly ProblemStatement[] {
  const long: readonly ProblemStatement[] =
    name === 'logSoftmax.jacobian'
      ? [
          { shape: [1, 515], axis: 1, input: 'narrow', temperature: 4 },
          { shape: [259, 2], axis: 0, input: 'narrow' },
        ]
      : [{ shape: [259, 2], axis: 0, input: 'narrow', temperature: 4 }];
  return [
    { shape: [33, 17], axis: 0, input: 'narrow' },
    { shape: [33, 17], axis: 0, input: 'narrow', temperature: 0.37 },
    { shape: [331, 3], axis: 1, input: 'spread', temperature: 2.87 },
    { shape: [3, 331], axis: 0, input: 'spread', temperature: 0.37 },
    ...(dtype === 'float32' ? long : []),
  ];
}

/** One operation on one problem. */
export interface Call {
  readonly operation: Operation;
  readonly statement: ProblemStatement;
  /** True if it is left out where the result is infinite and the backend does not say what such results are. */
  readonly ifFinite?: boolean;
}

/** An operation on each of these problems. */
export function callsOf(operation: Operation, statements: readonly ProblemStatement[]): readonly Call[] {
  return statements.map((statement) => ({ operation, statement }));
}

/** An operation on large problems, with the options that it takes, and without the mask as well if another kernel may take it. */
export function largeCallsOf(operation: Operation): readonly Call[] {
  const { takes, isMaskedByKernel } = operation;
  const takesMask = takes.includes('mask');
  return large.flatMap(({ mask, ...rest }) => {
    const masked = takesMask && mask ? [{ ...rest, mask }] : [];
    const statements = masked.length > 0 && !isMaskedByKernel ? masked : [...masked, rest];
    return statements.map((statement) => ({ operation, statement, ifFinite: true }));
  });
}

/** Checks all of these calls that apply to the backend. */
export function checkCalls(backend: Backend, calls: readonly Call[]): Promise<void> {
  const isIeee = backend.supports.nonFinite === 'ieee';
  const applicable = calls.filter(
    ({ operation, statement, ifFinite }) => isIeee || !ifFinite || !meetsNonFinite(operation, problemOf(statement)),
  );
  return checkEach(
    applicable,
    ({ statement }) => parametersOf(statement),
    ({ operation, statement }) => checkValues(backend, operation, problemOf(statement)),
  );
}
