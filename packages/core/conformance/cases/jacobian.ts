import { softmaxJacobian as reference, rowIndices, rowValues, softmax } from '../../reference/functions.js';
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
import { type InputName, layout, logits, rounded } from '../inputs.js';
import { plain, runKernel } from '../kernel.js';
import { memoized } from '../memo.js';
import { checkEach, checkSweep, largest, type Sweep, showSweep } from '../sweep.js';
import { precisionOf, softmaxJacobianTolerance } from '../tolerance.js';

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

/** The required kernel `jacobian`. */
export const jacobian: readonly ConformanceCase[] = floatDTypes.flatMap((dtype) => {
  const values = (shape: readonly number[], axis: number, input: InputName, requires: Requirements = {}) =>
    defineKernelCase(
      `jacobian/values:shape=${shape.join('x')};axis=${axis};input=${input}${dtypeSuffix(dtype)}`,
      { dtype, classes: layout(shape, axis).classes, ...requires },
      (backend) => assertValues(backend, dtype, shape, axis, input),
    );
  return [
    ...[1, 0].flatMap((axis) => inputs.map((input) => values([7, 5], axis, input))),
    values([2, 3, 4], 1, 'ramp'),
    values([7, 5], 1, 'nan', { features: ['nonFinite: ieee'] }),
    ...sweeps.map((sweep) =>
      defineKernelCase(
        `jacobian/lengths:shape=${showSweep(sweep)};axis=1;input=narrow${dtypeSuffix(dtype)}`,
        { dtype, classes: largest(sweep, 1) },
        (backend) =>
          checkSweep(sweep, async (shape) => {
            await assertValues(backend, dtype, shape, 1, 'narrow');
            await assertTempered(backend, dtype, shape);
          }),
      ),
    ),
    defineKernelCase(`jacobian/nearly-one-hot${dtypeOnly(dtype)}`, { dtype, classes: 128 }, (backend) =>
      checkEach(confidentLengths, String, (classes) => assertValues(backend, dtype, [13, classes], 1, 'confident')),
    ),
    defineKernelCase(
      `jacobian/nearly-one-hot:shape=1x1000;axis=1;input=peaked${dtypeSuffix(dtype)}`,
      { dtype, classes: 1000, elements: 1e6 },
      (backend) => assertValues(backend, dtype, [1, 1000], 1, 'peaked'),
    ),
    defineKernelCase(`jacobian/symmetric${dtypeOnly(dtype)}`, { dtype }, (backend) =>
      assertSymmetricWithZeroSums(backend, dtype),
    ),
  ];
});

/** The probabilities of the named logits, rounded to the dtype. */
export function probabilities(
  dtype: FloatDType,
  shape: readonly number[],
  axis: number,
  input: InputName,
): Float64Array {
  const s = softmax(logits(input, shape, axis, dtype), layout(shape, axis));
  return s.map((value) => rounded(value, dtype));
}

/** Probabilities and their Jacobians. */
const problem = memoized((dtype: FloatDType, shape: readonly number[], axis: number, input: InputName) => {
  const rows = layout(shape, axis);
  const s = probabilities(dtype, shape, axis, input);
  return { rows, s, expected: reference(s, rows) };
});

async function run(backend: Backend, dtype: FloatDType, s: Float64Array, rows: ReturnType<typeof layout>) {
  return runKernel(backend, { length: s.length * rows.classes, dtype }, [{ values: s, dtype }], (out, [buffer]) =>
    backend.jacobian(out, buffer, rows, plain),
  );
}

async function assertValues(
  backend: Backend,
  dtype: FloatDType,
  shape: readonly number[],
  axis: number,
  input: InputName,
): Promise<void> {
  const { rows, s, expected } = problem(dtype, shape, axis, input);
  const tolerance = softmaxJacobianTolerance(precisionOf(backend.supports, dtype), s, expected, rows);
  assertClose(`jacobian of ${shape.join('x')}`, await run(backend, dtype, s, rows), expected, tolerance);
}

/** At a temperature, unless the kernel declines it there. */
async function assertTempered(backend: Backend, dtype: FloatDType, shape: readonly number[]): Promise<void> {
  const { rows, s } = problem(dtype, shape, 1, 'narrow');
  const parameters = { temperature: -2.87 };
  let declined = false;
  const out = { length: s.length * rows.classes, dtype };
  const actual = await runKernel(backend, out, [{ values: s, dtype }], (written, [buffer]) => {
    declined = backend.jacobian(written, buffer, rows, parameters) === false;
  });
  if (declined) return;
  const expected = reference(s, rows, parameters);
  const tolerance = softmaxJacobianTolerance(precisionOf(backend.supports, dtype), s, expected, rows, parameters);
  assertClose(`jacobian of ${shape.join('x')} at the temperature −2.87`, actual, expected, tolerance);
}

/** J = Jᵀ, and its rows and columns sum to 0. */
async function assertSymmetricWithZeroSums(backend: Backend, dtype: FloatDType): Promise<void> {
  const shape = [4, 9];
  const rows = layout(shape, 1);
  const s = probabilities(dtype, shape, 1, 'spread');
  const actual = await run(backend, dtype, s, rows);
  const bound = softmaxJacobianTolerance(precisionOf(backend.supports, dtype), s, reference(s, rows), rows);
  const entry = (row: number, r: number, c: number) => (row * 9 + r) * 9 + c;
  const transposed = rowValues(
    actual,
    Array.from(actual, (_, i) => entry(Math.floor(i / 81), i % 9, Math.floor(i / 9) % 9)),
  );
  assertClose(
    'the transposed Jacobian',
    transposed,
    actual,
    bound.map((value) => 2 * value),
  );
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
