import type { Rows } from '../src/backend/interface.js';
import { atLargest, centred } from './centred.js';
import { difference, exactly, mul, nearest, scaled, sub, zero } from './doubledouble.js';
import { probabilities } from './probabilities.js';
import {
  divided,
  isMasked,
  type MatrixPart,
  matrices,
  type ReferenceParameters,
  type RowEntries,
  rowwise,
  sumOf,
  sumsOfOthers,
  tabulated,
  type Values,
} from './row-entries.js';

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
        // Most entries of large matrices are a product of two float64. A tiny one may have an inexact factor without a low part.
        const product = early.hi * -(s[j] ?? Number.NaN);
        if (i !== j && early.lo === 0 && Math.abs(product) > 2 ** -900 && Number.isFinite(product)) return product;
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
    const isLarge = at.some((i) => !isMasked(parameters, i) && Math.abs(g[i] ?? 0) > 2 ** 900);
    const unit = isLarge ? 2 ** -200 : 1;
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
