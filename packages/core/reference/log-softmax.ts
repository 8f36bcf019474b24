import type { Rows } from '../src/backend/interface.js';
import { curvature } from './centred.js';
import { add, type DoubleDouble, difference, exactly, exp, expm1, mul, nearest, sub, zero } from './doubledouble.js';
import { logProbabilities } from './probabilities.js';
import {
  divided,
  isMasked,
  type MatrixPart,
  matrices,
  type ReferenceParameters,
  type RowEntries,
  rowwise,
  sumOf,
  tabulated,
  type Values,
} from './row-entries.js';

/** `x/T − log Σ exp(x/T)`. */
export function logSoftmax(x: Values, rows: Rows, parameters: ReferenceParameters = {}): Float64Array {
  return rowwise(x, rows, (at) => logProbabilities(x, at, parameters));
}

/**
 * `(g − p Σ g) / T` with p = exp(y), where masked entries have g = 0. If p is above ½, computed as `g_i (1 − p_i) − p_i Σ_{j≠i} g_j`, which is equal and
 * does not cancel.
 */
export function logSoftmaxVjp(y: Values, g: Values, rows: Rows, parameters: ReferenceParameters = {}): Float64Array {
  const { temperature = 1 } = parameters;
  return rowwise(y, rows, (at) => {
    const cotangent = (i: number) => exactly(g[i]);
    const sum = sumOf(at, cotangent, parameters);
    return (i) => {
      if (isMasked(parameters, i)) return zero;
      const log = exactly(y[i]);
      if (!isDominant(log)) return divided(sub(cotangent(i), mul(exp(log), sum)), temperature);
      const others = sumOf(at, (j) => (j === i ? zero : cotangent(j)), parameters);
      return divided(sub(mul(cotangent(i), complement(log)), mul(exp(log), others)), temperature);
    };
  });
}

/**
 * `(t − ⟨p, t⟩) / T` with p = exp(y); masked entries add nothing and their result is 0. If an entry k has a p above ½, computed as
 * `t_i − t_k − Σ p_j (t_j − t_k) + t_k (1 − Σ p)`, which is equal and does not cancel.
 */
export function logSoftmaxJvp(y: Values, t: Values, rows: Rows, parameters: ReferenceParameters = {}): Float64Array {
  const { temperature = 1 } = parameters;
  return rowwise(y, rows, (at) => {
    const top = at.find((i) => !isMasked(parameters, i) && isDominant(exactly(y[i])));
    const origin = top === undefined ? 0 : t[top];
    const p = tabulated(at, (i) => exp(exactly(y[i])));
    const mean = sumOf(at, (i, c) => mul(p(i, c), difference(t[i], origin)), parameters);
    const others = sumOf(at, (i, c) => (i === top ? zero : p(i, c)), parameters);
    const missing = top === undefined ? zero : mul(exactly(origin), sub(complement(exactly(y[top])), others));
    return (i) => {
      if (isMasked(parameters, i)) return zero;
      return divided(add(sub(difference(t[i], origin), mean), missing), temperature);
    };
  });
}

/** Whether exp(log) is above ½, which at most one entry of a row can have. */
export function isDominant(log: DoubleDouble): boolean {
  return log.hi > -Math.LN2;
}

/** `1 − exp(log)`. */
export function complement(log: DoubleDouble): DoubleDouble {
  return sub(zero, expm1(log));
}

/** `−Σg · p_i Σ_j p_j (t_i − t_j) / T²` with p = exp(y), where masked entries have g = 0 and are left out of the sums. */
export function logSoftmaxHvp(
  y: Values,
  g: Values,
  t: Values,
  rows: Rows,
  parameters: ReferenceParameters = {},
): Float64Array {
  const { temperature = 1 } = parameters;
  return rowwise(y, rows, (at) => {
    const sum = sumOf(at, (i) => exactly(g[i]), parameters);
    const p: RowEntries = (i) => exp(exactly(y[i]));
    return curvature(p, t, at, sub(zero, sum), temperature, parameters);
  });
}

/** `(δ_rc − exp(y_c)) / T`; matrix rows of masked entries are 0. */
export function logSoftmaxJacobian(
  y: Values,
  rows: Rows,
  parameters: ReferenceParameters = {},
  part: MatrixPart = 'all',
): Float64Array {
  const { temperature = 1 } = parameters;
  return matrices(rows, part, (at) => {
    const besideDiagonal = at.map((i) => nearest(divided(sub(zero, exp(exactly(y[i]))), temperature)));
    return (i) => (j, c) => {
      if (isMasked(parameters, i)) return 0;
      return i === j ? nearest(divided(complement(exactly(y[i])), temperature)) : (besideDiagonal[c] ?? Number.NaN);
    };
  });
}
