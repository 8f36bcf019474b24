import { softmaxVjp as reference, rowIndices } from '../../reference/functions.js';
import { elements } from '../../reference/row-entries.js';
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
import { cotangents, type InputName, layout, rounded } from '../inputs.js';
import { plain, runKernel, upload } from '../kernel.js';
import { memoized } from '../memo.js';
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
import { precisionOf, softmaxVjpTolerance, summation } from '../tolerance.js';
import { confidentLengths, probabilities } from './jacobian.js';

const inputs = ['ramp', 'spread', 'wide', 'removed', 'ties', 'onehot'] as const;
/** Cotangents by name. */
const upstream = {
  uniform: (length: number, dtype: FloatDType) => cotangents(length, dtype),
  large: (length: number, dtype: FloatDType) => cotangents(length, dtype, 1e4),
  /** Nearly the same for all classes, far from 0. */
  offset: (length: number, dtype: FloatDType) =>
    cotangents(length, dtype, 1).map((value) => rounded(100 + value, dtype)),
  ones: (length: number) => new Float64Array(length).fill(1),
  unit: (length: number) => elements(length, (i) => (i % 4 === 1 ? 1 : 0)),
} as const;

/** Probabilities, as those of the named logits, and a cotangent. */
interface Statement {
  readonly dtype: FloatDType;
  readonly shape: readonly number[];
  readonly axis: number;
  readonly input: InputName;
  readonly cotangent: keyof typeof upstream;
}

const usualOf = (dtype: FloatDType) => ({ dtype, input: 'narrow', cotangent: 'uniform' }) as const;

/** The required kernel `vjp`, which is also the jvp. */
export const vjp: readonly ConformanceCase[] = floatDTypes.flatMap((dtype) => {
  const usual = usualOf(dtype);
  const values = (
    shape: readonly number[],
    axis: number,
    input: InputName,
    cotangent: Statement['cotangent'] = 'uniform',
    requires: Requirements = {},
  ) =>
    defineKernelCase(
      `vjp/values:shape=${shape.join('x')};axis=${axis};input=${input};cotangent=${cotangent}${dtypeSuffix(dtype)}`,
      { dtype, classes: layout(shape, axis).classes, ...requires },
      (backend) => assertValues(backend, { dtype, shape, axis, input, cotangent }),
    );
  const sweep = (shapes: Sweep, axis: number) =>
    defineKernelCase(
      `vjp/lengths:shape=${showSweep(shapes)};axis=${axis};input=narrow;cotangent=uniform${dtypeSuffix(dtype)}`,
      { dtype, classes: largest(shapes, axis) },
      (backend) => checkSweep(shapes, (shape) => assertValues(backend, { ...usual, shape, axis })),
    );
  const numbers = (axis: number) =>
    defineKernelCase(
      `vjp/lengths:${axis === 1 ? 'rows' : 'columns'}=32..1023;classes=3${dtypeSuffix(dtype)}`,
      { dtype },
      (backend) =>
        checkEach(numbersOfRows, String, (count) =>
          assertValues(backend, { ...usual, shape: axis === 1 ? [count, 3] : [3, count], axis }),
        ),
    );
  return [
    ...[1, 0].flatMap((axis) => inputs.map((input) => values([7, 5], axis, input))),
    ...(['large', 'ones', 'unit'] as const).map((cotangent) => values([7, 5], 1, 'narrow', cotangent)),
    values([2, 3, 4], 1, 'ramp'),
    values([3, 130], 1, 'narrow', 'ones'),
    values([7, 5], 1, 'nan', 'uniform', { features: ['nonFinite: ieee'] }),
    ...lengthRanges[dtype].map((range) => sweep([3, range], 1)),
    ...columnRanges.map((range) => sweep([range, 3], 0)),
    ...[3, 10].flatMap((classes) => rowRanges.map((range) => sweep([range, classes], 1))),
    ...(dtype === 'float16' ? [] : [1, 0].map((axis) => numbers(axis))),
    ...(dtype === 'float32' ? [values([1, 65537], 1, 'narrow')] : []),
    defineKernelCase(`vjp/nearly-one-hot${dtypeOnly(dtype)}`, { dtype, classes: 1000 }, (backend) =>
      checkEach([...confidentLengths, 1000], String, (classes) =>
        assertValues(backend, { ...usual, shape: [13, classes], axis: 1, input: 'confident' }),
      ),
    ),
    defineKernelCase(
      `vjp/nearly-one-hot:input=peaked;cotangent=offset${dtypeSuffix(dtype)}`,
      { dtype, classes: 128 },
      (backend) =>
        checkEach(confidentLengths, String, (classes) =>
          assertValues(backend, { dtype, shape: [60, classes], axis: 1, input: 'peaked', cotangent: 'offset' }),
        ),
    ),
    defineKernelCase(`vjp/not-a-softmax${dtypeOnly(dtype)}`, { dtype, classes: 40 }, (backend) =>
      checkEach([2, 3, 4, 7, 10, 16, 17, 40], String, (classes) => assertNotSoftmax(backend, dtype, classes)),
    ),
    defineKernelCase(`vjp/input-unchanged${dtypeOnly(dtype)}`, { dtype }, (backend) =>
      assertInputUnchanged(backend, dtype),
    ),
    defineKernelCase(`vjp/in-place${dtypeOnly(dtype)}`, { dtype, features: ['inPlace'] }, (backend) =>
      assertInPlace(backend, dtype),
    ),
    defineKernelCase(`vjp/deterministic${dtypeOnly(dtype)}`, { dtype, classes: 1025 }, (backend) =>
      assertDeterministic(backend, dtype),
    ),
  ];
});

interface Problem {
  readonly rows: ReturnType<typeof layout>;
  readonly s: Float64Array;
  readonly g: Float64Array;
  readonly expected: Float64Array;
}

const problemOf = memoized(({ dtype, shape, axis, input, cotangent }: Statement): Problem => {
  const rows = layout(shape, axis);
  const s = probabilities(dtype, shape, axis, input);
  const g = upstream[cotangent](s.length, dtype);
  return { rows, s, g, expected: reference(s, g, rows) };
});

function problem({ supports }: Backend, statement: Statement): Problem & { readonly tolerance: Float64Array } {
  const stated = problemOf(statement);
  const { rows, s, g, expected } = stated;
  return { ...stated, tolerance: softmaxVjpTolerance(precisionOf(supports, statement.dtype), s, g, expected, rows) };
}

function run(backend: Backend, dtype: FloatDType, { rows, s, g }: Omit<Problem, 'expected'>) {
  const operands = [s, g].map((values) => ({ values, dtype }));
  return runKernel(backend, { length: s.length, dtype }, operands, (out, [probabilities, cotangent]) =>
    backend.vjp(out, probabilities, cotangent, rows, plain),
  );
}

async function assertValues(backend: Backend, statement: Statement): Promise<void> {
  const { expected, tolerance, ...operands } = problem(backend, statement);
  const result = await run(backend, statement.dtype, operands);
  assertClose(`vjp of ${statement.shape.join('x')}`, result, expected, tolerance);
}

/**
 * Of an s whose rows do not add up to 1, with several entries above ½, the result is `s ⊙ (g − ⟨s, g⟩)` up to `|1 − Σ s| Σ |g|` times s: a kernel may
 * subtract a cotangent from all of them first or multiply them by Σ s, which changes nothing for a softmax. The cotangents are small, so that the
 * error is seen if the number that is subtracted is not one of them.
 */
async function assertNotSoftmax(backend: Backend, dtype: FloatDType, classes: number): Promise<void> {
  const { unit, floor, stored } = precisionOf(backend.supports, dtype);
  for (const axis of [1, 0]) {
    const shape = axis === 1 ? [13, classes] : [classes, 13];
    const rows = layout(shape, axis);
    const s = cotangents(13 * classes, dtype, 1, 's').map((value) => rounded(value / 8 + 0.5, dtype));
    const g = cotangents(13 * classes, dtype, 2 ** -6);
    const expected = new Float64Array(s.length);
    const tolerance = new Float64Array(s.length);
    for (const at of rowIndices(rows)) {
      const row = at.map((i) => ({ i, p: s[i] ?? Number.NaN, cotangent: g[i] ?? Number.NaN }));
      const total = row.reduce((sum, { p }) => sum + p, 0);
      const mean = row.reduce((sum, { p, cotangent }) => sum + p * cotangent, 0);
      const size = row.reduce((sum, { cotangent }) => sum + Math.abs(cotangent), 0);
      const rounding = unit * (summation(classes) + 8) * (1 + total) * size;
      for (const { i, p, cotangent } of row) {
        const value = p * (cotangent - mean);
        expected[i] = value;
        tolerance[i] = stored(p * (Math.abs(1 - total) * size + rounding) + floor * classes, value);
      }
    }
    const result = await run(backend, dtype, { rows, s, g });
    assertClose(`vjp of ${shape.join('x')} that is no softmax`, result, expected, tolerance);
  }
}

async function assertInputUnchanged(backend: Backend, dtype: FloatDType): Promise<void> {
  const { rows, s, g } = problem(backend, { ...usualOf(dtype), shape: [7, 5], axis: 0 });
  const buffers = [s, g].map((values) => upload(backend, { values, dtype }));
  const out = backend.alloc(s.length, dtype);
  backend.vjp(out, buffers[0], buffers[1], rows, plain);
  assertSame('probabilities after vjp', await backend.read(buffers[0]), s);
  assertSame('cotangent after vjp', await backend.read(buffers[1]), g);
  for (const buffer of [out, ...buffers]) backend.free(buffer);
}

async function assertInPlace(backend: Backend, dtype: FloatDType): Promise<void> {
  const precision = precisionOf(backend.supports, dtype);
  for (const axis of [1, 0]) {
    const { rows, s, g, expected, tolerance } = problem(backend, { ...usualOf(dtype), shape: [7, 5], axis });
    for (const target of [0, 1] as const) {
      const buffers = [s, g].map((values) => upload(backend, { values, dtype }));
      backend.vjp(buffers[target], buffers[0], buffers[1], rows, plain);
      const what = `vjp over axis ${axis} into its ${target === 0 ? 'probabilities' : 'cotangent'}`;
      assertClose(what, await backend.read(buffers[target]), expected, tolerance);
      for (const buffer of buffers) backend.free(buffer);
    }
    const one = upload(backend, { values: s, dtype });
    backend.vjp(one, one, one, rows, plain);
    const ofOne = reference(s, s, rows);
    const bound = softmaxVjpTolerance(precision, s, s, ofOne, rows);
    assertClose(`vjp over axis ${axis} of one buffer, into it`, await backend.read(one), ofOne, bound);
    backend.free(one);
  }
}

async function assertDeterministic(backend: Backend, dtype: FloatDType): Promise<void> {
  const stated = problem(backend, { ...usualOf(dtype), shape: [3, 1025], axis: 1 });
  const first = await run(backend, dtype, stated);
  for (let repetition = 2; repetition <= 4; repetition++) {
    assertSame(`vjp, run ${repetition} of the same operands`, await run(backend, dtype, stated), first);
  }
}
