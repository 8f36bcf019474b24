import { rowIndices, softmaxVjp } from '../../reference/functions.js';
import type { ExactBuffer } from '../exact.js';
import { plain } from '../kernel.js';
import { type Fault, faultyKernels, valueAt } from './fault.js';

const hvpSpread = 'softmax/hvp:shape=7x5;axis=1;input=spread;temperature=0.5';

/** Mistakes of second derivatives. */
export const faultyHvp: readonly Fault[] = [
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
  faultyKernels(
    'hvp-that-keeps-an-offset',
    'centres the directions by one subtraction of a rounded ⟨s, v⟩: a constant that all entries have costs their differences digits.',
    'laws/hvp-of-an-offset:operation=softmax.hvp',
    () => ({
      softmaxHvp(out, s, g, t, rows, { temperature }) {
        for (const at of rowIndices(rows)) {
          const mean = (value: (i: number) => number) => at.reduce((sum, i) => sum + valueAt(s, i) * value(i), 0);
          const [ofG, ofT] = [g, t].map((v) => Math.fround(mean((i) => valueAt(v, i)))) as [number, number];
          const product = (i: number) => (valueAt(g, i) - ofG) * (valueAt(t, i) - ofT);
          const ofProduct = mean(product);
          for (const i of at) out.data[i] = (valueAt(s, i) * (product(i) - ofProduct)) / temperature ** 2;
        }
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
    'log-sum-exp-hvp-of-infinite-cotangents',
    'makes a row NaN if its cotangent is infinite.',
    'extremes/non-finite-cotangent:operation=logSumExp.hvp',
    ({ logSumExpHvp }) => ({
      logSumExpHvp(out, x, g, t, rows, parameters) {
        const data = g.data.map((value) => (Number.isFinite(value) ? value : Number.NaN));
        logSumExpHvp?.(out, x, { dtype: g.dtype, data }, t, rows, parameters);
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
