import { type ReferenceParameters, rowIndices, type Values } from '../../reference/functions.js';
import type { Rows } from '../../src/index.js';

/** Rounds the result of one operation. */
type Round = (value: number) => number;

/** The usual formulas, written without a look at the bounds: every operation of every step is rounded, sums run from the first term to the last. */
export interface Steps {
  softmax(x: Values, rows: Rows, parameters: ReferenceParameters): Float64Array;
  softmaxVjp(s: Values, g: Values, rows: Rows, temperature: number): Float64Array;
  softmaxHvp(s: Values, g: Values, t: Values, rows: Rows, temperature: number): Float64Array;
  softmaxDoubleBackward(s: Values, g: Values, h: Values, rows: Rows, temperature: number): Float64Array;
  softmaxJacobian(s: Values, rows: Rows, temperature: number): Float64Array;
  logSoftmax(x: Values, rows: Rows, parameters: ReferenceParameters): Float64Array;
  logSoftmaxVjp(y: Values, g: Values, rows: Rows, temperature: number): Float64Array;
  logSoftmaxJvp(y: Values, t: Values, rows: Rows, temperature: number): Float64Array;
  logSoftmaxHvp(y: Values, g: Values, t: Values, rows: Rows, temperature: number): Float64Array;
  logSoftmaxJacobian(y: Values, rows: Rows, temperature: number): Float64Array;
  logSumExp(x: Values, rows: Rows, parameters: ReferenceParameters): Float64Array;
  logSumExpVjp(x: Values, g: Values | null, rows: Rows, parameters: ReferenceParameters): Float64Array;
  logSumExpJvp(x: Values, t: Values, rows: Rows, parameters: ReferenceParameters): Float64Array;
  logSumExpHvp(x: Values, g: Values, t: Values, rows: Rows, parameters: ReferenceParameters): Float64Array;
  sigmoid(x: Values): Float64Array;
  sigmoidVjp(y: Values, g: Values): Float64Array;
  sigmoidHvp(y: Values, g: Values, t: Values): Float64Array;
  /** Running sum. */
  sum(values: readonly number[]): number;
}

export function stepsIn(r: Round): Steps {
  const sum = (values: readonly number[]) => values.reduce((a, b) => r(a + b), 0);
  const over = (value: number, temperature = 1) => (temperature === 1 ? value : r(value / temperature));

  /** One row's maximum, its shifted logits, the sum of their exponentials and its logarithm, for which the maximum's own stays out of the sum. */
  function exponentials(x: Values, at: readonly number[], { temperature = 1, mask }: ReferenceParameters) {
    const sign = Math.sign(temperature);
    const kept = at.map((i) => (mask && !mask[i] ? Number.NEGATIVE_INFINITY : sign * x[i]));
    const largest = kept.reduce((a, b) => Math.max(a, b));
    const shifted = kept.map((value) =>
      largest === Number.NEGATIVE_INFINITY ? largest : over(r(value - largest), Math.abs(temperature)),
    );
    const terms = shifted.map((value) => r(Math.exp(value)));
    const top = kept.indexOf(largest);
    const logarithm = r(Math.log1p(sum(terms.map((term, c) => (c === top ? 0 : term)))));
    return { max: over(largest, Math.abs(temperature)), shifted, terms, total: sum(terms), logarithm };
  }

  /** The exponentials of a row of log-probabilities, the class of the one above ½ (−1 without) and what it leaves of 1. */
  function exponentialsOf(y: Values, at: readonly number[]) {
    const p = at.map((i) => r(Math.exp(y[i])));
    const top = p.findIndex((value) => value > 0.5);
    return { p, top, left: top < 0 ? Number.NaN : r(-Math.expm1(y[at[top]])) };
  }

  /** A direction less its mean, the entry of the largest probability taken off first if this makes the mean smaller. */
  function centred(p: readonly number[], v: readonly number[]): readonly number[] {
    const offset = v[p.indexOf(p.reduce((a, b) => Math.max(a, b)))];
    const moved = v.map((value) => r(value - offset));
    const meanOf = (values: readonly number[]) => sum(values.map((value, c) => r(p[c] * value)));
    const [whole, rest] = [meanOf(v), meanOf(moved)];
    const isMoved = Math.max(...p) > 0.5 || Math.abs(rest) < Math.abs(whole);
    return isMoved ? moved.map((value) => r(value - rest)) : v.map((value) => r(value - whole));
  }

  function entries(
    x: Values,
    rows: Rows,
    ofRow: (at: readonly number[], row: number) => readonly number[],
  ): Float64Array {
    const out = new Float64Array(x.length);
    rowIndices(rows).forEach((at, row) => {
      const values = ofRow(at, row);
      at.forEach((i, c) => {
        out[i] = values[c];
      });
    });
    return out;
  }

  function matrices(rows: Rows, entry: (i: number, j: number, at: readonly number[]) => number): Float64Array {
    return Float64Array.from(rowIndices(rows).flatMap((at) => at.flatMap((i) => at.map((j) => entry(i, j, at)))));
  }

  const softmax: Steps['softmax'] = (x, rows, parameters) =>
    entries(x, rows, (at) => {
      const { terms, total } = exponentials(x, at, parameters);
      return terms.map((term) => (total === 0 ? 0 : r(term / total)));
    });

  return {
    sum,
    softmax,
    softmaxVjp: (s, g, rows, temperature) =>
      entries(s, rows, (at) => {
        const top = at.reduce((a, b) => (s[b] > s[a] ? b : a));
        const differences = at.map((i) => (s[top] > 0.5 ? r(g[i] - g[top]) : g[i]));
        const inner = sum(at.map((i, c) => r(s[i] * differences[c])));
        return at.map((i, c) => over(r(s[i] * r(differences[c] - inner)), temperature));
      }),
    softmaxHvp: (s, g, t, rows, temperature) =>
      entries(s, rows, (at) => {
        const p = at.map((i) => s[i]);
        const [a, b] = [g, t].map((v) =>
          centred(
            p,
            at.map((i) => v[i]),
          ),
        );
        const products = a.map((value, c) => r(value * b[c]));
        const mean = sum(products.map((value, c) => r(p[c] * value)));
        return products.map((value, c) => over(over(r(p[c] * r(value - mean)), temperature), temperature));
      }),
    softmaxDoubleBackward: (s, g, h, rows, temperature) =>
      entries(s, rows, (at) => {
        const a = centred(
          at.map((i) => s[i]),
          at.map((i) => g[i]),
        );
        const mean = sum(at.map((i) => r(s[i] * h[i])));
        return at.map((i, c) => over(r(r(h[i] * a[c]) - r(g[i] * mean)), temperature));
      }),
    softmaxJacobian: (s, rows, temperature) =>
      matrices(rows, (i, j, at) => {
        const others = () => sum(at.filter((k) => k !== i).map((k) => s[k]));
        return over(i === j ? r(s[i] * others()) : -r(s[i] * s[j]), temperature);
      }),
    logSoftmax: (x, rows, parameters) =>
      entries(x, rows, (at) => {
        const { shifted, total, logarithm } = exponentials(x, at, parameters);
        return shifted.map((value) => (total === 0 ? value : r(value - logarithm)));
      }),
    logSoftmaxVjp: (y, g, rows, temperature) =>
      entries(y, rows, (at) => {
        const { p, top, left } = exponentialsOf(y, at);
        const total = sum(at.map((i) => g[i]));
        const rest = sum(at.map((i, c) => (c === top ? 0 : g[i])));
        return at.map((i, c) => {
          const [own, spread] = c === top ? [r(g[i] * left), r(p[c] * rest)] : [g[i], r(p[c] * total)];
          return over(r(own - spread), temperature);
        });
      }),
    logSoftmaxJvp: (y, t, rows, temperature) =>
      entries(y, rows, (at) => {
        const { p, top } = exponentialsOf(y, at);
        const moved = at.map((i) => (top < 0 ? t[i] : r(t[i] - t[at[top]])));
        const mean = sum(moved.map((value, c) => r(p[c] * value)));
        return moved.map((value) => over(r(value - mean), temperature));
      }),
    logSoftmaxHvp: (y, g, t, rows, temperature) =>
      entries(y, rows, (at) => {
        const p = at.map((i) => r(Math.exp(y[i])));
        const total = sum(at.map((i) => g[i]));
        const moved = centred(
          p,
          at.map((i) => t[i]),
        );
        return moved.map((value, c) => over(over(r(-total * r(p[c] * value)), temperature), temperature));
      }),
    logSoftmaxJacobian: (y, rows, temperature) =>
      matrices(rows, (i, j, at) => {
        const { p, top, left } = exponentialsOf(y, at);
        const c = at.indexOf(j);
        return over(i === j && c === top ? left : r(Number(i === j) - p[c]), temperature);
      }),
    logSumExp: (x, rows, parameters) =>
      Float64Array.from(rowIndices(rows), (at) => {
        const { max, total, logarithm } = exponentials(x, at, parameters);
        return total === 0 ? max : r(max + logarithm);
      }),
    logSumExpVjp(x, g, rows, parameters) {
      const p = softmax(x, rows, parameters);
      return entries(x, rows, (at, row) => at.map((i) => over(g ? r(p[i] * g[row]) : p[i], parameters.temperature)));
    },
    logSumExpJvp(x, t, rows, parameters) {
      const p = softmax(x, rows, parameters);
      return Float64Array.from(rowIndices(rows), (at) =>
        over(sum(at.map((i) => r(p[i] * t[i]))), parameters.temperature),
      );
    },
    logSumExpHvp(x, g, t, rows, parameters) {
      const { temperature, mask } = parameters;
      const p = softmax(x, rows, parameters);
      return entries(x, rows, (at, row) => {
        const shares = at.map((i) => p[i]);
        const moved = centred(
          shares,
          at.map((i) => (mask && !mask[i] ? 0 : t[i])),
        );
        return moved.map((value, c) => over(over(r(g[row] * r(shares[c] * value)), temperature), temperature));
      });
    },
    sigmoid: (x) =>
      Float64Array.from(x, (value) => {
        const e = r(Math.exp(-Math.abs(value)));
        return r((value >= 0 ? 1 : e) / r(1 + e));
      }),
    sigmoidVjp: (y, g) => Float64Array.from(y, (value, i) => r(r(g[i] * value) * r(1 - value))),
    sigmoidHvp: (y, g, t) =>
      Float64Array.from(y, (value, i) => r(r(r(g[i] * t[i]) * r(value * r(1 - value))) * r(1 - r(2 * value)))),
  };
}
