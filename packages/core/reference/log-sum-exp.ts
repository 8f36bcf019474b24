import type { Rows } from '../src/backend/interface.js';
import { curvature } from './centred.js';
import { add, type DoubleDouble, exactly, mul, nearest, one, zero } from './doubledouble.js';
import { logOfSum, probabilities, rootProbabilities, scaledRow } from './probabilities.js';
import {
  divided,
  isMasked,
  type ReferenceParameters,
  type RowEntries,
  rowIndices,
  rowwise,
  sumOf,
  type Values,
} from './row-entries.js';

/** `log Σ exp(x/T)`, one value for each row: −Infinity if every logit is −Infinity or masked, +Infinity if one is +Infinity. */
export function logSumExp(x: Values, rows: Rows, parameters: ReferenceParameters = {}): Float64Array {
  return Float64Array.from(rowIndices(rows), (at) => {
    const row = scaledRow(x, at, parameters);
    if (!row) return Number.NEGATIVE_INFINITY;
    if (!Number.isFinite(row.max.hi)) return row.hasNaN ? Number.NaN : row.max.hi;
    return nearest(add(row.max, logOfSum(row)));
  });
}

/** `softmax(x/T) g / T` with one entry of the cotangent g for each row; null stands for ones: the gradient. */
export function logSumExpVjp(
  x: Values,
  g: Values | null,
  rows: Rows,
  parameters: ReferenceParameters = {},
): Float64Array {
  const { temperature = 1 } = parameters;
  return rowwise(x, rows, (at, r) => {
    const roots = rootProbabilities(x, at, parameters);
    const factor = g ? exactly(g[r]) : one;
    const quotient = divided(factor, temperature);
    return (i, c) => {
      if (isMasked(parameters, i)) return zero;
      const root = roots(i, c);
      // A probability may be so small that it loses digits while p / T would not.
      if (Number.isFinite(quotient.hi)) return mul(root, mul(root, quotient));
      return mul(root, divided(mul(root, factor), temperature));
    };
  });
}

/** `⟨softmax(x/T), t⟩ / T`, one value for each row. */
export function logSumExpJvp(x: Values, t: Values, rows: Rows, parameters: ReferenceParameters = {}): Float64Array {
  const { temperature = 1 } = parameters;
  return Float64Array.from(rowIndices(rows), (at) => {
    const p = probabilities(x, at, parameters);
    const early = sumOf(at, (i, c) => mul(p(i, c), divided(exactly(t[i]), temperature)), parameters);
    if (Number.isFinite(early.hi)) return nearest(early);
    const sum = sumOf(at, (i, c) => mul(p(i, c), exactly(t[i])), parameters);
    return nearest(divided(sum, temperature));
  });
}

/** `g p_i Σ_j p_j (t_i − t_j) / T²` with p = softmax(x/T) and one entry of the cotangent g for each row. */
export function logSumExpHvp(
  x: Values,
  g: Values,
  t: Values,
  rows: Rows,
  parameters: ReferenceParameters = {},
): Float64Array {
  return rowwise(x, rows, (at, r) => logSumExpCurvature(x, at, exactly(g[r]), t, parameters));
}

/** One row of `logSumExpHvp`. */
export function logSumExpCurvature(
  x: Values,
  at: readonly number[],
  factor: DoubleDouble,
  t: Values,
  parameters: ReferenceParameters,
): RowEntries {
  return curvature(probabilities(x, at, parameters), t, at, factor, parameters.temperature ?? 1, parameters);
}
