import type { Rows } from '../src/backend/interface.js';
import {
  add,
  type DoubleDouble,
  difference,
  div,
  exactly,
  exp,
  expm1,
  mul,
  nan,
  nearest,
  one,
  product,
  scaled,
  sub,
  zero,
} from './doubledouble.js';
import { logOfSum, logProbabilities, probabilities, rootProbabilities, scaledRow } from './probabilities.js';
import {
  divided,
  elements,
  isMasked,
  type MatrixPart,
  matrices,
  type ReferenceParameters,
  type RowEntries,
  rowIndices,
  rowwise,
  sumOf,
  sumsOfOthers,
  tabulated,
  type Values,
} from './row-entries.js';

export { type ReferenceParameters, rowIndices, rowValues, type Values } from './row-entries.js';

/**
 * The reference: every function of core and its derivatives, computed in double-double and rounded once to float64.
 * Slow and direct; tests compare it with arithmetic of 50 digits and with published values.
 *
 * Operands are flat, row-major and laid out as `Rows` says. Their values are those that the tested backend was given, already
 * rounded to its dtype, so that a difference is the backend's own error.
 */

/** `exp(x/T) / Σ exp(x/T)`. A row that contains NaN or +Infinity, or only −Infinity, is NaN; a row whose entries are all masked is 0. */
export function softmax(x: Values, rows: Rows, parameters: ReferenceParameters = {}): Float64Array {
  return rowwise(x, rows, (at) => probabilities(x, at, parameters));
}

/**
 * `(diag(s) − s sᵀ) / T`, one classes × classes matrix for each row, rows in (outer, inner) order; rows and columns of masked entries are 0. The
 * diagonal is `s_r Σ_{c≠r} s_c`: rounded probabilities sum to 1 ± an ULP, so `1 − s_r` has no correct digits where a row is nearly one-hot.
 */
export function softmaxJacobian(
  s: Values,
  rows: Rows,
  parameters: ReferenceParameters = {},
  part: MatrixPart = 'all',
): Float64Array {
  const { temperature = 1 } = parameters;
  return matrices(rows, part, (at) => {
    const others = sumsOfOthers(at, (i) => exactly(s[i]), parameters);
    return (i) => {
      // A factor is divided instead of the product, because the product may be too small to have all digits.
      const p = exactly(s[i]);
      const early = divided(p, temperature);
      return (j, c) => {
        if (isMasked(parameters, i) || isMasked(parameters, j)) return 0;
        const factor = i === j ? others(i, c) : exactly(-(s[j] ?? Number.NaN));
        return nearest(Number.isFinite(early.hi) ? mul(early, factor) : divided(mul(p, factor), temperature));
      };
    };
  });
}

/**
 * `s_i Σ_j s_j (g_i − g_j) / T`, which equals `s ⊙ (g − ⟨s, g⟩) / T` if Σ s = 1. Rounded probabilities sum to 1 ± an ULP, and
 * where a row is nearly one-hot, the second formula has no correct digits then. Also the jvp, because the Jacobian is symmetric. A masked entry has
 * s = 0 and no effect.
 */
export function softmaxVjp(s: Values, g: Values, rows: Rows, parameters: ReferenceParameters = {}): Float64Array {
  const { temperature = 1 } = parameters;
  return rowwise(s, rows, (at) => {
    const sum = sumOf(at, (i) => exactly(s[i]), parameters);
    // Subtract g of the largest probability: a term as small as 1e-84 has only 53 bits in a double-double if 1 is added to it.
    const origin = atLargest(at, (i) => exactly(s[i]), g, parameters);
    // Differences of huge cotangents, and the error terms of their products, would overflow.
    const unit = at.some((i) => Math.abs(g[i] ?? 0) > 2 ** 900) ? 2 ** -200 : 1;
    const moved = (i: number) => difference((g[i] ?? Number.NaN) * unit, (origin ?? Number.NaN) * unit);
    const inner = sumOf(at, (i) => mul(exactly(s[i]), moved(i)), parameters);
    return (i) => {
      if (isMasked(parameters, i)) return zero;
      const rest = sub(mul(moved(i), sum), inner);
      // The order in which a small probability keeps its digits.
      const early = divided(exactly(s[i]), temperature);
      const quotient =
        Math.abs(temperature) > 1 || !Number.isFinite(early.hi)
          ? divided(mul(exactly(s[i]), rest), temperature)
          : mul(early, rest);
      return scaled(quotient, 1 / unit);
    };
  });
}

/**
 * `s_i Σ_j s_j (a_i b_i − a_j b_j) / T²` with `a_i = Σ_j s_j (g_i − g_j)` and `b_i = Σ_j s_j (t_i − t_j)`: the derivative of softmaxVjp
 * along the tangent t of the logits. Adding a constant to g or t does not change it, even if the probabilities sum to 1 only approximately.
 */
export function softmaxHvp(
  s: Values,
  g: Values,
  t: Values,
  rows: Rows,
  parameters: ReferenceParameters = {},
): Float64Array {
  const { temperature = 1 } = parameters;
  return rowwise(s, rows, (at) => {
    const p: RowEntries = (i) => exactly(s[i]);
    const centredG = centred(p, g, at, parameters);
    const centredT = centred(p, t, at, parameters);
    const products = tabulated(at, (i, c) => mul(centredG(i, c), centredT(i, c)));
    const sum = sumOf(at, p, parameters);
    const mean = sumOf(at, (i, c) => mul(p(i, c), products(i, c)), parameters);
    return (i, c) => {
      if (isMasked(parameters, i)) return zero;
      const rest = sub(mul(sum, products(i, c)), mean);
      return mul(divided(p(i, c), temperature), divided(rest, temperature));
    };
  });
}

/** `(h_i Σ_j s_j (g_i − g_j) − g_i Σ_j s_j h_j) / T`: the derivative of `⟨h, softmaxVjp(s, g)⟩` with respect to s; masked entries have no effect. */
export function softmaxDoubleBackward(
  s: Values,
  g: Values,
  h: Values,
  rows: Rows,
  parameters: ReferenceParameters = {},
): Float64Array {
  const { temperature = 1 } = parameters;
  return rowwise(s, rows, (at) => {
    const p: RowEntries = (i) => exactly(s[i]);
    const centredG = centred(p, g, at, parameters);
    const mean = sumOf(at, (i) => mul(exactly(s[i]), exactly(h[i])), parameters);
    return (i, c) => {
      if (isMasked(parameters, i)) return zero;
      return divided(sub(mul(exactly(h[i]), centredG(i, c)), mul(exactly(g[i]), mean)), temperature);
    };
  });
}

/** `Σ_j p_j (v_i − v_j)` for each entry i of a row, with j over the entries that the mask keeps. */
function centred(p: RowEntries, v: Values, at: readonly number[], parameters: ReferenceParameters): RowEntries {
  const origin = atLargest(at, p, v, parameters);
  const moved = tabulated(at, (i) => difference(v[i], origin));
  const sum = sumOf(at, p, parameters);
  const mean = sumOf(at, (i, c) => mul(p(i, c), moved(i, c)), parameters);
  return tabulated(at, (i, c) => sub(mul(moved(i, c), sum), mean));
}

/** v at the first largest p among the entries that the mask keeps; 0 if it keeps none. */
function atLargest(
  at: readonly number[],
  p: RowEntries,
  v: Values,
  parameters: ReferenceParameters,
): number | undefined {
  let most: number | null = null;
  let value: number | undefined = 0;
  let c = 0;
  for (const i of at) {
    const { hi } = p(i, c++);
    if (isMasked(parameters, i) || (most !== null && !(hi > most))) continue;
    most = hi;
    value = v[i];
  }
  return value;
}

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
    const cotangent = (i: number) => exactly(isMasked(parameters, i) ? 0 : g[i]);
    const sum = sumOf(at, cotangent);
    return (i) => {
      const log = exactly(y[i]);
      if (!isDominant(log)) return divided(sub(cotangent(i), mul(exp(log), sum)), temperature);
      const others = sumOf(at, (j) => (j === i ? zero : cotangent(j)));
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
    const mean = sumOf(at, (i) => mul(exp(exactly(y[i])), difference(t[i], origin)), parameters);
    const others = sumOf(at, (i) => (i === top ? zero : exp(exactly(y[i]))), parameters);
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
    const probability = at.map((i) => exp(exactly(y[i])));
    return (i) => (j, c) => {
      if (isMasked(parameters, i)) return 0;
      const entry = i === j ? complement(exactly(y[i])) : sub(zero, probability[c] ?? nan);
      return nearest(divided(entry, temperature));
    };
  });
}

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
    const early = sumOf(at, (i, c) => mul(p(i, c), divided(exactly(t[i]), temperature)));
    if (Number.isFinite(early.hi)) return nearest(early);
    return nearest(
      divided(
        sumOf(at, (i, c) => mul(p(i, c), exactly(t[i]))),
        temperature,
      ),
    );
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

/** `factor · p_i Σ_j p_j (t_i − t_j) / T²` over the entries of a row that the mask keeps. */
function curvature(
  p: RowEntries,
  t: Values,
  at: readonly number[],
  factor: DoubleDouble,
  temperature: number,
  parameters: ReferenceParameters,
): RowEntries {
  const known = tabulated(at, p);
  const b = centred(known, t, at, parameters);
  return (i, c) => {
    if (isMasked(parameters, i)) return zero;
    return mul(factor, mul(divided(known(i, c), temperature), divided(b(i, c), temperature)));
  };
}

/** `1 / (1 + exp(−x))`. */
export function sigmoid(x: Values): Float64Array {
  return elements(x.length, (i) => {
    const value = x[i] ?? Number.NaN;
    const e = exp(exactly(-Math.abs(value)));
    return nearest(div(value >= 0 ? one : e, add(one, e)));
  });
}

/** `g y (1 − y)`. */
export function sigmoidVjp(y: Values, g: Values): Float64Array {
  return elements(y.length, (i) => {
    const value = exactly(y[i]);
    return nearest(mul(exactly(g[i]), mul(value, sub(one, value))));
  });
}

/** `g t y (1 − y) (1 − 2y)`. */
export function sigmoidHvp(y: Values, g: Values, t: Values): Float64Array {
  return elements(y.length, (i) => {
    const value = y[i] ?? Number.NaN;
    const slope = mul(exactly(value), difference(1, value));
    return nearest(mul(product(g[i], t[i]), mul(slope, difference(1, 2 * value))));
  });
}

/** `max(x, 0)`; NaN stays NaN. */
export function relu(x: Values): Float64Array {
  return elements(x.length, (i) => Math.max(x[i] ?? Number.NaN, 0));
}

/** `y > 0 ? g : 0`. */
export function reluVjp(y: Values, g: Values): Float64Array {
  return elements(y.length, (i) => ((y[i] ?? Number.NaN) > 0 ? (g[i] ?? Number.NaN) : 0));
}
