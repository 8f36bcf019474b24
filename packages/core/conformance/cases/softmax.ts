import { rowIndices, rowValues } from '../../reference/functions.js';
import type { Backend, FloatDType } from '../../src/index.js';
import { type ConformanceCase, defineKernelCase, dtypeOnly, floatDTypes, type Requirements } from '../case.js';
import { assertClose, assertSame, type Mismatch } from '../check.js';
import { type InputName, layout, logits } from '../inputs.js';
import { plain, upload } from '../kernel.js';
import { precisionOf } from '../precision.js';
import { explaining } from '../sweep.js';
import { checkRequired, exampleOf, lengthCases, required, runRequired, type Subject, valuesCase } from './required.js';

const finite = ['ramp', 'narrow', 'spread', 'broad', 'wide', 'shifted', 'removed', 'ties', 'onehot', 'huge'] as const;
const nonFinite = ['nan', 'infinite', 'nothing'] as const;

const subject: Subject = {
  kernel: 'softmax',
  check(backend, statement) {
    const compared = checkRequired(backend, 'softmax', statement);
    return largeLogits.has(statement.input) ? explaining(unshifted, compared, hasNaN) : compared;
  },
};

/** The required kernel `softmax`. */
export const softmax: readonly ConformanceCase[] = [
  ...floatDTypes.flatMap(ofDType),
  valuesCase(subject, { shape: [1, 65537], axis: 1, input: 'spread' }),
  valuesCase(subject, { shape: [1, 65537], axis: 1, input: 'last' }),
];

function ofDType(dtype: FloatDType): readonly ConformanceCase[] {
  const values = (shape: readonly number[], axis: number, input: InputName, requires: Requirements = {}) =>
    valuesCase(subject, { shape, axis, input, dtype }, requires);
  return [
    ...[1, 0].flatMap((axis) => finite.map((input) => values([7, 5], axis, input))),
    ...[1, 0].flatMap((axis) =>
      nonFinite.map((input) => values([7, 5], axis, input, { features: ['nonFinite: ieee'] })),
    ),
    ...(['ramp', 'spread'] as const).map((input) => values([2, 3, 4], 1, input)),
    ...(['wide', 'shifted', 'narrow', 'removed'] as const).map((input) => values([3, 130], 1, input)),
    values([2, 3000], 1, 'last'),
    ...lengthCases(subject, 'spread', dtype),
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

/** Inputs of finite logits, for which exp overflows or is 0 throughout a row unless their maximum is subtracted. */
const largeLogits: ReadonlySet<InputName> = new Set(['shifted', 'huge']);
const unshifted = 'exp overflows, or is 0 for a whole row, unless the largest logit of the row is subtracted first';
const hasNaN = ({ got }: Mismatch) => Array.from(got).some(Number.isNaN);

/** Rows sum to 1 within 4 ULP·√f, however inexact exp is, because each row is divided by its own sum. */
async function assertSums(backend: Backend, dtype: FloatDType): Promise<void> {
  const { unit, floor, stored } = precisionOf(backend.supports, dtype);
  for (const classes of [5, 130].filter((count) => count <= backend.supports.limits.classes)) {
    const rows = { outer: 3, classes, inner: 1 };
    const values = logits('broad', [3, classes], 1, dtype);
    const actual = await runRequired(backend, 'softmax', dtype, [values], rows);
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
    const statement = { shape: [7, 5], axis, input: 'spread', dtype } as const;
    const { rows, operands, expected, tolerance } = exampleOf(backend, required.softmax, statement);
    const [x] = operands.map((values) => upload(backend, { values, dtype }));
    backend.softmax(x, x, rows, plain);
    assertClose(`softmax in place over axis ${axis}`, await backend.read(x), expected, tolerance);
    backend.free(x);
  }
}

/** The same input on the same backend gives the same bits, even if buffers move and other work runs in between. */
async function assertDeterministic(backend: Backend, dtype: FloatDType): Promise<void> {
  const rows = { outer: 3, classes: 1025, inner: 1 };
  const values = logits('narrow', [3, 1025], 1, dtype);
  const run = () => runRequired(backend, 'softmax', dtype, [values], rows);
  const first = await run();
  for (let repetition = 2; repetition <= 4; repetition++) {
    const between = backend.alloc(repetition * 100, dtype);
    assertSame(`softmax, run ${repetition} of the same input`, await run(), first);
    backend.free(between);
  }
}
