import { rowIndices, rowValues, softmaxVjp } from '../../reference/functions.js';
import type { CrossEntropyParameters, Rows } from '../../src/index.js';
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
    'smooths-at-most-a-third',
    'takes a label smoothing between 0.3 and 1 for 0.3.',
    'combinations/cross-entropy:set=finite',
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        const { labelSmoothing } = parameters;
        const smoothing = labelSmoothing < 1 ? Math.min(0.3, labelSmoothing) : 1;
        crossEntropy?.(out, x, rows, { ...parameters, labelSmoothing: smoothing });
      },
    }),
  ),
  faultyKernels(
    'weights-without-sign',
    'takes the sizes of the class weights.',
    'cross-entropy/gradient:target=probabilities;reduction=none;weight=classes;shape=7x5;axis=1;input=spread',
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        const { weight } = parameters;
        const sizes = weight && { dtype: weight.dtype, data: weight.data.map(Math.abs) };
        crossEntropy?.(out, x, rows, { ...parameters, weight: sizes });
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
  faultyGradient(
    'gradient-of-the-difference',
    'computes p − q with a p that is rounded to 1.',
    'extremes/cross-entropy-gradient:target=largest;reduction=none',
    (gradient, x, rows, { target }) => {
      eachRow(gradient, x, rows, (logits, row) => {
        const own = valueAt(target.buffer, row);
        return softmaxOf(logits).map((p, c) => Math.fround(p) - (c === own ? 1 : 0));
      });
    },
  ),
  faultyGradientOfProbabilities(
    'target-without-the-rest',
    'takes the target of the other classes for Σ q − q, which a rounded Σ q loses where q is nearly all of it.',
    'extremes/cross-entropy-gradient:target=nearly;reduction=none',
    (logits, q) => {
      const p = softmaxOf(logits);
      const sum = Math.fround(q.reduce((a, b) => a + b, 0));
      return p.map((own, c) => {
        if (own <= 0.5) return null;
        const others = p.reduce((all, share, k) => (k === c ? all : all + share), 0);
        return sum - (q[c] ?? Number.NaN) - others * sum;
      });
    },
  ),
  faultyGradientOfProbabilities(
    'two-decisions-about-a-half',
    'takes the target of the other classes where 1 − p is below ½, and uses it where p is above ½, each rounded in its own way.',
    'extremes/cross-entropy-gradient:input=halved;target=probabilities;reduction=none',
    (logits, q) => {
      const powers = logits.map(Math.exp);
      const sum = powers.reduce((a, b) => a + b, 0);
      const total = q.reduce((a, b) => a + b, 0);
      return powers.map((power, c) => {
        if (!(Math.fround(Math.fround(power) * Math.fround(1 / sum)) > 0.5)) return null;
        const rest = Math.fround(1 - power / sum);
        return (rest < 0.5 ? total - (q[c] ?? Number.NaN) : 0) - rest * total;
      });
    },
  ),
  faultyGradient(
    'gradient-times-the-jacobian',
    'multiplies p − q by the Jacobian of softmax once more.',
    `cross-entropy/gradient:target=indices;${small}`,
    (gradient, x, rows) => {
      const s: ExactBuffer = { dtype: x.dtype, data: x.data.slice() };
      eachRow(s, x, rows, softmaxOf);
      gradient.data.set(softmaxVjp(s.data, gradient.data, rows));
    },
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
    'ignores-the-usual-index',
    'ignores rows with the index −100, or another class, and no other index.',
    'combinations/cross-entropy:set=finite',
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        const { target, ignoreIndex } = parameters;
        const isClass = ignoreIndex >= 0 && ignoreIndex < rows.classes;
        const data = target.buffer.data.map((index) =>
          index === ignoreIndex && !isClass && index !== -100 ? 0 : index,
        );
        const buffer = { dtype: target.buffer.dtype, data };
        crossEntropy?.(
          out,
          x,
          rows,
          target.kind === 'indices' ? { ...parameters, target: { ...target, buffer } } : parameters,
        );
      },
    }),
  ),
  faultyKernels(
    'ignores-minus-100-alone',
    'ignores rows with the index −100, whatever ignoreIndex is, in a kernel that declines every other option.',
    'cross-entropy/nothing-counted',
    ({ crossEntropy }) => ({
      crossEntropy(out, x, rows, parameters) {
        const { temperature, mask, weight, labelSmoothing } = parameters;
        if (temperature !== 1 || mask || weight || labelSmoothing !== 0) return false;
        return crossEntropy?.(out, x, rows, { ...parameters, ignoreIndex: -100 });
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

/** A mistake in the gradient alone: `change` is given the right one and makes it wrong. */
function faultyGradient(
  name: string,
  mistake: string,
  caughtBy: string,
  change: (gradient: ExactBuffer, x: ExactBuffer, rows: Rows, parameters: CrossEntropyParameters<ExactBuffer>) => void,
): Fault {
  return faultyKernels(name, mistake, caughtBy, ({ crossEntropy }) => ({
    crossEntropy(out, x, rows, parameters) {
      crossEntropy?.(out, x, rows, parameters);
      if (out.gradient) change(out.gradient, x, rows, parameters);
    },
  }));
}

/** The same for targets of probabilities: the wrong gradient of a row of logits and its target, null where it stays right. */
function faultyGradientOfProbabilities(
  name: string,
  mistake: string,
  caughtBy: string,
  wrong: (logits: number[], q: readonly number[]) => readonly (number | null)[],
): Fault {
  return faultyGradient(name, mistake, caughtBy, (gradient, x, rows, { target: { kind, buffer } }) => {
    if (kind === 'indices') return;
    for (const at of rowIndices(rows)) {
      wrong(rowValues(x.data, at), rowValues(buffer.data, at)).forEach((value, c) => {
        const i = at[c];
        if (value !== null && i !== undefined) gradient.data[i] = value;
      });
    }
  });
}
