import type { RowOperation } from './row-operation.js';
import { softmaxReduction, softmaxState } from './softmax-state.js';

/**
 * How cross-entropy reduces a row: its state, and the WGSL of the reduction and of `sums_of(Row, State) -> Sums`. With z = (x − max)/T and the weight q of
 * each class in the target:
 *
 * - `total`: Q = Σ q, and `others`, the same without the class of the maximum;
 * - `along`: Σ q z;
 * - `share`: what smoothing adds to the target of each class;
 * - `infinite`: whether a class counts whose logit is −Infinity.
 */
export interface Reduction {
  readonly state: RowOperation['state'];
  readonly code: string;
}

const sums = /* wgsl */ `
struct Sums { total: f32, others: f32, along: f32, share: f32, infinite: bool }

// z of a logit as one number. The low part of an infinite quotient is NaN.
fn z_of(x: f32, m: f32) -> f32 {
  let z = below(x, m);
  return z.x + select(z.y, 0.0, z.x < -3.4e38);
}
fn is_top(x: u32, m: f32) -> bool { return (x != MINUS_INFINITY) & (bitcast<f32>(x) == m); }
`;

/** Of a class index without smoothing, the only class that counts, whose logit is loaded again when the maximum is known. */
export const sumsOfIndex: Reduction = {
  state: softmaxState,
  code: /* wgsl */ `${softmaxReduction}${sums}
fn sums_of(row: Row, s: State) -> Sums {
  let c = select(u32(row.target_index), 0u, ignored(row));
  let q = select(weight_of(c), 0.0, ignored(row));
  let x = logit(logits_at(row, c));
  let infinite = (x == MINUS_INFINITY) & (q != 0.0);
  let along = select(q * z_of(bitcast<f32>(x), s.m), 0.0, infinite | (q == 0.0));
  return Sums(q, select(q, 0.0, is_top(x, s.m)), along, 0.0, infinite);
}
`,
};

/**
 * Of any target. With smoothing, q = w ((1 − ε) t + ε/K), where K, the number of unmasked classes, is known only after the pass. Therefore the sums
 * over the target t, `q, a = Σ w t, Σ w t z`, and with smoothing those over all classes, `v, b = Σ w, Σ w z`, are kept separately, q and v without the
 * entry at the maximum, `top_q, top_v`; all are updated when the maximum changes. `lost` is what the additions of q lost by rounding, because the error of Q
 * is one of every gradient of the row.
 */
export function sumsOfTarget(isSmoothed: boolean): Reduction {
  const smoothed = (wgsl: string, otherwise = '') => (isSmoothed ? wgsl : otherwise);
  const ofSmoothing = { kept: 'f32', v: 'f32', b: 'f32', top_v: 'f32' } as const;
  return {
    state: { ...softmaxState, q: 'f32', lost: 'f32', a: 'f32', top_q: 'f32', ...(isSmoothed ? ofSmoothing : {}) },
    code: /* wgsl */ `${sums}
const MET_NO_LOGARITHM = 16u;

fn inner_of(s: State) -> Softmax { return Softmax(s.m, s.r, s.flags); }
fn plus(a: f32, b: f32) -> vec2<f32> { return gap(a, -b); }
fn empty() -> State { return State(LOWEST, 0.0, 0u, 0.0, 0.0, 0.0, 0.0${smoothed(', 0.0, 0.0, 0.0, 0.0')}); }
fn merge(a: State, b: State) -> State {
  let s = merge_softmax(inner_of(a), inner_of(b));
  let second = (largest_of(b.flags) > largest_of(a.flags)) | (b.m > a.m);
  // An entry that is not finite has weight 0, or makes the loss NaN or infinite, so its z does not matter.
  let z = z_of(select(b.m, a.m, second), s.m);
  let lower_top_q = select(b.top_q, a.top_q, second);
  let lower_q = select(b.q, a.q, second) + lower_top_q;
  ${smoothed(/* wgsl */ `let lower_top_v = select(b.top_v, a.top_v, second);
  let lower_v = select(b.v, a.v, second) + lower_top_v;`)}
  let both = plus(a.q, b.q);
  let q = plus(both.x, lower_top_q);
  return State(
    s.m, s.r, s.flags,
    q.x, a.lost + b.lost + (both.y + q.y), (a.a + b.a) + select(lower_q * z, 0.0, lower_q == 0.0), select(a.top_q, b.top_q, second),
    ${smoothed(/* wgsl */ `a.kept + b.kept,
    a.v + b.v + lower_top_v, (a.b + b.b) + select(lower_v * z, 0.0, lower_v == 0.0), select(a.top_v, b.top_v, second),`)}
  );
}
fn visit(s: State, row: Row, c: u32, e: Element) -> State {
  if (!kept(e)) { return s; }
  let w = weight_of(c);
  let q = w * target_of(row, c, e);
  let one = one_logit(e);
  let counts = (q != 0.0)${smoothed(/* wgsl */ ` | (w != 0.0)`)};
  let flags = one.flags | select(0u, MET_NO_LOGARITHM, counts & (logit(e.logits) == MINUS_INFINITY));
  return merge(s, State(one.m, one.r, flags, 0.0, 0.0, 0.0, q${smoothed(', 1.0, 0.0, 0.0, w')}));
}
fn sums_of(row: Row, s: State) -> Sums {
  let infinite = (s.flags & MET_NO_LOGARITHM) != 0u;
  ${smoothed(
    /* wgsl */ `let certain = 1.0 - P.smoothing;
  // Not a number if all classes are masked, where loss and gradient are 0 whatever it is.
  let share = P.smoothing / s.kept;
  let others = certain * (s.q + s.lost) + share * s.v;
  let total = others + (certain * s.top_q + share * s.top_v);
  // The sum over all classes is infinite if logits are masked by the lowest finite number.
  let along = select(certain * s.a, 0.0, certain == 0.0) + select(share * s.b, 0.0, share == 0.0);
  return Sums(total, others, along, share, infinite);`,
    /* wgsl */ `return Sums(s.q + (s.lost + s.top_q), s.q + s.lost, s.a, 0.0, infinite);`,
  )}
}
`,
  };
}
