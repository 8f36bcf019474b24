import type { CrossEntropyParameters, Rows } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { WebgpuBuffer } from '../storage.js';
import { sumsOfIndex, sumsOfTarget } from './cross-entropy-sums.js';
import { runRows } from './run-rows.js';
import { logitsOf } from './softmax-state.js';

/**
 * Loss and gradient in one dispatch. With z = (x − max)/T ≤ 0, S = Σ exp(z) = 1 + r, log p = z − log S, and the weight q of each class in the
 * target: `loss = scale (Q log S − Σ q z)`, with Q = Σ q, and `gradient = scale/T (Q p − q)`. At a single maximum, where p = 1 / S, `Q p − q` is p times the
 * sum of the other q less q r, which does not cancel where p is nearly 1.
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
  const smoothed = labelSmoothing > 0;
  const reduction = indices && !smoothed ? sumsOfIndex : sumsOfTarget(smoothed);
  const code = /* wgsl */ `
fn weight_of(c: u32) -> f32 { return ${weight ? 'bitcast<f32>(load_class_weight(c))' : '1.0'}; }
fn target_of(row: Row, c: u32, e: Element) -> f32 {
  return ${indices ? 'select(0.0, 1.0, i32(c) == row.target_index)' : 'bitcast<f32>(e.target_share)'};
}
fn ignored(row: Row) -> bool { return ${indices ? 'row.target_index == P.ignore_index' : 'false'}; }
${reduction.code}
struct Result { m: f32, r: f32, others: f32, total: f32, share: f32, inverse: vec2<f32>, loss: u32, ignored: bool, undefined: bool }
fn finish(row: Row, s: State) -> Result {
  let undefined = is_undefined(s.flags);
  let sums = sums_of(row, s);
  let finite = bitcast<u32>(P.scale * (sums.total * log1p_of(s.r) - sums.along));
  let counted = select(select(finite, INFINITY, sums.infinite), NAN, undefined);
  let loss = select(counted, 0u, ((s.flags & MET_ANY) == 0u) | ignored(row));
  return Result(s.m, s.r, sums.others, sums.total, sums.share, inverse_of_sum(s.r), loss, ignored(row), undefined);
}
fn row_value(z: Result, row: Row) -> u32 { return z.loss; }
fn emit(z: Result, row: Row, c: u32, e: Element) -> u32 {
  if (z.ignored | !kept(e)) { return 0u; }
  let x = logit(e.logits);
  let q = weight_of(c) * ((1.0 - P.smoothing) * target_of(row, c, e) + z.share);
  let p = select(share_of(below(bitcast<f32>(x), z.m), z.inverse), 0.0, x == MINUS_INFINITY);
  // A single maximum: others as large make r at least 1.
  let top = (z.r < 1.0) & is_top(x, z.m);
  let difference = select(z.total * p - q, (z.others - q * z.r) * p, top);
  let gradient = bitcast<u32>(difference * P.scale_by_temperature);
  return select(gradient, NAN, z.undefined);
}
`;
  runRows(
    engine,
    {
      name: 'crossEntropy',
      variant: [logits.variant, target.kind, weight ? 'weighted' : '', smoothed ? 'smoothed' : ''].join('-'),
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
      state: reduction.state,
      code: () => logits.code + code,
      out: out.gradient,
      rowOut: out.loss,
      maskOuter: logits.maskOuter,
    },
    rows,
  );
}
