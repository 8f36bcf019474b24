import type { Backend, FloatDType, HostArray, Rows, Tensor } from '../src/index.js';
import { tensor } from '../src/index.js';
import type { Requirements } from './case.js';
import { dtypeSuffix } from './case.js';
import { type InputName, layout, logits, masks } from './inputs.js';
import type { CallOptions, Operand, Operation } from './operations/operation.js';
import type { ReferenceParameters } from './reference.js';
import { operationPrecision } from './tolerance.js';

/** What one case computes, as it stands in the case's id. */
export interface ProblemStatement {
  readonly shape: readonly number[];
  /** Not negative; `call` passes on a negative one if asked to. */
  readonly axis: number;
  readonly input: InputName;
  readonly dtype?: FloatDType;
  readonly temperature?: number;
  readonly mask?: MaskName;
}

/** full: an entry for each logit. row: one row of it for all. columns: constant along the axis, so that rows are kept or emptied as a whole. */
export type MaskName = 'full' | 'row' | 'columns';

/** A statement with its numbers. */
export interface Problem {
  readonly shape: readonly number[];
  readonly axis: number;
  readonly dtype: FloatDType;
  readonly rows: Rows;
  /** The logits. */
  readonly values: Float64Array;
  readonly parameters: ReferenceParameters;
  readonly mask: { readonly data: Uint8Array; readonly shape: readonly number[] } | null;
}

export function problemOf(statement: ProblemStatement): Problem {
  const { shape, axis, input, dtype = 'float32', temperature = 1 } = statement;
  const mask = statement.mask ? maskOf(statement.mask, shape, axis) : null;
  return {
    shape,
    axis,
    dtype,
    rows: layout(shape, axis),
    values: logits(input, shape, axis, dtype),
    parameters: { temperature, mask: mask ? broadcast(mask, shape) : null },
    mask,
  };
}

/** The statement as parameters of an id: `shape=7x5;axis=0;input=wide`. */
export function parametersOf(statement: ProblemStatement): string {
  const { shape, axis, input, dtype = 'float32', temperature, mask } = statement;
  const options = `${temperature === undefined ? '' : `;temperature=${temperature}`}${mask ? `;mask=${mask}` : ''}`;
  return `shape=${shape.join('x')};axis=${axis};input=${input}${options}${dtypeSuffix(dtype)}`;
}

/** What a backend must announce to be asked this. */
export function requirementsOf(operation: Operation, problem: Problem): Requirements {
  const kernel = operation.needs(problem);
  return {
    dtype: problem.dtype,
    classes: problem.rows.classes,
    ...(kernel !== undefined && { kernel }),
    ...(meetsNonFinite(operation, problem) && { features: ['nonFinite: ieee'] as const }),
  };
}

/** Whether NaN or infinities come in or out, beyond logits of −Infinity in a row that has others, which every backend takes. */
function meetsNonFinite(operation: Operation, problem: Problem): boolean {
  if (!problem.mask && problem.values.every(Number.isFinite)) return false;
  const operands = operation.operands(problem).map(({ values }) => values);
  if (operation.expected(operands, problem).some((value) => !Number.isFinite(value))) return true;
  return operands.some((values) =>
    values.some((value) => {
      if (value === Number.NEGATIVE_INFINITY)
        return values !== problem.values || !operation.takes.includes('temperature');
      return !Number.isFinite(value);
    }),
  );
}

/** The operands as tensors of a backend. */
export function tensorsOf(backend: Backend, operands: readonly Operand[], { dtype }: Problem): readonly Tensor[] {
  return operands.map(({ values, shape }) => tensor(values, { shape, dtype, backend }));
}

/** The options to call an operation with: those that it takes. */
export function callOptions(operation: Operation, { axis, parameters, mask }: Problem): CallOptions {
  const { temperature = 1 } = parameters;
  return {
    axis,
    ...(operation.takes.includes('temperature') && temperature !== 1 && { temperature }),
    ...(operation.takes.includes('mask') && mask && { mask }),
  };
}

/** Calls an operation on a backend and gives its result, leaving nothing behind. */
export async function evaluate(backend: Backend, operation: Operation, problem: Problem): Promise<HostArray> {
  const tensors = tensorsOf(backend, operation.operands(problem), problem);
  try {
    const result = operation.apply(tensors, callOptions(operation, problem), problem);
    try {
      return await result.data();
    } finally {
      result.dispose();
    }
  } finally {
    for (const operand of tensors) operand.dispose();
  }
}

/** What an operation should give, and how exactly on this backend. */
export function expectation(backend: Backend, operation: Operation, problem: Problem) {
  const values = operation.operands(problem).map((operand) => operand.values);
  const expected = operation.expected(values, problem);
  const precision = operationPrecision(backend.supports, problem.dtype);
  return { expected, tolerance: operation.tolerance(precision, values, expected, problem) };
}

function maskOf(name: MaskName, shape: readonly number[], axis: number): NonNullable<Problem['mask']> {
  if (name === 'full') return { data: masks(shape, axis), shape };
  if (name === 'row') {
    const row = shape.map((size, k) => (k === axis ? size : 1));
    return { data: masks(row, axis), shape: row };
  }
  const columns = shape.map((size, k) => (k === axis ? 1 : size));
  const count = columns.reduce((a, b) => a * b, 1);
  return { data: Uint8Array.from({ length: count }, (_, row) => (row % 3 === 1 ? 0 : 1)), shape: columns };
}

/** A mask of as many dimensions, repeated to the full shape. */
function broadcast(mask: NonNullable<Problem['mask']>, shape: readonly number[]): Uint8Array {
  const size = shape.reduce((a, b) => a * b, 1);
  return Uint8Array.from({ length: size }, (_, i) => {
    let rest = i;
    let at = 0;
    let stride = 1;
    for (let k = shape.length - 1; k >= 0; k--) {
      if (mask.shape[k] !== 1) at += (rest % shape[k]) * stride;
      rest = Math.floor(rest / shape[k]);
      stride *= mask.shape[k];
    }
    return mask.data[at];
  });
}
