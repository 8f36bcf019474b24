import type { Rows } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { WebgpuBuffer } from '../storage.js';
import { runRows } from './run-rows.js';

/**
 * `(s ⊙ (g − ⟨s, g⟩)) / T`. Subtracting a constant from g does not change the result; subtracting g*, its value at the largest
 * probability, avoids cancellation where a row is nearly one-hot. One pass is enough: whenever a larger probability changes g* to g*',
 * `d = Σ s (g − g*)` changes by `Σ s (g* − g*')`.
 */
export function vjp(
  engine: Engine,
  name: 'vjp',
  out: WebgpuBuffer,
  probabilities: WebgpuBuffer,
  cotangent: WebgpuBuffer,
  rows: Rows,
  temperature: number,
) {
  const code = /* wgsl */ `
fn empty() -> State { return State(-1.0, 0.0, 0.0, 0.0, 0u); }
fn merge(a: State, b: State) -> State {
  let second = b.top > a.top;
  let top = select(a.top, b.top, second);
  let at_top = select(a.at_top, b.at_top, second);
  let moved = select(b.sum * (b.at_top - at_top), a.sum * (a.at_top - at_top), second);
  return State(top, at_top, a.sum + b.sum, (a.d + b.d) + moved, a.undefined | b.undefined);
}
fn visit(s: State, row: Row, c: u32, e: Element) -> State {
  if (!is_finite(e.probabilities) || !is_finite(e.cotangent)) {
    return State(s.top, s.at_top, s.sum, s.d, 1u);
  }
  let p = bitcast<f32>(e.probabilities);
  return merge(s, State(p, bitcast<f32>(e.cotangent), p, 0.0, 0u));
}
struct Result { at_top: f32, d: f32, undefined: bool }
fn finish(row: Row, s: State) -> Result { return Result(s.at_top, s.d, s.undefined != 0u); }
fn emit(q: Result, row: Row, c: u32, e: Element) -> u32 {
  if (q.undefined) { return NAN; }
  let p = bitcast<f32>(e.probabilities);
  return bitcast<u32>(p * ((bitcast<f32>(e.cotangent) - q.at_top) - q.d) * P.inverse_temperature);
}
`;
  runRows(
    engine,
    {
      name,
      variant: '',
      elements: [
        { name: 'probabilities', buffer: probabilities },
        { name: 'cotangent', buffer: cotangent },
      ],
      parameters: { inverse_temperature: 'f32' },
      values: { inverse_temperature: 1 / temperature },
      state: { top: 'f32', at_top: 'f32', sum: 'f32', d: 'f32', undefined: 'u32' },
      code: () => code,
      out,
      rowOut: null,
    },
    rows,
  );
}

/** Derivatives of logSoftmax from its output y: the vjp `(g − exp(y) Σ g) / T`, and the jvp `(t − ⟨exp(y), t⟩) / T`. */
export function logSoftmaxProduct(
  engine: Engine,
  name: 'logSoftmaxVjp' | 'logSoftmaxJvp',
  out: WebgpuBuffer,
  logProbabilities: WebgpuBuffer,
  vector: WebgpuBuffer,
  rows: Rows,
  temperature: number,
) {
  const term = name === 'logSoftmaxVjp' ? 'v' : 'probability(e.y) * v';
  const product = name === 'logSoftmaxVjp' ? 'probability(e.y) * q.sum' : 'q.sum';
  const code = /* wgsl */ `
fn probability(y: u32) -> f32 { return bitcast<f32>(exp_bits(y)); }
fn empty() -> State { return State(0.0, 0u); }
fn merge(a: State, b: State) -> State { return State(a.sum + b.sum, a.undefined | b.undefined); }
fn visit(s: State, row: Row, c: u32, e: Element) -> State {
  if (${name === 'logSoftmaxVjp' ? '' : 'is_nan(e.y) || '}!is_finite(e.vector)) { return State(s.sum, 1u); }
  let v = bitcast<f32>(e.vector);
  return State(s.sum + ${term}, s.undefined);
}
struct Result { sum: f32, undefined: bool }
fn finish(row: Row, s: State) -> Result { return Result(s.sum, s.undefined != 0u); }
fn emit(q: Result, row: Row, c: u32, e: Element) -> u32 {
  if (q.undefined || is_nan(e.y)) { return NAN; }
  return bitcast<u32>((bitcast<f32>(e.vector) - ${product}) * P.inverse_temperature);
}
`;
  runRows(
    engine,
    {
      name,
      variant: '',
      elements: [
        { name: 'y', buffer: logProbabilities },
        { name: 'vector', buffer: vector },
      ],
      parameters: { inverse_temperature: 'f32' },
      values: { inverse_temperature: 1 / temperature },
      state: { sum: 'f32', undefined: 'u32' },
      code: () => code,
      out,
      rowOut: null,
    },
    rows,
  );
}
