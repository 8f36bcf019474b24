import type { Backend, FloatDType, HostArray, Rows } from '../../src/index.js';
import { type ConformanceCase, defineKernelCase, dtypeSuffix, type Requirements } from '../case.js';
import { assertClose } from '../check.js';
import { layout } from '../inputs.js';
import { plain, runKernel } from '../kernel.js';
import { operations } from '../operations/all.js';
import type { Operation } from '../operations/operation.js';
import { precisionIn, problemOf, statedFor } from '../problem.js';
import type { ProblemStatement } from '../statement.js';
import {
  checkEach,
  checkSweep,
  columnRanges,
  largest,
  lengthRanges,
  numbersOfRows,
  rowRanges,
  type Sweep,
  showSweep,
} from '../sweep.js';
import type { Example } from './primitives/example.js';

/** A kernel that every backend has. */
export type RequiredName = 'softmax' | 'vjp' | 'jacobian';

/** The operations that are plain calls of the required kernels: their operands, results and bounds are those of the kernels. */
export const required: Readonly<Record<RequiredName, Operation>> = {
  softmax: operationNamed('softmax'),
  vjp: operationNamed('softmax.vjp'),
  jacobian: operationNamed('softmax.jacobian'),
};

function operationNamed(name: string): Operation {
  const found = operations.find((operation) => operation.name === name);
  if (!found) throw new Error(`unknown operation '${name}'`);
  return found;
}

/** The rows of a plain call, its operands and result, and the bounds of the kernel itself, which in float16 are narrower than those of the operation. */
export function exampleOf(
  backend: Backend,
  operation: Operation,
  statement: ProblemStatement,
): Example & { readonly rows: Rows } {
  const problem = problemOf(statement);
  const { operands, expected, toleranceOf } = statedFor(operation, problem);
  const tolerance = toleranceOf(precisionIn(backend, problem.dtype, 'kernel'));
  return { rows: problem.rows, operands: operands.map(({ values }) => values), expected, tolerance };
}

/** Enqueues a plain call. */
export function enqueue(
  backend: Backend,
  kernel: RequiredName,
  out: unknown,
  [first, second]: readonly unknown[],
  rows: Rows,
): void {
  if (kernel === 'vjp') backend.vjp(out, first, second, rows, plain);
  else backend[kernel](out, first, rows, plain);
}

/** The result of a plain call. */
export function runRequired(
  backend: Backend,
  kernel: RequiredName,
  dtype: FloatDType,
  operands: readonly Float64Array[],
  rows: Rows,
): Promise<HostArray> {
  const { outer, classes, inner } = rows;
  const length = outer * classes * inner * (kernel === 'jacobian' ? classes : 1);
  const given = operands.map((values) => ({ values, dtype }));
  return runKernel(backend, { length, dtype }, given, (out, buffers) => enqueue(backend, kernel, out, buffers, rows));
}

/** Compares a plain call with the reference. @throws Error as `assertClose` */
export async function checkRequired(
  backend: Backend,
  kernel: RequiredName,
  statement: ProblemStatement,
  operation = required[kernel],
): Promise<void> {
  const { shape, dtype = 'float32' } = statement;
  const { rows, operands, expected, tolerance } = exampleOf(backend, operation, statement);
  const actual = await runRequired(backend, kernel, dtype, operands, rows);
  assertClose(`${kernel} of ${shape.join('x')}`, actual, expected, tolerance);
}

/** What the cases of a required kernel have in common. */
export interface Subject {
  readonly kernel: RequiredName;
  /** Parameters in the cases' ids beside those of the statement: `;cotangent=uniform`. */
  readonly parameters?: string;
  check(backend: Backend, statement: ProblemStatement): Promise<void>;
}

type WithoutShape = Omit<ProblemStatement, 'shape'>;

/** A single call. */
export function valuesCase(
  subject: Subject,
  statement: ProblemStatement,
  requires: Requirements = {},
): ConformanceCase {
  const { shape, axis, dtype = 'float32' } = statement;
  return defineKernelCase(
    `${subject.kernel}/values:shape=${shape.join('x')};${settingsOf(subject, statement)}`,
    { dtype, classes: layout(shape, axis).classes, ...requires },
    (backend) => subject.check(backend, statement),
  );
}

/** A call for each shape of a sweep. */
export function sweepCase(subject: Subject, sweep: Sweep, statement: WithoutShape): ConformanceCase {
  const { axis, dtype = 'float32' } = statement;
  return defineKernelCase(
    `${subject.kernel}/lengths:shape=${showSweep(sweep)};${settingsOf(subject, statement)}`,
    { dtype, classes: largest(sweep, axis) },
    (backend) => checkSweep(sweep, (shape) => subject.check(backend, { ...statement, shape })),
  );
}

/** Row lengths and numbers of rows, one after the other and side by side. */
export function lengthCases(subject: Subject, input: ProblemStatement['input'], dtype: FloatDType) {
  const sweep = (shapes: Sweep, axis: number) => sweepCase(subject, shapes, { axis, input, dtype });
  return [
    ...lengthRanges[dtype].map((range) => sweep([3, range], 1)),
    ...columnRanges.map((range) => sweep([range, 3], 0)),
    ...[3, 10].flatMap((classes) => rowRanges.map((range) => sweep([range, classes], 1))),
    ...(dtype === 'float16' ? [] : [1, 0].map((axis) => numbersCase(subject, { axis, input, dtype }))),
  ];
}

/** Numbers of rows of three classes: one after the other, or side by side. */
function numbersCase({ kernel, check }: Subject, statement: WithoutShape): ConformanceCase {
  const { axis, dtype = 'float32' } = statement;
  const id = `${kernel}/lengths:${axis === 1 ? 'rows' : 'columns'}=32..1023;classes=3${dtypeSuffix(dtype)}`;
  return defineKernelCase(id, { dtype }, (backend) =>
    checkEach(numbersOfRows, String, (count) =>
      check(backend, { ...statement, shape: axis === 1 ? [count, 3] : [3, count] }),
    ),
  );
}

/** Everything but the shape, as written in an id. */
function settingsOf({ parameters = '' }: Subject, { axis, input, dtype = 'float32' }: WithoutShape): string {
  return `axis=${axis};input=${input}${parameters}${dtypeSuffix(dtype)}`;
}
