import type { Rows, SoftmaxParameters } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { WebgpuBuffer } from '../storage.js';
import type { RowOperation } from './row-operation.js';
import { runRows } from './run-rows.js';
import { type Logits, logitsOf, softmaxReduction, softmaxState } from './softmax-state.js';

type Parameters = SoftmaxParameters<WebgpuBuffer>;

/** softmax: exp(x − m) is recomputed for each output; it is multiplied by 1/Σ before scaling by 2^n, so that subnormal results are rounded once. */
export function softmax(engine: Engine, out: WebgpuBuffer, logits: WebgpuBuffer, rows: Rows, parameters: Parameters) {
  const code = /* wgsl */ `
struct Result { m: f32, inverse: vec2<f32>, undefined: bool }
fn finish(row: Row, s: State) -> Result { return Result(s.m, inverse_of_sum(s.r), is_undefined(s.flags)); }
fn emit(q: Result, row: Row, c: u32, e: Element) -> u32 {
  let x = logit(e.logits);
  let p = bitcast<u32>(share_of(below(bitcast<f32>(x), q.m), q.inverse));
  return select(0u, select(select(p, 0u, x == MINUS_INFINITY), NAN, q.undefined), kept(e));
}
`;
  runRows(engine, family('softmax', logitsOf(logits, rows, parameters), code, out, null), rows);
}

/** x/T − max − log(1 + r). */
export function logSoftmax(
  engine: Engine,
  out: WebgpuBuffer,
  logits: WebgpuBuffer,
  rows: Rows,
  parameters: Parameters,
) {
  const code = /* wgsl */ `
struct Result { m: f32, logarithm: f32, undefined: bool }
fn finish(row: Row, s: State) -> Result { return Result(s.m, log1p_of(s.r), is_undefined(s.flags)); }
fn emit(q: Result, row: Row, c: u32, e: Element) -> u32 {
  let x = logit(e.logits);
  let z = below(bitcast<f32>(x), q.m);
  // The low part of an infinite quotient is NaN.
  let y = bitcast<u32>(z.x - (q.logarithm - select(z.y, 0.0, z.x < -3.4e38)));
  return select(MINUS_INFINITY, select(select(y, MINUS_INFINITY, x == MINUS_INFINITY), NAN, q.undefined), kept(e));
}
`;
  runRows(engine, family('logSoftmax', logitsOf(logits, rows, parameters), code, out, null), rows);
}

/** max/T + log(1 + r). */
export function logSumExp(engine: Engine, out: WebgpuBuffer, logits: WebgpuBuffer, rows: Rows, parameters: Parameters) {
  const code = /* wgsl */ `
struct Result { bits: u32 }
fn finish(row: Row, s: State) -> Result {
  let top = tempered(vec2<f32>(s.m, 0.0));
  let finite = bitcast<u32>(top.x + (top.y + log1p_of(s.r)));
  let sum = select(MINUS_INFINITY, finite, (s.flags & MET_FINITE) != 0u);
  return Result(select(select(sum, INFINITY, (s.flags & MET_INFINITY) != 0u), NAN, (s.flags & MET_NAN) != 0u));
}
fn row_value(q: Result, row: Row) -> u32 { return q.bits; }
`;
  runRows(engine, family('logSumExp', logitsOf(logits, rows, parameters), code, null, out), rows);
}

function family(
  name: string,
  logits: Logits,
  code: string,
  out: WebgpuBuffer | null,
  rowOut: WebgpuBuffer | null,
): RowOperation {
  return {
    ...logits,
    name,
    state: softmaxState,
    code: () => logits.code + softmaxReduction + code,
    out,
    rowOut,
  };
}
