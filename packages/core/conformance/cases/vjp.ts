import { rowIndices } from '../../reference/functions.js';
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
import { plain, upload } from '../kernel.js';
import type { Operation } from '../operations/operation.js';
import { precisionOf } from '../precision.js';
import { summation } from '../rounding.js';
import { checkEach } from '../sweep.js';
import { confidentLengths } from './jacobian.js';
import {
  checkRequired,
  enqueue,
  exampleOf,
  lengthCases,
  required,
  runRequired,
  type Subject,
  valuesCase,
} from './required.js';

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

/** Calls with a cotangent by name. */
function withCotangent(name: keyof typeof upstream): Subject {
  const operation: Operation = {
    ...required.vjp,
    operands(problem) {
      const { dtype, shape, values } = problem;
      return [...required.vjp.operands(problem).slice(0, 1), { values: upstream[name](values.length, dtype), shape }];
    },
  };
  return {
    kernel: 'vjp',
    parameters: `;cotangent=${name}`,
    check: (backend, statement) => checkRequired(backend, 'vjp', statement, operation),
  };
}

const uniform = withCotangent('uniform');
const offset = withCotangent('offset');

/** Probabilities as their own cotangent. */
const ofOne: Operation = {
  ...required.vjp,
  operands(problem) {
    const [s] = required.vjp.operands(problem);
    return s ? [s, s] : [];
  },
};

/** The required kernel `vjp`, which is also the jvp. */
export const vjp: readonly ConformanceCase[] = floatDTypes.flatMap((dtype) => {
  const values = (
    shape: readonly number[],
    axis: number,
    input: InputName,
    subject = uniform,
    requires: Requirements = {},
  ) => valuesCase(subject, { shape, axis, input, dtype }, requires);
  return [
    ...[1, 0].flatMap((axis) => inputs.map((input) => values([7, 5], axis, input))),
    ...(['large', 'ones', 'unit'] as const).map((name) => values([7, 5], 1, 'narrow', withCotangent(name))),
    values([2, 3, 4], 1, 'ramp'),
    values([3, 130], 1, 'narrow', withCotangent('ones')),
    values([7, 5], 1, 'nan', uniform, { features: ['nonFinite: ieee'] }),
    ...lengthCases(uniform, 'narrow', dtype),
    ...(dtype === 'float32' ? [values([1, 65537], 1, 'narrow')] : []),
    defineKernelCase(`vjp/nearly-one-hot${dtypeOnly(dtype)}`, { dtype, classes: 1000 }, (backend) =>
      checkEach([...confidentLengths, 1000], String, (classes) =>
        uniform.check(backend, { shape: [13, classes], axis: 1, input: 'confident', dtype }),
      ),
    ),
    defineKernelCase(
      `vjp/nearly-one-hot:input=peaked;cotangent=offset${dtypeSuffix(dtype)}`,
      { dtype, classes: 128 },
      (backend) =>
        checkEach(confidentLengths, String, (classes) =>
          offset.check(backend, { shape: [60, classes], axis: 1, input: 'peaked', dtype }),
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
    const result = await runRequired(backend, 'vjp', dtype, [s, g], rows);
    assertClose(`vjp of ${shape.join('x')} that is no softmax`, result, expected, tolerance);
  }
}

/** Probabilities of moderate logits, and their cotangent. */
const narrow = (shape: readonly number[], axis: number, dtype: FloatDType) =>
  ({ shape, axis, input: 'narrow', dtype }) as const;

async function assertInputUnchanged(backend: Backend, dtype: FloatDType): Promise<void> {
  const { rows, operands } = exampleOf(backend, required.vjp, narrow([7, 5], 0, dtype));
  const buffers = operands.map((values) => upload(backend, { values, dtype }));
  const out = backend.alloc(35, dtype);
  enqueue(backend, 'vjp', out, buffers, rows);
  for (const [k, name] of ['probabilities', 'cotangent'].entries()) {
    assertSame(`${name} after vjp`, await backend.read(buffers[k]), operands[k] ?? []);
  }
  for (const buffer of [out, ...buffers]) backend.free(buffer);
}

async function assertInPlace(backend: Backend, dtype: FloatDType): Promise<void> {
  for (const axis of [1, 0]) {
    const statement = narrow([7, 5], axis, dtype);
    const { rows, operands, expected, tolerance } = exampleOf(backend, required.vjp, statement);
    for (const [target, name] of ['probabilities', 'cotangent'].entries()) {
      const buffers = operands.map((values) => upload(backend, { values, dtype }));
      enqueue(backend, 'vjp', buffers[target], buffers, rows);
      assertClose(`vjp over axis ${axis} into its ${name}`, await backend.read(buffers[target]), expected, tolerance);
      for (const buffer of buffers) backend.free(buffer);
    }
    const own = exampleOf(backend, ofOne, statement);
    const one = upload(backend, { values: own.operands[0] ?? [], dtype });
    backend.vjp(one, one, one, rows, plain);
    const what = `vjp over axis ${axis} of one buffer, into it`;
    assertClose(what, await backend.read(one), own.expected, own.tolerance);
    backend.free(one);
  }
}

async function assertDeterministic(backend: Backend, dtype: FloatDType): Promise<void> {
  const { rows, operands } = exampleOf(backend, required.vjp, narrow([3, 1025], 1, dtype));
  const run = () => runRequired(backend, 'vjp', dtype, operands, rows);
  const first = await run();
  for (let repetition = 2; repetition <= 4; repetition++) {
    assertSame(`vjp, run ${repetition} of the same operands`, await run(), first);
  }
}
