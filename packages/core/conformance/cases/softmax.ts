import { softmax as reference, rowIndices, rowValues } from '../../reference/functions.js';
import type { Backend, FloatDType } from '../../src/index.js';
import {
  type ConformanceCase,
  defineKernelCase,
  dtypeOnly,
  dtypeSuffix,
  floatDTypes,
  type Requirements,
} from '../case.js';
import { assertClose, assertSame } from '../check.js';
import { type InputName, layout, logits } from '../inputs.js';
import { plain, runKernel, upload } from '../kernel.js';
import { memoized } from '../memo.js';
import {
  checkEach,
  checkSweep,
  columnRanges,
  explaining,
  largest,
  lengthRanges,
  numbersOfRows,
  rowRanges,
  type Sweep,
  showSweep,
} from '../sweep.js';
import { precisionOf, softmaxTolerance } from '../tolerance.js';

const finite = ['ramp', 'narrow', 'spread', 'broad', 'wide', 'shifted', 'removed', 'ties', 'onehot', 'huge'] as const;
const nonFinite = ['nan', 'infinite', 'nothing'] as const;

/** The required kernel `softmax`. */
export const softmax: readonly ConformanceCase[] = [
  ...floatDTypes.flatMap(ofDType),
  valuesCase('float32', [1, 65537], 1, 'spread'),
  valuesCase('float32', [1, 65537], 1, 'last'),
];

function valuesCase(
  dtype: FloatDType,
  shape: readonly number[],
  axis: number,
  input: InputName,
  requires: Requirements = {},
): ConformanceCase {
  return defineKernelCase(
    `softmax/values:shape=${shape.join('x')};axis=${axis};input=${input}${dtypeSuffix(dtype)}`,
    { dtype, classes: layout(shape, axis).classes, ...requires },
    (backend) => assertValues(backend, dtype, shape, axis, input),
  );
}

function sweepCase(dtype: FloatDType, sweep: Sweep, axis: number): ConformanceCase {
  return defineKernelCase(
    `softmax/lengths:shape=${showSweep(sweep)};axis=${axis};input=spread${dtypeSuffix(dtype)}`,
    { dtype, classes: largest(sweep, axis) },
    (backend) => checkSweep(sweep, (shape) => assertValues(backend, dtype, shape, axis, 'spread')),
  );
}

/** Numbers of rows of three classes: one after the other, or side by side. */
function numbersCase(dtype: FloatDType, axis: number): ConformanceCase {
  const id = `softmax/lengths:${axis === 1 ? 'rows' : 'columns'}=32..1023;classes=3${dtypeSuffix(dtype)}`;
  return defineKernelCase(id, { dtype }, (backend) =>
    checkEach(numbersOfRows, String, (count) =>
      assertValues(backend, dtype, axis === 1 ? [count, 3] : [3, count], axis, 'spread'),
    ),
  );
}

function ofDType(dtype: FloatDType): readonly ConformanceCase[] {
  const values = (shape: readonly number[], axis: number, input: InputName, requires: Requirements = {}) =>
    valuesCase(dtype, shape, axis, input, requires);
  return [
    ...[1, 0].flatMap((axis) => finite.map((input) => values([7, 5], axis, input))),
    ...[1, 0].flatMap((axis) =>
      nonFinite.map((input) => values([7, 5], axis, input, { features: ['nonFinite: ieee'] })),
    ),
    ...(['ramp', 'spread'] as const).map((input) => values([2, 3, 4], 1, input)),
    ...(['wide', 'shifted', 'narrow', 'removed'] as const).map((input) => values([3, 130], 1, input)),
    values([2, 3000], 1, 'last'),
    ...lengthRanges[dtype].map((range) => sweepCase(dtype, [3, range], 1)),
    ...columnRanges.map((range) => sweepCase(dtype, [range, 3], 0)),
    ...[3, 10].flatMap((classes) => rowRanges.map((range) => sweepCase(dtype, [range, classes], 1))),
    ...(dtype === 'float16' ? [] : [1, 0].map((axis) => numbersCase(dtype, axis))),
    defineKernelCase(`softmax/sums${dtypeOnly(dtype)}`, { dtype }, (backend) => assertSums(backend, dtype)),
    defineKernelCase(`softmax/input-unchanged${dtypeOnly(dtype)}`, { dtype }, (backend) =>
      assertInputUnchanged(backend, dtype),
    ),
    defineKernelCase(`softmax/in-place${dtypeOnly(dtype)}`, { dtype, features: ['inPlace'] }, (backend) =>
      assertInPlace(backend, dtype),
    ),
    defineKernelCase(`softmax/deterministic${dtypeOnly(dtype)}`, { dtype, classes: 1025 }, (backend) =>
      assertDeterministic(backend, dtype),
    ),
  ];
}

/** Logits and their softmax. */
const problem = memoized((dtype: FloatDType, shape: readonly number[], axis: number, input: InputName) => {
  const rows = layout(shape, axis);
  const values = logits(input, shape, axis, dtype);
  return { rows, values, expected: reference(values, rows) };
});

async function assertValues(
  backend: Backend,
  dtype: FloatDType,
  shape: readonly number[],
  axis: number,
  input: InputName,
): Promise<void> {
  const { rows, values, expected } = problem(dtype, shape, axis, input);
  const tolerance = softmaxTolerance(precisionOf(backend.supports, dtype), values, expected, rows);
  const actual = await runKernel(backend, { length: values.length, dtype }, [{ values, dtype }], (out, [x]) =>
    backend.softmax(out, x, rows, plain),
  );
  const compared = (async () => assertClose(`softmax of ${shape.join('x')}`, actual, expected, tolerance))();
  const overflowed = largeLogits.has(input) && Array.from(actual).some(Number.isNaN);
  await (overflowed ? explaining(unshifted, compared) : compared);
}

/** Inputs of finite logits, for which exp overflows or is 0 throughout a row unless their maximum is subtracted. */
const largeLogits: ReadonlySet<InputName> = new Set(['shifted', 'huge']);
const unshifted = 'exp overflows, or is 0 for a whole row, unless the largest logit of the row is subtracted first';

/** Rows sum to 1 within 4 ULP·√f, however inexact exp is, because each row is divided by its own sum. */
async function assertSums(backend: Backend, dtype: FloatDType): Promise<void> {
  const { unit, floor, stored } = precisionOf(backend.supports, dtype);
  for (const classes of [5, 130].filter((count) => count <= backend.supports.limits.classes)) {
    const rows = { outer: 3, classes, inner: 1 };
    const values = logits('broad', [3, classes], 1, dtype);
    const actual = await runKernel(backend, { length: values.length, dtype }, [{ values, dtype }], (out, [x]) =>
      backend.softmax(out, x, rows, plain),
    );
    const sums = rowIndices(rows).map((at) => rowValues(actual, at).reduce((a, b) => a + b, 0));
    const tolerance = stored(8 * Math.sqrt(classes) * unit + classes * floor, 1);
    assertClose(`sums of softmax over ${classes} classes`, sums, [1, 1, 1], [tolerance, tolerance, tolerance]);
  }
}

async function assertInputUnchanged(backend: Backend, dtype: FloatDType): Promise<void> {
  for (const axis of [1, 0]) {
    const values = logits('spread', [7, 5], axis, dtype);
    const x = upload(backend, { values, dtype });
    const out = backend.alloc(values.length, dtype);
    backend.softmax(out, x, layout([7, 5], axis), plain);
    assertSame(`logits after softmax over axis ${axis}`, await backend.read(x), values);
    backend.write(out, (await backend.read(out)).fill(0));
    assertSame('logits after the result was overwritten', await backend.read(x), values);
    backend.free(x);
    backend.free(out);
  }
}

async function assertInPlace(backend: Backend, dtype: FloatDType): Promise<void> {
  for (const axis of [1, 0]) {
    const rows = layout([7, 5], axis);
    const values = logits('spread', [7, 5], axis, dtype);
    const expected = reference(values, rows);
    const x = upload(backend, { values, dtype });
    backend.softmax(x, x, rows, plain);
    const tolerance = softmaxTolerance(precisionOf(backend.supports, dtype), values, expected, rows);
    assertClose(`softmax in place over axis ${axis}`, await backend.read(x), expected, tolerance);
    backend.free(x);
  }
}

/** The same input on the same backend gives the same bits, even if buffers move and other work runs in between. */
async function assertDeterministic(backend: Backend, dtype: FloatDType): Promise<void> {
  const rows = { outer: 3, classes: 1025, inner: 1 };
  const operand = { values: logits('narrow', [3, 1025], 1, dtype), dtype };
  const run = () =>
    runKernel(backend, { length: 3 * 1025, dtype }, [operand], (out, [x]) => backend.softmax(out, x, rows, plain));
  const first = await run();
  for (let repetition = 2; repetition <= 4; repetition++) {
    const between = backend.alloc(repetition * 100, dtype);
    assertSame(`softmax, run ${repetition} of the same input`, await run(), first);
    backend.free(between);
  }
}
