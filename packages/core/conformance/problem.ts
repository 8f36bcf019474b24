import type { Backend, FloatDType, HostArray, Supports, Tensor } from '../src/index.js';
import { tensor } from '../src/index.js';
import type { Requirements } from './case.js';
import { dtypeSuffix } from './case.js';
import { assertClose } from './check.js';
import { layout, logits, masks } from './inputs.js';
import { memoized, memoizedFor } from './memo.js';
import type { CallOptions, Operand, Operation } from './operations/operation.js';
import { operationPrecision, type Precision, precisionOf } from './precision.js';
import type { MaskName, Problem, ProblemStatement } from './statement.js';

/** The numbers of a statement. The same object is returned for the same statement. */
export const problemOf: (statement: ProblemStatement) => Problem = memoized((statement) => {
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
});

/** The statement as parameters of a case's id: `shape=7x5;axis=0;input=wide`. */
export function parametersOf(statement: ProblemStatement): string {
  const { shape, axis, input, dtype = 'float32', temperature, mask } = statement;
  const options = `${temperature === undefined ? '' : `;temperature=${temperature}`}${mask ? `;mask=${mask}` : ''}`;
  return `shape=${shape.join('x')};axis=${axis};input=${input}${options}${dtypeSuffix(dtype)}`;
}

/** What a backend must announce for this problem to apply to it. */
export function requirementsOf(operation: Operation, problem: Problem): Requirements {
  const kernel = operation.needs(problem);
  const alsoKernel = operation.alsoNeeds?.(problem);
  return {
    dtype: problem.dtype,
    classes: problem.rows.classes,
    ...(kernel !== undefined && { kernel }),
    ...(alsoKernel && { alsoKernel }),
    ...(meetsNonFinite(operation, problem) && { features: ['nonFinite: ieee'] as const }),
  };
}

/** Whether NaN or infinities occur in operands or results, except for logits of −Infinity in a row with finite ones, which every backend supports. */
export function meetsNonFinite(operation: Operation, problem: Problem): boolean {
  if (!problem.mask && problem.values.every(Number.isFinite)) return false;
  const { operands, expected } = statedFor(operation, problem);
  if (expected.some((value) => !Number.isFinite(value))) return true;
  if (Array.from(operation.passes?.(problem) ?? []).some((value) => !Number.isFinite(value))) return true;
  return operands.some(({ values }) =>
    values.some((value) => {
      if (value === Number.NEGATIVE_INFINITY)
        return values !== problem.values || !operation.takes.includes('temperature');
      return !Number.isFinite(value);
    }),
  );
}

/** The operands as tensors of a backend. */
export function tensorsOf(backend: Backend, operands: readonly Operand[], { dtype }: Problem): readonly Tensor[] {
  return operands.map((operand) => {
    const { values, shape } = operand;
    if (operand.dtype === 'int32') return tensor(Int32Array.from(values), { shape, backend });
    return tensor(values, { shape, dtype, backend });
  });
}

/** The options of a call, restricted to those that the operation takes. */
export function callOptions(operation: Operation, { axis, parameters, mask }: Problem): CallOptions {
  const { temperature = 1 } = parameters;
  return {
    axis,
    ...(operation.takes.includes('temperature') && temperature !== 1 && { temperature }),
    ...(operation.takes.includes('mask') && mask && { mask }),
  };
}

/** Calls an operation on a backend, returns its result and disposes all tensors. */
export async function evaluate(backend: Backend, operation: Operation, problem: Problem): Promise<HostArray> {
  const tensors = tensorsOf(backend, statedFor(operation, problem).operands, problem);
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

/** Compares the result of an operation on a backend with the expected one. @throws Error as `assertClose` */
export async function checkValues(backend: Backend, operation: Operation, problem: Problem): Promise<void> {
  const { expected, tolerance } = expectation(backend, operation, problem);
  assertClose(operation.name, await evaluate(backend, operation, problem), expected, tolerance);
}

/** The expected result of an operation and its tolerance on this backend. */
export function expectation(
  backend: Backend,
  operation: Operation,
  problem: Problem,
): { readonly expected: Float64Array; readonly tolerance: ArrayLike<number> } {
  const { expected, toleranceOf } = statedFor(operation, problem);
  return { expected, tolerance: toleranceOf(precisionIn(backend, problem.dtype, 'operation')) };
}

/** The precision of kernels or of whole operations: the same object for all backends that announce the same, so that bounds are computed once for them. */
export function precisionIn({ supports }: Backend, dtype: FloatDType, of: 'kernel' | 'operation'): Precision {
  return sharedPrecision(supports.expUlp, supports.subnormals, dtype, of);
}

const sharedPrecision = memoized(
  (
    expUlp: Supports['expUlp'],
    subnormals: Supports['subnormals'],
    dtype: FloatDType,
    of: 'kernel' | 'operation',
  ): Precision => (of === 'kernel' ? precisionOf : operationPrecision)({ expUlp, subnormals }, dtype),
);

/** The operands of an operation and the expected result. */
interface Stated {
  readonly operands: readonly Operand[];
  readonly expected: Float64Array;
  /** The tolerance at a precision. */
  toleranceOf(precision: Precision): ArrayLike<number>;
}

const statedOf = memoizedFor((problem: Problem) =>
  memoizedFor((operation: Operation): Stated => {
    const operands = operation.operands(problem);
    const values = operands.map((operand) => operand.values);
    const expected = operation.expected(values, problem);
    const kept = withoutMasked(operation, values, problem);
    const toleranceOf = memoizedFor((precision: Precision) => operation.tolerance(precision, kept, expected, problem));
    return { operands, expected, toleranceOf };
  }),
);

/** The operands with 0 in the masked entries of cotangents and tangents, which have no effect on the result and so none on its error. */
function withoutMasked(
  operation: Operation,
  [first, ...directions]: readonly Float64Array[],
  { parameters: { mask } }: Problem,
): readonly Float64Array[] {
  if (first === undefined) return [];
  if (!mask || !operation.takes.includes('mask')) return [first, ...directions];
  const kept = (values: Float64Array) => values.map((value, i) => (mask[i] ? value : 0));
  return [first, ...directions.map((values) => (values.length === mask.length ? kept(values) : values))];
}

/** The reference and the bounds are cached, because the fused run, the composed run and every backend in the process need the same values. */
export function statedFor(operation: Operation, problem: Problem): Stated {
  return statedOf(problem)(operation);
}

function maskOf(name: MaskName, shape: readonly number[], axis: number): NonNullable<Problem['mask']> {
  if (name === 'full') return { data: masks(shape, axis), shape };
  if (name === 'row' || name === 'end') {
    const row = shape.map((size, k) => (k === axis ? size : 1));
    const data = masks(row, axis);
    if (name === 'end') data.fill(0, 0, data.length >> 1);
    return { data, shape: row };
  }
  const columns = shape.map((size, k) => (k === axis ? 1 : size));
  const count = columns.reduce((a, b) => a * b, 1);
  return { data: Uint8Array.from({ length: count }, (_, row) => (row % 3 === 1 ? 0 : 1)), shape: columns };
}

/** A mask repeated to the full shape, with dimensions aligned at the last one. */
export function broadcast(mask: NonNullable<Problem['mask']>, shape: readonly number[]): Uint8Array {
  const size = shape.reduce((a, b) => a * b, 1);
  const own = [...new Array<number>(shape.length - mask.shape.length).fill(1), ...mask.shape];
  return new Uint8Array(size).map((_, i) => {
    let rest = i;
    let at = 0;
    let stride = 1;
    for (let k = shape.length - 1; k >= 0; k--) {
      const whole = shape[k] ?? 1;
      const ownSize = own[k] ?? 1;
      if (ownSize !== 1) at += (rest % whole) * stride;
      rest = Math.floor(rest / whole);
      stride *= ownSize;
    }
    return mask.data[at] === 0 ? 0 : 1;
  });
}
