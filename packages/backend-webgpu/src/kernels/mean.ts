/**
 * The mean of a vector v over probabilities p, `Σ p v`, and that of v less v*, its value at the largest p: `d = Σ p (v − v*)`. One pass is
 * enough: whenever a larger probability changes v* to v*', d changes by `Σ p (v* − v*')`.
 *
 * The smaller of both is used, and d if the largest p is above ½. v* keeps the digits of nearly one-hot rows and of a large constant in v;
 * but in a row without a large probability, where only v* is not 0, it would take the digits of all others.
 */
export const meanState = { top: 'f32', at_top: 'f32', sum: 'f32', d: 'f32', mean: 'f32', undefined: 'u32' } as const;

/** Of a type `Mean` with these fields. */
export const smallerMean = /* wgsl */ `
fn empty_mean() -> Mean { return Mean(-1.0, 0.0, 0.0, 0.0, 0.0, 0u); }
fn merge_means(a: Mean, b: Mean) -> Mean {
  let second = b.top > a.top;
  let top = select(a.top, b.top, second);
  let at_top = select(a.at_top, b.at_top, second);
  let moved = select(b.sum * (b.at_top - at_top), a.sum * (a.at_top - at_top), second);
  return Mean(top, at_top, a.sum + b.sum, (a.d + b.d) + moved, a.mean + b.mean, a.undefined | b.undefined);
}
fn one_mean(p: f32, v: u32) -> Mean {
  let value = bitcast<f32>(v);
  return Mean(p, value, p, 0.0, p * value, select(1u, 0u, is_finite(v)));
}

struct Center { origin: f32, mean: f32 }
fn center_of(s: Mean, above: bool) -> Center {
  let moved = above | (abs(s.d) < abs(s.mean));
  return Center(select(0.0, s.at_top, moved), select(s.mean, s.d, moved));
}

// v less the origin less the mean as an unevaluated sum.
fn centred(q: Center, v: u32) -> vec2<f32> {
  let moved = gap(bitcast<f32>(v), q.origin);
  let d = gap(moved.x, q.mean);
  return vec2<f32>(d.x, d.y + moved.y);
}
fn less_mean(q: Center, v: u32) -> f32 {
  let d = centred(q, v);
  return d.x + d.y;
}
`;

/** The reduction of operations whose state is a mean. */
export const meanReduction = /* wgsl */ `${smallerMean}
alias Mean = State;
fn empty() -> State { return empty_mean(); }
fn merge(a: State, b: State) -> State { return merge_means(a, b); }
struct Result { center: Center, undefined: bool }
fn finish(row: Row, s: State) -> Result { return Result(center_of(s, s.top > 0.5), s.undefined != 0u); }
`;
