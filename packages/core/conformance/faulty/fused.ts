import { rowIndices, rowValues, softmaxVjp } from '../../reference/functions.js';
import { hostArray } from '../../src/index.js';
import type { ExactBuffer } from '../exact.js';
import { plain } from '../kernel.js';
import { eachRow, type Fault, fault, faultyKernels, softmaxOf, valueAt } from './fault.js';

const small = 'shape=7x5;axis=1;input=spread';

/** Mistakes about temperature and masks. */
const parameterMistakes: readonly Fault[] = [
  fault(
    'ignores-its-parameters',
    'ignores temperature and mask instead of declining them.',
    `softmax/values:${small};temperature=0.5`,
    (right) => ({ softmax: (out, x, rows) => right.softmax(out, x, rows, plain) }),
  ),
  fault(
    'multiplies-by-the-temperature',
    'multiplies the logits by the temperature.',
    `softmax/values:${small};temperature=0.5`,
    (right) => ({
      softmax: (out, x, rows, parameters) =>
        right.softmax(out, x, rows, { ...parameters, temperature: 1 / parameters.temperature }),
    }),
  ),
  fault('ignores-the-sign-of-the-temperature', 'computes softmax for softmin.', `softmin/values:${small}`, (right) => ({
    softmax: (out, x, rows, parameters) =>
      right.softmax(out, x, rows, { ...parameters, temperature: Math.abs(parameters.temperature) }),
  })),
  fault(
    'derivative-without-temperature',
    'forgets that the derivative is divided by the temperature.',
    `softmax/vjp:${small};temperature=0.5`,
    (right) => ({ vjp: (out, s, g, rows) => right.vjp(out, s, g, rows, plain) }),
  ),
  fault(
    'masks-with-a-large-number',
    'adds −1e9 where the mask is 0, so that a row with nothing kept gets probabilities.',
    'softmax/values:shape=2x3x4;axis=1;input=shifted;temperature=2;mask=full',
    () => ({
      softmax(out, x, rows, { temperature, mask }) {
        const masked = hostArray(x.data.length, x.dtype);
        x.data.forEach((value, i) => {
          const kept = !mask || mask.buffer.data[i % mask.buffer.data.length];
          masked[i] = value / temperature - (kept ? 0 : 1e9);
        });
        eachRow(out, { dtype: x.dtype, data: masked }, rows, softmaxOf);
      },
    }),
  ),
  fault(
    'repeats-the-first-mask',
    'uses the mask of the first block for all blocks.',
    'softmax/values:shape=2x3x4;axis=1;input=shifted;temperature=2;mask=full',
    (right) => ({
      softmax(out, x, rows, parameters) {
        const { mask } = parameters;
        if (!mask) return right.softmax(out, x, rows, parameters);
        const data = mask.buffer.data.slice(0, rows.classes * rows.inner);
        return right.softmax(out, x, rows, { ...parameters, mask: { outer: 1, buffer: { dtype: 'bool', data } } });
      },
    }),
  ),
  faultyKernels(
    'declines-in-silence',
    'writes nothing if there is a mask, and does not return false.',
    'log-softmax/values:shape=7x5;axis=0;input=nan;mask=full',
    ({ logSoftmax }) => ({
      logSoftmax: (out, x, rows, parameters) => (parameters.mask ? undefined : logSoftmax?.(out, x, rows, parameters)),
    }),
  ),
];

/** Mistakes of the log family and of elementwise functions. */
const functionMistakes: readonly Fault[] = [
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
    ({ logSoftmaxJacobian }) => ({
      logSoftmaxJacobian(out, y, rows, parameters) {
        logSoftmaxJacobian?.(out, y, rows, parameters);
        const { classes } = rows;
        rowIndices(rows).forEach((at, row) => {
          at.forEach((i, c) => {
            out.data[(row * classes + c) * classes + c] = 1 - Math.fround(Math.exp(valueAt(y, i)));
          });
        });
      },
    }),
  ),
  faultyKernels(
    'naive-sigmoid',
    'computes 1 / (1 + exp(−x)), which is 0 where exp(−x) overflows.',
    'sigmoid/values:shape=7x5;axis=1;input=wide',
    () => ({ sigmoid: (out, x) => out.data.set(x.data.map((v) => 1 / (1 + Math.fround(Math.exp(-v))))) }),
  ),
  faultyKernels(
    'relu-swallows-nan',
    'compares with 0, which turns NaN into 0.',
    'relu/values:shape=7x5;axis=1;input=nan',
    () => ({ relu: (out, x) => out.data.set(x.data.map((v) => (v <= 0 || Number.isNaN(v) ? 0 : v))) }),
  ),
  faultyKernels(
    'relu-slope-at-zero',
    'passes the gradient where y is 0.',
    'relu/vjp:shape=7x5;axis=1;input=broad',
    () => ({ reluVjp: (out, y, g) => out.data.set(y.data.map((v, i) => (v >= 0 ? valueAt(g, i) : 0))) }),
  ),
];

const hvpSpread = `softmax/hvp:${small};temperature=0.5`;

/** Mistakes of second derivatives. */
const hvpMistakes: readonly Fault[] = [
  faultyKernels(
    'hvp-that-cancels',
    'computes d ⊙ (g − ⟨s, g⟩) − s ⟨d, g⟩ with a d that is only rounding error at the largest probability.',
    'extremes/nearly-one-hot:operation=softmax.hvp',
    () => ({
      softmaxHvp(out, s, g, t, rows, { temperature }) {
        const round = out.dtype === 'float64' ? (value: number) => value : Math.fround;
        const result = out.data.slice();
        for (const at of rowIndices(rows)) {
          const inner = (u: ExactBuffer, v: ExactBuffer) =>
            round(at.reduce((sum, i) => sum + valueAt(u, i) * valueAt(v, i), 0));
          const mean = inner(s, t);
          const d = { dtype: s.dtype, data: s.data.map((p, i) => round(p * round(valueAt(t, i) - mean))) };
          const [ofG, ofD] = [inner(s, g), inner(d, g)];
          for (const i of at) {
            result[i] = (valueAt(d, i) * (valueAt(g, i) - ofG) - valueAt(s, i) * ofD) / temperature ** 2;
          }
        }
        out.data.set(result);
      },
    }),
  ),
  faultyKernels(
    'hvp-without-its-mean',
    'omits s ⟨d, g⟩: d ⊙ (g − ⟨s, g⟩), whose rows do not sum to 0.',
    hvpSpread,
    () => ({
      softmaxHvp(out, s, g, t, rows, { temperature }) {
        const d = { dtype: out.dtype, data: softmaxVjp(s.data, t.data, rows, { temperature }) };
        const result = out.data.slice();
        for (const at of rowIndices(rows)) {
          const mean = at.reduce((sum, i) => sum + valueAt(s, i) * valueAt(g, i), 0);
          for (const i of at) result[i] = (valueAt(d, i) * (valueAt(g, i) - mean)) / temperature;
        }
        out.data.set(result);
      },
    }),
  ),
  faultyKernels('hvp-with-one-temperature', 'divides by T, not by T².', hvpSpread, ({ softmaxHvp }) => ({
    softmaxHvp(out, s, g, t, rows, { temperature }) {
      softmaxHvp?.(out, s, g, t, rows, plain);
      out.data.set(out.data.map((value) => value / temperature));
    },
  })),
  faultyKernels(
    'log-softmax-hvp-without-the-cotangent',
    'assumes that the cotangent sums to −1, which is true only for the log-likelihood of one class.',
    'log-softmax/hvp:shape=2x3x4;axis=1;input=ramp',
    ({ logSoftmaxHvp }) => ({
      logSoftmaxHvp(out, y, g, t, rows, parameters) {
        const minusOne = { dtype: g.dtype, data: g.data.slice().fill(-1 / rows.classes) };
        logSoftmaxHvp?.(out, y, minusOne, t, rows, parameters);
      },
    }),
  ),
  faultyKernels(
    'log-sum-exp-hvp-of-what-is-masked',
    'multiplies the tangent at a masked entry by 0, which keeps NaN.',
    'laws/masked-directions:operation=logSumExp.hvp',
    ({ logSumExpHvp }) => ({
      logSumExpHvp(out, x, g, t, rows, parameters) {
        logSumExpHvp?.(out, x, g, t, rows, parameters);
        if (!parameters.mask) return;
        for (const at of rowIndices(rows)) {
          if (at.some((i) => Number.isNaN(t.data[i]))) for (const i of at) out.data[i] = Number.NaN;
        }
      },
    }),
  ),
  faultyKernels(
    'log-sum-exp-hvp-over-the-batch',
    'uses the cotangent of the first row for all rows.',
    'log-sum-exp/hvp:shape=2x3x4;axis=1;input=ramp',
    ({ logSumExpHvp }) => ({
      logSumExpHvp(out, x, g, t, rows, parameters) {
        logSumExpHvp?.(out, x, { dtype: g.dtype, data: g.data.slice().fill(valueAt(g, 0)) }, t, rows, parameters);
      },
    }),
  ),
];

/** log Σ exp of a row after subtracting the maximum, with the sum rounded to float32. */
function logOfSum(row: readonly number[]): number {
  const max = row.reduce((a, b) => Math.max(a, b));
  return max + Math.log(Math.fround(row.reduce((sum, v) => sum + Math.exp(v - max), 0)));
}

/** Mistakes of cross-entropy. */
const crossEntropyMistakes: readonly Fault[] = [
  faultyKernels(
    'mean-over-all-rows',
    'divides by the number of rows, including the ignored ones.',
    `cross-entropy/loss:target=ignored;${small}`,
    ({ crossEntropy }) => ({
      crossEntropy: (out, x, rows, parameters) =>
        crossEntropy?.(out, x, rows, { ...parameters, scale: 1 / (rows.outer * rows.inner) }),
    }),
  ),
  faultyKernels(
    'smooths-without-the-target',
    'spreads ε over the other classes only, not over all.',
    'cross-entropy/loss:target=indices;reduction=none;labelSmoothing=0.1;shape=7x5;axis=1;input=spread',
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        const { labelSmoothing } = parameters;
        const others = rows.classes / (rows.classes - 1);
        crossEntropy?.(out, x, rows, { ...parameters, labelSmoothing: Math.min(1, labelSmoothing * others) });
      },
    }),
  ),
  faultyKernels(
    'loss-of-the-sum',
    'takes the logarithm of Σ exp, which is 1 where the target is nearly certain.',
    'extremes/cross-entropy-loss:target=largest;reduction=none',
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        crossEntropy?.({ loss: null, gradient: out.gradient }, x, rows, parameters);
        const { loss } = out;
        if (!loss) return;
        rowIndices(rows).forEach((at, row) => {
          const values = rowValues(x.data, at);
          loss.data[row] = logOfSum(values) - (values[valueAt(parameters.target.buffer, row)] ?? Number.NaN);
        });
      },
    }),
  ),
  faultyKernels(
    'gradient-of-the-difference',
    'computes p − q with a p that is rounded to 1.',
    'extremes/cross-entropy-gradient:target=largest;reduction=none',
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        crossEntropy?.(out, x, rows, parameters);
        const { gradient } = out;
        if (!gradient) return;
        rowIndices(rows).forEach((at, row) => {
          const target = valueAt(parameters.target.buffer, row);
          const p = softmaxOf(rowValues(x.data, at));
          at.forEach((i, c) => {
            gradient.data[i] = Math.fround(p[c] ?? Number.NaN) - (c === target ? 1 : 0);
          });
        });
      },
    }),
  ),
  faultyKernels(
    'gradient-times-the-jacobian',
    'multiplies p − q by the Jacobian of softmax once more.',
    `cross-entropy/gradient:target=indices;${small}`,
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        crossEntropy?.(out, x, rows, parameters);
        const { gradient } = out;
        if (!gradient) return;
        const s: ExactBuffer = { dtype: x.dtype, data: x.data.slice() };
        eachRow(s, x, rows, softmaxOf);
        gradient.data.set(softmaxVjp(s.data, gradient.data, rows));
      },
    }),
  ),
  faultyKernels(
    'gradient-without-weights',
    'weights the loss and not the gradient.',
    `cross-entropy/gradient:target=indices;weight=classes;${small}`,
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        crossEntropy?.({ loss: out.loss, gradient: null }, x, rows, parameters);
        crossEntropy?.({ loss: null, gradient: out.gradient }, x, rows, { ...parameters, weight: null });
      },
    }),
  ),
  faultyKernels(
    'counts-ignored-rows',
    'treats an ignored row as one of class 0.',
    `cross-entropy/gradient:target=ignored;${small}`,
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        const { target, ignoreIndex } = parameters;
        const data = target.buffer.data.map((index) => (index === ignoreIndex ? 0 : index));
        const buffer = { dtype: target.buffer.dtype, data };
        crossEntropy?.(out, x, rows, { ...parameters, target: { ...target, buffer } });
      },
    }),
  ),
];

export const faultyFused: readonly Fault[] = [
  ...parameterMistakes,
  ...functionMistakes,
  ...hvpMistakes,
  ...crossEntropyMistakes,
];
