import { rowIndices, rowValues, softmaxVjp } from '../../reference/functions.js';
import type { Kernels } from '../../src/index.js';
import type { ExactBuffer } from '../exact.js';
import { eachRow, type Fault, faultyKernels, logOfSum, softmaxOf, valueAt } from './fault.js';

/** Mistakes of log-softmax and log-sum-exp. */
export const faultyLogFamily: readonly Fault[] = [
  faultyKernels(
    'log-of-softmax',
    'takes the logarithm of probabilities that have underflowed.',
    'log-softmax/values:shape=7x5;axis=1;input=wide',
    () => ({
      logSoftmax: (out, x, rows, { temperature }) =>
        eachRow(out, x, rows, (row) => softmaxOf(row.map((v) => v / temperature)).map((p) => Math.log(Math.fround(p)))),
    }),
  ),
  faultyKernels(
    'log-sum-exp-unshifted',
    'sums exponentials that overflow.',
    'log-sum-exp/values:shape=7x5;axis=1;input=shifted',
    () => ({
      logSumExp(out, x, rows) {
        rowIndices(rows).forEach((at, row) => {
          out.data[row] = Math.log(Math.fround(rowValues(x.data, at).reduce((sum, logit) => sum + Math.exp(logit), 0)));
        });
      },
    }),
  ),
  faultyKernels(
    'log-softmax-vjp-of-softmax',
    "uses softmax's vjp for log-softmax.",
    'log-softmax/vjp:shape=2x3x4;axis=1;input=ramp',
    () => ({
      logSoftmaxVjp: (out, y, g, rows) => out.data.set(softmaxVjp(y.data.map(Math.exp), g.data, rows)),
    }),
  ),
  faultyKernels(
    'log-softmax-jacobian-transposed',
    'takes exp(y_r) where exp(y_c) belongs: this Jacobian is not symmetric.',
    'log-softmax/jacobian:shape=2x3x4;axis=1;input=ramp',
    ({ logSoftmaxJacobian }) => ({
      logSoftmaxJacobian(out, y, rows, parameters) {
        logSoftmaxJacobian?.(out, y, rows, parameters);
        const right = out.data.slice();
        const f = rows.classes;
        right.forEach((_, i) => {
          const [matrix, r, c] = [Math.floor(i / (f * f)), Math.floor(i / f) % f, i % f];
          out.data[i] = right[(matrix * f + c) * f + r] ?? Number.NaN;
        });
      },
    }),
  ),
  faultyKernels(
    'log-of-the-sum',
    'takes the logarithm of a rounded Σ exp, which is 1 where the other terms are small.',
    'log-sum-exp/values:shape=60x4;axis=1;input=peaked',
    () => ({
      logSumExp(out, x, rows) {
        rowIndices(rows).forEach((at, row) => {
          out.data[row] = logOfSum(rowValues(x.data, at));
        });
      },
    }),
  ),
  faultyKernels(
    'log-softmax-of-the-sum',
    'makes the same mistake in log-softmax, whose largest entry is then 0.',
    'log-softmax/values:shape=60x4;axis=1;input=peaked',
    () => ({
      logSoftmax: (out, x, rows) =>
        eachRow(out, x, rows, (row) =>
          row.map((v) => Math.fround(v - Math.max(...row)) - logOfSum(row) + Math.max(...row)),
        ),
    }),
  ),
  faultyKernels(
    'log-softmax-vjp-that-cancels',
    'g − exp(y) Σ g computed in float32, which cancels.',
    'extremes/log-softmax-vjp:input=peaked;cotangent=largest',
    () => ({
      logSoftmaxVjp(out, y, g, rows) {
        for (const at of rowIndices(rows)) {
          const sum = at.reduce((total, i) => Math.fround(total + valueAt(g, i)), 0);
          for (const i of at) out.data[i] = valueAt(g, i) - Math.fround(Math.fround(Math.exp(valueAt(y, i))) * sum);
        }
      },
    }),
  ),
  faultyKernels(
    'log-softmax-jvp-that-cancels',
    't − ⟨exp(y), t⟩ computed in float32, which cancels.',
    'log-softmax/jvp:shape=60x4;axis=1;input=peaked',
    () => ({
      logSoftmaxJvp(out, y, t, rows) {
        for (const at of rowIndices(rows)) {
          const mean = at.reduce(
            (sum, i) => Math.fround(sum + Math.fround(Math.exp(valueAt(y, i)) * valueAt(t, i))),
            0,
          );
          for (const i of at) out.data[i] = valueAt(t, i) - mean;
        }
      },
    }),
  ),
  faultyKernels(
    'log-softmax-diagonal-of-the-difference',
    'writes 1 − exp(y), both rounded, on the diagonal even where exp(y) is above ½.',
    'log-softmax/jacobian:shape=60x4;axis=1;input=peaked',
    withDiagonal((y, i) => 1 - Math.fround(Math.exp(valueAt(y, i)))),
  ),
  faultyKernels(
    'log-softmax-vjp-of-the-others',
    'takes 1 − exp(y) above ½ from the exponentials of the others, whose logarithms are rounded far from 0.',
    'extremes/log-softmax-vjp:input=peaked;cotangent=largest',
    ({ logSoftmaxVjp }) => ({
      logSoftmaxVjp(out, y, g, rows, parameters) {
        logSoftmaxVjp?.(out, y, g, rows, parameters);
        for (const at of rowIndices(rows)) {
          for (const i of at) {
            const p = Math.exp(valueAt(y, i));
            const [ofP, ofG] = sumsBut(i, at, y, g);
            if (p > 0.5) out.data[i] = (valueAt(g, i) * ofP - p * ofG) / parameters.temperature;
          }
        }
      },
    }),
  ),
  faultyKernels(
    'log-softmax-diagonal-of-the-others',
    'makes the same mistake on the diagonal.',
    'extremes/log-softmax-jacobian',
    withDiagonal((y, i, at, temperature) =>
      Math.exp(valueAt(y, i)) > 0.5 ? sumsBut(i, at, y, y)[0] / temperature : undefined,
    ),
  ),
];

/** The Jacobian of log-softmax with other entries on the diagonal, where `entryOf` gives one for position i of the row `at`. */
function withDiagonal(
  entryOf: (y: ExactBuffer, i: number, at: readonly number[], temperature: number) => number | undefined,
): (kernels: Kernels<ExactBuffer>) => Kernels<ExactBuffer> {
  return ({ logSoftmaxJacobian }) => ({
    logSoftmaxJacobian(out, y, rows, parameters) {
      logSoftmaxJacobian?.(out, y, rows, parameters);
      const { classes } = rows;
      for (const [row, at] of rowIndices(rows).entries()) {
        for (const [c, i] of at.entries()) {
          const entry = entryOf(y, i, at, parameters.temperature);
          if (entry !== undefined) out.data[(row * classes + c) * classes + c] = entry;
        }
      }
    },
  });
}

/** Σ exp(y) and Σ g of a row without the entry at position i. */
function sumsBut(i: number, at: readonly number[], y: ExactBuffer, g: ExactBuffer): readonly [number, number] {
  const others = at.filter((j) => j !== i);
  return [
    others.reduce((sum, j) => sum + Math.exp(valueAt(y, j)), 0),
    others.reduce((sum, j) => sum + valueAt(g, j), 0),
  ];
}
