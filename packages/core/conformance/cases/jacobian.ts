import { rowIndices, rowValues } from '../../reference/functions.js';
import type { Backend, FloatDType } from '../../src/index.js';
import {
  type ConformanceCase,
  defineKernelCase,
  dtypeOnly,
  dtypeSuffix,
  floatDTypes,
  type Requirements,
} from '../case.js';
import { assertClose } from '../check.js';
import type { InputName } from '../inputs.js';
import { runKernel } from '../kernel.js';
import type { Operation } from '../operations/operation.js';
import type { ProblemStatement } from '../statement.js';
import { checkEach, type Sweep } from '../sweep.js';
import { checkRequired, exampleOf, required, runRequired, type Subject, sweepCase, valuesCase } from './required.js';

const inputs = ['ramp', 'spread', 'wide', 'removed', 'ties', 'onehot'] as const;
/** Row lengths and numbers of rows, in matrices that stay small. */
const sweeps: readonly Sweep[] = [
  [2, [1, 9]],
  [2, [15, 17]],
  [2, [31, 33]],
  [2, [63, 65]],
  [1, [127, 129]],
  [[1, 9], 3],
  [[31, 33], 3],
  [[255, 257], 3],
];

/** Numbers of classes at which a kernel switches to another way of summing the other entries of a row. */
export const confidentLengths = [2, 3, 4, 10, 17, 128];

const subject: Subject = {
  kernel: 'jacobian',
  check: (backend, statement) => checkRequired(backend, 'jacobian', statement),
};

/** Also at a temperature. */
const alsoTempered: Subject = {
  kernel: 'jacobian',
  async check(backend, statement) {
    await subject.check(backend, statement);
    await assertTempered(backend, statement);
  },
};

/** The required kernel `jacobian`. */
export const jacobian: readonly ConformanceCase[] = floatDTypes.flatMap((dtype) => {
  const values = (shape: readonly number[], axis: number, input: InputName, requires: Requirements = {}) =>
    valuesCase(subject, { shape, axis, input, dtype }, requires);
  return [
    ...[1, 0].flatMap((axis) => inputs.map((input) => values([7, 5], axis, input))),
    values([2, 3, 4], 1, 'ramp'),
    values([7, 5], 1, 'nan', { features: ['nonFinite: ieee'] }),
    ...sweeps.map((sweep) => sweepCase(alsoTempered, sweep, { axis: 1, input: 'narrow', dtype })),
    defineKernelCase(`jacobian/nearly-one-hot${dtypeOnly(dtype)}`, { dtype, classes: 128 }, (backend) =>
      checkEach(confidentLengths, String, (classes) =>
        subject.check(backend, { shape: [13, classes], axis: 1, input: 'confident', dtype }),
      ),
    ),
    defineKernelCase(
      `jacobian/nearly-one-hot:shape=1x1000;axis=1;input=peaked${dtypeSuffix(dtype)}`,
      { dtype, classes: 1000, elements: 1e6 },
      (backend) => subject.check(backend, { shape: [1, 1000], axis: 1, input: 'peaked', dtype }),
    ),
    defineKernelCase(`jacobian/symmetric${dtypeOnly(dtype)}`, { dtype }, (backend) =>
      assertSymmetricWithZeroSums(backend, dtype),
    ),
  ];
});

/** The Jacobian at a temperature, of probabilities that were computed without one. */
const tempered: Operation = {
  ...required.jacobian,
  operands: (problem) => required.jacobian.operands({ ...problem, parameters: {} }),
};

/** Unless the kernel declines the temperature. */
async function assertTempered(backend: Backend, statement: ProblemStatement): Promise<void> {
  const { shape, dtype = 'float32' } = statement;
  const temperature = -2.87;
  const { rows, operands, expected, tolerance } = exampleOf(backend, tempered, { ...statement, temperature });
  const given = operands.map((values) => ({ values, dtype }));
  let declined = false;
  const actual = await runKernel(backend, { length: expected.length, dtype }, given, (out, [s]) => {
    declined = backend.jacobian(out, s, rows, { temperature }) === false;
  });
  if (!declined) assertClose(`jacobian of ${shape.join('x')} at the temperature −2.87`, actual, expected, tolerance);
}

/** J = Jᵀ, and its rows and columns sum to 0. */
async function assertSymmetricWithZeroSums(backend: Backend, dtype: FloatDType): Promise<void> {
  const statement: ProblemStatement = { shape: [4, 9], axis: 1, input: 'spread', dtype };
  const { rows, operands, tolerance: bound } = exampleOf(backend, required.jacobian, statement);
  const actual = await runRequired(backend, 'jacobian', dtype, operands, rows);
  const entry = (row: number, r: number, c: number) => (row * 9 + r) * 9 + c;
  const transposed = rowValues(
    actual,
    Array.from(actual, (_, i) => entry(Math.floor(i / 81), i % 9, Math.floor(i / 9) % 9)),
  );
  const ofBoth = Float64Array.from(bound, (value) => 2 * value);
  assertClose('the transposed Jacobian', transposed, actual, ofBoth);
  rowIndices(rows).forEach((at, row) => {
    for (const [r] of at.entries()) {
      const sum = (values: ArrayLike<number>, entries: readonly number[]) =>
        rowValues(values, entries).reduce((a, b) => a + b, 0);
      const ofRow = at.map((_, c) => entry(row, r, c));
      const ofColumn = at.map((_, c) => entry(row, c, r));
      const tolerance = sum(bound, ofRow);
      assertClose(`row sum ${r} of Jacobian ${row}`, [sum(actual, ofRow)], [0], [tolerance]);
      assertClose(`column sum ${r} of Jacobian ${row}`, [sum(actual, ofColumn)], [0], [tolerance]);
    }
  });
}
