import { rowIndices } from '../../reference/functions.js';
import type { ExactBuffer } from '../exact.js';
import { eachRow, type Fault, fault, faultyKernels, softmaxOf, valueAt } from './fault.js';

const { fround } = Math;

/** Log-probabilities of a float32 row, computed from x/T that is first rounded to float32. */
function logSoftmaxOf(row: readonly number[], temperature: number): number[] {
  const tempered = row.map((x) => fround(x / temperature));
  const max = tempered.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const shifted = tempered.map((x) => fround(x - max));
  const log = Math.log(shifted.reduce((sum, x) => sum + Math.exp(x), 0));
  return shifted.map((x) => fround(x - log));
}

/** Correct for ordinary numbers but wrong at the ends of the range, or not the same to the last bit every time. */
export const faultyRanges: readonly Fault[] = [
  fault('softmax-that-divides-first', 'rounds x/T to float32, where it overflows.', 'softmax/range', () => ({
    softmax: (out, x, rows, { temperature }) =>
      eachRow(out, x, rows, (row) => softmaxOf(row.map((logit) => fround(logit / temperature)))),
  })),
  faultyKernels('log-softmax-that-divides-first', 'rounds x/T to float32.', 'log-softmax/range', () => ({
    logSoftmax: (out, x, rows, { temperature }) => eachRow(out, x, rows, (row) => logSoftmaxOf(row, temperature)),
  })),
  faultyKernels('log-sum-exp-that-divides-last', 'shifts before it divides, in float32.', 'log-sum-exp/range', () => ({
    logSumExp(out, x, rows, { temperature }) {
      rowIndices(rows).forEach((at, r) => {
        const row = at.map((i) => valueAt(x, i));
        const max = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
        const sum = row.reduce((total, logit) => total + Math.exp(fround(logit - max) / temperature), 0);
        out.data[r] = max / temperature + Math.log(sum);
      });
    },
  })),
  faultyKernels(
    'log-softmax-of-the-probability',
    'takes the logarithm of a probability that has underflowed.',
    'log-softmax/range',
    (right) => ({
      logSoftmax(out, x, rows, parameters) {
        right.logSoftmax?.(out, x, rows, parameters);
        out.data.set(out.data.map((y) => Math.log(fround(Math.exp(y)))));
      },
    }),
  ),
  fault(
    'softmax-with-a-cutoff',
    'takes the exp of everything below −20 for 0.',
    'log-sum-exp/gradient-of-small-temperature',
    (right) => ({
      softmax(out, x, rows, parameters) {
        right.softmax(out, x, rows, parameters);
        out.data.set(out.data.map((p) => (p < Math.exp(-20) ? 0 : p)));
      },
    }),
  ),
  fault(
    'vjp-of-overflowing-differences',
    'computes g − ⟨s, g⟩ in float32, where the largest cotangents overflow.',
    'vjp/huge-cotangents:axis=1',
    () => ({
      vjp(out, s, g, rows, { temperature }) {
        for (const at of rowIndices(rows)) {
          const top = at.reduce((most, i) => (valueAt(s, i) > valueAt(s, most) ? i : most), at[0] ?? 0);
          const moved = at.map((i) => fround(valueAt(g, i) - valueAt(g, top)));
          const mean = at.reduce((sum, i, c) => sum + valueAt(s, i) * (moved[c] ?? 0), 0);
          const results = at.map((i, c) => (valueAt(s, i) * fround((moved[c] ?? 0) - mean)) / temperature);
          at.forEach((i, c) => {
            out.data[i] = results[c] ?? Number.NaN;
          });
        }
      },
    }),
  ),
  faultyKernels(
    'loss-of-float32-log-probabilities',
    'rounds log p to float32, where it is −Infinity, before multiplying it by the target.',
    'cross-entropy/range',
    (right) => ({
      crossEntropy(out, x, rows, parameters) {
        if (right.crossEntropy?.(out, x, rows, parameters) === false || out.loss === null) return;
        const { data } = out.loss;
        rowIndices(rows).forEach((at, r) => {
          const logs = logSoftmaxOf(
            at.map((i) => valueAt(x, i)),
            parameters.temperature,
          );
          if (logs.includes(Number.NEGATIVE_INFINITY)) data[r] = Number.POSITIVE_INFINITY;
        });
      },
    }),
  ),
  faultyKernels(
    'loss-by-another-way',
    'computes a loss with another last bit if no gradient is requested.',
    'cross-entropy/one-loss',
    (right) => ({
      crossEntropy(out, x, rows, parameters) {
        if (right.crossEntropy?.(out, x, rows, parameters) === false || out.loss === null) return;
        if (out.gradient === null) lastBits(out.loss);
      },
    }),
  ),
  fault(
    'another-way-in-place',
    'computes other last bits if the result overwrites the logits.',
    'laws/in-place-equals-allocated:operation=softmax',
    (right) => ({
      softmax(out, x, rows, parameters) {
        const isInPlace = out === x;
        right.softmax(out, x, rows, parameters);
        if (isInPlace) lastBits(out);
      },
    }),
  ),
];

/** Moves every element by about one unit in the last place. */
function lastBits({ dtype, data }: ExactBuffer): void {
  const unit = dtype === 'float64' ? 2 ** -52 : 2 ** -23;
  data.set(data.map((value) => value * (1 + unit)));
}
