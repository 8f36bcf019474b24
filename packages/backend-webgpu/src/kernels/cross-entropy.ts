import type { CrossEntropyParameters, Rows } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { WebgpuBuffer } from '../storage.js';
import { runRows } from './run-rows.js';
import { logitsOf, softmaxState } from './softmax-state.js';

/**
 * Loss and gradient in one dispatch. With z = (x − max)/T ≤ 0, e = exp(z), S = Σ e = 1 + r and log p = z − log S:
 * `loss = scale (Q log S − Σ q z)`, with Q = Σ q, and `gradient = scale/T (Q e − q S) / S`, computed as `(Q e − q) − q r`, which does not
 * cancel where p is nearly 1: at the maximum Q e − q is the sum of the other q. With smoothing, q = w ((1 − ε) t + ε/K), where K, the number of
 * unmasked classes, is known only after the pass. Therefore the sums over the target t, `q, a = Σ w t, Σ w t z`, and over all classes,
 * `v, b = Σ w, Σ w z`, are kept separately, q and v without the entry at the maximum, `top_q, top_v`; all are updated when the maximum changes.
 */
export function crossEntropy(
  engine: Engine,
  out: { readonly loss: WebgpuBuffer | null; readonly gradient: WebgpuBuffer | null },
  x: WebgpuBuffer,
  rows: Rows,
  parameters: CrossEntropyParameters<WebgpuBuffer>,
) {
  const { target, weight, labelSmoothing, ignoreIndex, scale, temperature } = parameters;
  const logits = logitsOf(x, rows, parameters);
  const indices = target.kind === 'indices';
  const code = /* wgsl */ `
struct Softmax { m: f32, r: f32, flags: u32 }
const MET_NO_LOGARITHM = 16u;

fn inner_of(s: State) -> Softmax { return Softmax(s.m, s.r, s.flags); }
fn weight_of(c: u32) -> f32 { return ${weight ? 'bitcast<f32>(load_class_weight(c))' : '1.0'}; }
fn target_of(row: Row, c: u32, e: Element) -> f32 {
  return ${indices ? 'select(0.0, 1.0, i32(c) == row.target_index)' : 'bitcast<f32>(e.target_share)'};
}
fn ignored(row: Row) -> bool { return ${indices ? 'row.target_index == P.ignore_index' : 'false'}; }

fn empty() -> State { return State(LOWEST, 0.0, 0u, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0); }
fn merge(a: State, b: State) -> State {
  let s = merge_softmax(inner_of(a), inner_of(b));
  let second = largest_of(b.flags) > largest_of(a.flags) || b.m > a.m;
  // An entry that is not finite has weight 0, or makes the loss NaN or infinite, so its z does not matter.
  let moved = below(select(b.m, a.m, second), s.m);
  // The low part of an infinite quotient is NaN.
  let z = moved.x + select(moved.y, 0.0, moved.x < -3.4e38);
  let lower_top_q = select(b.top_q, a.top_q, second);
  let lower_top_v = select(b.top_v, a.top_v, second);
  let lower_q = select(b.q, a.q, second) + lower_top_q;
  let lower_v = select(b.v, a.v, second) + lower_top_v;
  return State(
    s.m, s.r, s.flags, a.kept + b.kept,
    a.q + b.q + lower_top_q, (a.a + b.a) + select(lower_q * z, 0.0, lower_q == 0.0),
    a.v + b.v + lower_top_v, (a.b + b.b) + select(lower_v * z, 0.0, lower_v == 0.0),
    select(a.top_q, b.top_q, second), select(a.top_v, b.top_v, second),
  );
}
fn visit(s: State, row: Row, c: u32, e: Element) -> State {
  if (!kept(e)) { return s; }
  let w = weight_of(c);
  let q = w * target_of(row, c, e);
  let one = one_logit(e);
  var flags = one.flags;
  let counts = q != 0.0${labelSmoothing > 0 ? ' || w != 0.0' : ''};
  if (counts && logit(e.logits) == MINUS_INFINITY) { flags |= MET_NO_LOGARITHM; }
  return merge(s, State(one.m, one.r, flags, 1.0, 0.0, 0.0, 0.0, 0.0, q, w));
}

struct Result { m: f32, r: f32, others: f32, total: f32, share: f32, factor: f32, loss: u32, ignored: bool, undefined: bool }
fn finish(row: Row, s: State) -> Result {
  let undefined = is_undefined(s.flags);
  let certain = 1.0 - P.smoothing;
  // Not a number if all classes are masked, where loss and gradient are 0 whatever it is.
  let share = P.smoothing / s.kept;
  let others = certain * s.q + share * s.v;
  let total = others + (certain * s.top_q + share * s.top_v);
  // The sum over all classes overflows if logits are masked by the lowest finite number, so it must not be used without smoothing.
  let along = select(certain * s.a, 0.0, certain == 0.0) + select(share * s.b, 0.0, share == 0.0);
  var loss = bitcast<u32>(P.scale * (total * log1p_of(s.r) - along));
  if ((s.flags & MET_NO_LOGARITHM) != 0u) { loss = INFINITY; }
  if (undefined) { loss = NAN; }
  if (s.kept == 0.0 || ignored(row)) { loss = 0u; }
  let factor = P.scale_by_temperature / (1.0 + s.r);
  return Result(s.m, s.r, others, total, share, factor, loss, ignored(row), undefined);
}
fn row_value(z: Result, row: Row) -> u32 { return z.loss; }
fn emit(z: Result, row: Row, c: u32, e: Element) -> u32 {
  if (z.ignored || !kept(e)) { return 0u; }
  if (z.undefined) { return NAN; }
  let x = logit(e.logits);
  let q = weight_of(c) * ((1.0 - P.smoothing) * target_of(row, c, e) + z.share);
  var power = 0.0;
  if (x != MINUS_INFINITY) { power = exp_of(below(bitcast<f32>(x), z.m)); }
  // A single maximum: others as large make r at least 1.
  let difference = select(z.total * power - q, z.others, z.r < 1.0 && power == 1.0);
  return bitcast<u32>((difference - q * z.r) * z.factor);
}
`;
  runRows(
    engine,
    {
      name: 'crossEntropy',
      variant: [logits.variant, target.kind, weight ? 'weighted' : '', labelSmoothing > 0 ? 'smoothed' : ''].join('-'),
      elements: indices ? logits.elements : [...logits.elements, { name: 'target_share', buffer: target.buffer }],
      perClass: weight ? [{ name: 'class_weight', buffer: weight }] : [],
      perRow: indices ? [{ name: 'target_index', buffer: target.buffer }] : [],
      parameters: {
        ...logits.parameters,
        smoothing: 'f32',
        scale: 'f32',
        scale_by_temperature: 'f32',
        ignore_index: 'i32',
      },
      values: {
        ...logits.values,
        smoothing: labelSmoothing,
        scale,
        scale_by_temperature: scale / temperature,
        ignore_index: ignoreIndex,
      },
      state: { ...softmaxState, kept: 'f32', q: 'f32', a: 'f32', v: 'f32', b: 'f32', top_q: 'f32', top_v: 'f32' },
      code: () => logits.code + code,
      out: out.gradient,
      rowOut: out.loss,
      maskOuter: logits.maskOuter,
    },
    rows,
  );
}
