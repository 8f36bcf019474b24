import type { Op } from '../src/index.js';

/** A bound of an operation's results as the documentation prints it, at temperature 1 and without a mask. */
export interface StatedBound {
  /** What it bounds, in Markdown: the subject of "is at most". */
  readonly of: string;
  /** In TeX. Products are written `a \, b`, so that a test can compute it and compare it with the tolerance. */
  readonly tex: string;
  /** Symbols of the formula that stand for other formulas, in Markdown. */
  readonly where: readonly { readonly symbol: string; readonly is: string; readonly tex: string }[];
}

/** σ of `rowErrors`: the error of a row's sum of exps, relative to it; `error` is that of one exp. */
function sumOf(error: string) {
  const tex = String.raw`\max\left(e(1), \sum_k \left( s_k \, \left(${error}\right) \right)\right) + \min\left(f - 1, 4 \, \sqrt{f}\right)`;
  return { symbol: String.raw`\sigma`, is: 'the error of the sum of the exps, relative to it', tex };
}

const sum = sumOf(String.raw`e(x_{\max} - x_k)`);
const rest = {
  symbol: 'r',
  is: 'the sum of the exps without that of the maximum, relative to it',
  tex: String.raw`\sum_{k \ne \max} \left( \exp\left(x_k - x_{\max}\right) \right)`,
};
const logarithms = [
  {
    symbol: String.raw`\Lambda`,
    is: 'the error of the logarithm of the sum, if r is above ½, where b is the error in ULP that a backend announces for exp(0)',
    tex: String.raw`\sigma + 2 \, b \, \max\left(\log\left(1 + r\right), \frac{4}{3}\right)`,
  },
  {
    symbol: String.raw`\Lambda`,
    is: 'the same, if r is at most ½',
    tex: String.raw`\frac{\sum_{k \ne \max} \left( \exp\left(x_k - x_{\max}\right) \, e(x_{\max} - x_k) \right) + \left(e(1) + \min\left(f - 1, 4 \, \sqrt{f}\right)\right) \, r}{1 + r} + \left(2 \, b + 8\right) \, \log\left(1 + r\right)`,
  },
  sum,
  rest,
];

/** The bounds of the functions' values, which are the tolerances beside this file in other words. */
export const statedBounds = {
  softmax: {
    of: 'The error of a probability',
    tex: String.raw`\left(e(x_{\max} - x_i) + \sigma + 5\right) \, u \, s_i`,
    where: [sum],
  },
  softmin: {
    of: 'The error of a probability',
    tex: String.raw`\left(e(x_i - x_{\min}) + 5 \, \left(x_i - x_{\min}\right) + \sigma + 5\right) \, u \, s_i`,
    where: [sumOf(String.raw`e(x_k - x_{\min}) + 5 \, \left(x_k - x_{\min}\right)`)],
  },
  logSoftmax: {
    of: 'The error of a log-probability',
    tex: String.raw`\left(\left(x_{\max} - x_i\right) + \Lambda + 2 \, \lvert y_i \rvert\right) \, u`,
    where: logarithms,
  },
  logSumExp: {
    of: 'The error of a result',
    tex: String.raw`\left(\Lambda + \lvert \ell \rvert\right) \, u`,
    where: logarithms,
  },
  crossEntropy: {
    of: 'The error of the loss of a row whose target has a weight for each class',
    tex: String.raw`\sum_k \left( q_k \, \left(\left(x_{\max} - x_k\right) + \Lambda + \left(2 + w + 1 + \min\left(f - 1, 4 \, \sqrt{f}\right)\right) \, \lvert y_k \rvert \right) \right) \, u`,
    where: [
      { symbol: 'y', is: 'the log-probabilities', tex: String.raw`\log p` },
      {
        symbol: 'w',
        is: 'the rounding of the weights: 0 for probabilities as they are given, 8 with label smoothing, and 1 more with class weights',
        tex: '',
      },
      ...logarithms,
    ],
  },
  sigmoid: {
    of: 'The error of a result',
    tex: String.raw`\left(\left(1 - y\right) \, \left(e(\lvert x \rvert) - \lvert x \rvert\right) + 6\right) \, u \, y`,
    where: [],
  },
  relu: { of: 'The error of a result', tex: '0', where: [] },
} as const satisfies Readonly<Record<Op, StatedBound>>;
