import type { Backend, Rows } from '../../src/index.js';
import type { ExactBuffer } from '../exact.js';
import { cycled } from '../inputs.js';
import { isPlain, plain } from '../kernel.js';
import { eachRow, type Fault, fault, softmaxOf } from './fault.js';

/** Mistakes in the softmax kernel's result for a row. */
const rowMistakes: readonly Fault[] = [
  wrongRows(
    'no-max-shift',
    'exponentiates the logits without subtracting the maximum, which overflows.',
    'softmax/values:shape=7x5;axis=1;input=shifted',
    (row) => {
      const exponentials = row.map((x) => Math.fround(Math.exp(x)));
      const sum = exponentials.reduce((a, b) => Math.fround(a + b), 0);
      return exponentials.map((e) => e / sum);
    },
  ),
  wrongRows(
    'max-from-zero',
    'starts the maximum at 0, so that rows far below it underflow.',
    'softmax/values:shape=7x5;axis=1;input=shifted',
    (row) => {
      const max = row.reduce((a, b) => Math.max(a, b), 0);
      const exponentials = row.map((x) => Math.fround(Math.exp(x - max)));
      const sum = exponentials.reduce((a, b) => a + b, 0);
      return exponentials.map((e) => e / sum);
    },
  ),
  wrongRows('all-zero', 'writes nothing but 0.', 'softmax/lengths:shape=3x1023..1025;axis=1;input=spread', (row) =>
    row.map(() => 0),
  ),
  wrongRows(
    'uniform',
    'gives every class the probability 1/classes.',
    'softmax/lengths:shape=3x1023..1025;axis=1;input=spread',
    (row) => row.map(() => 1 / row.length),
  ),
  wrongRows(
    'slightly-off',
    'is off by 1e-4 of each probability, as a short polynomial for exp is.',
    'softmax/lengths:shape=3x1023..1025;axis=1;input=spread',
    (row) => softmaxOf(row).map((p) => p * (1 + 1e-4)),
  ),
  wrongRows('rounds-like-float16', 'computes in half precision.', 'softmax/values:shape=7x5;axis=1;input=ramp', (row) =>
    softmaxOf(row).map((p) => Math.round(p * 2048) / 2048),
  ),
  wrongRows(
    'computes-float64-in-float32',
    'announces float64, but rounds intermediate results to float32.',
    'softmax/values:shape=7x5;axis=1;input=ramp;dtype=float64',
    (row) => softmaxOf(row).map(Math.fround),
  ),
  wrongRows(
    'flushes-undeclared',
    'announces that it preserves subnormals, but flushes them to 0.',
    'softmax/values:shape=3x130;axis=1;input=wide',
    (row) => softmaxOf(row).map((p) => (p < 2 ** -126 ? 0 : p)),
  ),
  wrongRows(
    'swallows-nan',
    'lets the maximum skip NaN and gives NaN logits probability 0.',
    'softmax/values:shape=7x5;axis=1;input=nan',
    (row) => softmaxOf(row.map((x) => (Number.isNaN(x) ? Number.NEGATIVE_INFINITY : x))),
  ),
  wrongRows(
    'uniform-for-nothing',
    'starts the maximum at −3.4e38, so that the result for a row of −Infinity is 0 instead of NaN.',
    'softmax/values:shape=7x5;axis=1;input=nothing',
    (row) => (row.every((x) => x === Number.NEGATIVE_INFINITY) ? row.map(() => 0) : softmaxOf(row)),
  ),
  wrongRows(
    'drops-the-tail',
    'handles classes in groups of four and omits the rest of the row from the sum.',
    'softmax/lengths:shape=3x1..8;axis=1;input=spread',
    (row) => {
      const whole = row.length - (row.length % 4) || row.length;
      const max = Math.max(...row);
      const sum = row.slice(0, whole).reduce((total, x) => total + Math.exp(x - max), 0);
      return row.map((x) => Math.exp(x - max) / sum);
    },
  ),
];

/** Mistakes about the layout of a row and of its result. */
const layoutMistakes: readonly Fault[] = [
  wrongSoftmax(
    'last-axis-only',
    'ignores inner and reduces over contiguous elements.',
    'softmax/values:shape=7x5;axis=0;input=ramp',
    (right, out, x, { outer, classes, inner }) =>
      right.softmax(out, x, { outer: outer * inner, classes, inner: 1 }, plain),
  ),
  wrongSoftmax(
    'wrong-axis',
    'reduces over the first axis instead of the last.',
    'softmax/values:shape=7x5;axis=1;input=ramp',
    (right, out, x, { outer, classes, inner }) =>
      right.softmax(out, x, { outer: inner, classes: outer, inner: classes }, plain),
  ),
  wrongSoftmax(
    'transposed',
    'leaves the result in the order (outer, inner, classes) in which it was computed.',
    'softmax/values:shape=2x3x4;axis=1;input=ramp',
    (right, out, x, rows) => {
      const whole = { dtype: out.dtype, data: out.data.slice() };
      right.softmax(whole, x, rows, plain);
      right.basis?.transpose(out, whole, rows);
    },
  ),
  wrongSoftmax(
    'drops-the-last-row',
    'handles rows in pairs and omits the last one of an odd number.',
    'softmax/lengths:shape=1..9x10;axis=1;input=spread',
    (right, out, x, rows) => {
      const last = out.data.slice(-rows.classes);
      right.softmax(out, x, rows, plain);
      if (rows.inner === 1 && rows.outer > 1 && rows.outer % 2 === 1)
        out.data.set(last, out.data.length - rows.classes);
    },
  ),
  wrongSoftmax(
    'one-dispatch',
    'dispatches at most 65,535 rows.',
    'softmax/many-rows:shape=65537x3;axis=1;input=spread',
    (right, out, x, rows) => {
      const beyond = out.data.slice(65535 * rows.classes);
      right.softmax(out, x, rows, plain);
      if (rows.inner === 1 && rows.outer > 65535) out.data.set(beyond, 65535 * rows.classes);
    },
  ),
  wrongSoftmax(
    'stale-out',
    'writes only nonzero elements, assuming that out was cleared.',
    'softmax/values:shape=7x5;axis=1;input=removed',
    (right, out, x, rows) => {
      const before = out.data.slice();
      right.softmax(out, x, rows, plain);
      out.data.forEach((value, i) => {
        if (value === 0) out.data[i] = before[i] ?? Number.NaN;
      });
    },
  ),
  wrongSoftmax(
    'overwrites-its-input',
    'uses the logits as scratch memory.',
    'softmax/input-unchanged',
    (right, out, x, rows) => {
      right.softmax(out, x, rows, plain);
      x.data.set(out.data);
    },
  ),
  wrongSoftmax(
    'aliases-its-input',
    'computes in the memory of the logits and lets the result share it.',
    'softmax/input-unchanged',
    (right, out, x, rows) => {
      right.softmax(x, x, rows, plain);
      Object.assign(out, { data: x.data });
    },
  ),
  wrongSoftmax(
    'not-in-place',
    'announces inPlace, but clears out before it reads the logits.',
    'softmax/in-place',
    (right, out, x, rows) => {
      out.data.fill(0);
      right.softmax(out, x, rows, plain);
    },
  ),
  fault(
    'order-of-threads',
    'adds up partial sums in the order in which threads happen to finish.',
    'softmax/deterministic',
    () => {
      let calls = 0;
      return {
        softmax(out, x, rows) {
          const first = ++calls * 37;
          eachRow(out, x, rows, (row) => {
            const max = Math.max(...row);
            const exponentials = row.map((value) => Math.fround(Math.exp(value - max)));
            const sum = exponentials.reduce((total, _, c) => Math.fround(total + cycled(exponentials, c + first)), 0);
            return exponentials.map((e) => e / sum);
          });
        },
      };
    },
  ),
];

export const faultySoftmax: readonly Fault[] = [...rowMistakes, ...layoutMistakes];

function wrongRows(
  name: string,
  mistake: string,
  caughtBy: string,
  result: (row: number[]) => readonly number[],
): Fault {
  return wrongSoftmax(name, mistake, caughtBy, (_, out, x, rows) => eachRow(out, x, rows, result));
}

function wrongSoftmax(
  name: string,
  mistake: string,
  caughtBy: string,
  kernel: (right: Backend<ExactBuffer>, out: ExactBuffer, x: ExactBuffer, rows: Rows) => void,
): Fault {
  return fault(name, mistake, caughtBy, (right) => ({
    softmax: (out, x, rows, parameters) =>
      isPlain(parameters) ? void kernel(right, out, x, rows) : right.softmax(out, x, rows, parameters),
  }));
}
