import { rowIndices, rowValues, softmaxVjp } from '../../reference/functions.js';
import type { ExactBuffer } from '../exact.js';
import { eachRow, type Fault, faultyKernels, logOfSum, softmaxOf, valueAt } from './fault.js';

const small = 'shape=7x5;axis=1;input=spread';

/** Mistakes of cross-entropy. */
export const faultyCrossEntropy: readonly Fault[] = [
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
    'skips-rows-without-weight',
    'gives a row whose weights are all 0 the loss 0, even if a NaN leaves it without a softmax.',
    'cross-entropy/loss:target=nothing;reduction=none;shape=7x5;axis=1;input=nan',
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        crossEntropy?.(out, x, rows, parameters);
        const { target } = parameters;
        rowIndices(rows).forEach((at, row) => {
          const isSkipped = target.kind === 'probabilities' && at.every((i) => valueAt(target.buffer, i) === 0);
          if (out.loss && isSkipped) out.loss.data[row] = 0;
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
    'target-without-the-rest',
    'takes the target of the other classes for Σ q − q, which a rounded Σ q loses where q is nearly all of it.',
    'extremes/cross-entropy-gradient:target=nearly;reduction=none',
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        crossEntropy?.(out, x, rows, parameters);
        const { gradient } = out;
        const { kind, buffer } = parameters.target;
        if (!gradient || kind === 'indices') return;
        for (const at of rowIndices(rows)) {
          const p = softmaxOf(rowValues(x.data, at));
          const q = rowValues(buffer.data, at);
          const sum = Math.fround(q.reduce((a, b) => a + b, 0));
          at.forEach((i, c) => {
            if ((p[c] ?? 0) <= 0.5) return;
            const others = p.reduce((all, share, k) => (k === c ? all : all + share), 0);
            gradient.data[i] = sum - (q[c] ?? Number.NaN) - others * sum;
          });
        }
      },
    }),
  ),
  faultyKernels(
    'two-decisions-about-a-half',
    'takes the target of the other classes where 1 − p is below ½, and uses it where p is above ½, each rounded in its own way.',
    'extremes/cross-entropy-gradient:input=halved;target=probabilities;reduction=none',
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        crossEntropy?.(out, x, rows, parameters);
        const { gradient } = out;
        const { kind, buffer } = parameters.target;
        if (!gradient || kind === 'indices') return;
        for (const at of rowIndices(rows)) {
          const powers = rowValues(x.data, at).map(Math.exp);
          const sum = powers.reduce((a, b) => a + b, 0);
          const q = rowValues(buffer.data, at);
          const total = q.reduce((a, b) => a + b, 0);
          at.forEach((i, c) => {
            const p = Math.fround(Math.fround(powers[c] ?? Number.NaN) * Math.fround(1 / sum));
            if (!(p > 0.5)) return;
            const rest = Math.fround(1 - (powers[c] ?? Number.NaN) / sum);
            gradient.data[i] = (rest < 0.5 ? total - (q[c] ?? Number.NaN) : 0) - rest * total;
          });
        }
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
