import type { Rows } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { WebgpuBuffer } from '../storage.js';
import { meanReduction, meanState } from './mean.js';
import { runRows } from './run-rows.js';

/**
 * `(s ⊙ (g − ⟨s, g⟩)) / T`. Subtracting a constant from g does not change the result; the difference is rounded once.
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
${meanReduction}
fn visit(s: State, row: Row, c: u32, e: Element) -> State {
  let v = select(e.cotangent, NAN, !is_finite(e.probabilities));
  return merge(s, one_mean(bitcast<f32>(e.probabilities), v));
}
fn emit(q: Result, row: Row, c: u32, e: Element) -> u32 {
  let product = bitcast<f32>(e.probabilities) * less_mean(q.center, e.cotangent) * P.inverse_temperature;
  return select(bitcast<u32>(product), NAN, q.undefined);
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
      state: meanState,
      code: () => code,
      out,
      rowOut: null,
    },
    rows,
  );
}

const probability = /* wgsl */ `fn probability(y: u32) -> f32 { return bitcast<f32>(exp_bits(y)); }`;

/**
 * The vjp of logSoftmax from its output y, `(g − exp(y) Σ g) / T`. Where exp(y) is above ½ that would cancel: there it is
 * `g (1 − exp(y)) − exp(y) Σ_others g`.
 */
const logSoftmaxVjp = {
  state: { sum: 'f32', top: 'f32', undefined: 'u32' },
  code: /* wgsl */ `
${probability}
fn empty() -> State { return State(0.0, 0.0, 0u); }
fn merge(a: State, b: State) -> State {
  return State(a.sum + b.sum, a.top + b.top, a.undefined | b.undefined);
}
fn visit(s: State, row: Row, c: u32, e: Element) -> State {
  let g = bitcast<f32>(e.vector);
  let p = select(probability(e.y), 0.0, is_nan(e.y));
  let above = p > 0.5;
  let undefined = s.undefined | select(1u, 0u, is_finite(e.vector));
  return State(s.sum + select(g, 0.0, above), s.top + select(0.0, g, above), undefined);
}
struct Result { rest: f32, total: f32, undefined: bool }
fn finish(row: Row, s: State) -> Result { return Result(s.sum, s.sum + s.top, s.undefined != 0u); }
fn emit(q: Result, row: Row, c: u32, e: Element) -> u32 {
  let p = probability(e.y);
  let g = bitcast<f32>(e.vector);
  let d = select(g - p * q.total, g * complement_of(e.y) - p * q.rest, p > 0.5);
  return select(bitcast<u32>(d * P.inverse_temperature), NAN, q.undefined | is_nan(e.y));
}
`,
} as const;

/** The jvp, `(t − ⟨exp(y), t⟩) / T`. */
const logSoftmaxJvp = {
  state: meanState,
  code: /* wgsl */ `
${probability}
${meanReduction}
fn visit(s: State, row: Row, c: u32, e: Element) -> State {
  return merge(s, one_mean(probability(e.y), select(e.vector, NAN, is_nan(e.y))));
}
fn emit(q: Result, row: Row, c: u32, e: Element) -> u32 {
  return select(bitcast<u32>(less_mean(q.center, e.vector) * P.inverse_temperature), NAN, q.undefined);
}
`,
} as const;

/** A product with the Jacobian of logSoftmax, or with its transposed. */
export function logSoftmaxProduct(
  engine: Engine,
  name: 'logSoftmaxVjp' | 'logSoftmaxJvp',
  out: WebgpuBuffer,
  logProbabilities: WebgpuBuffer,
  vector: WebgpuBuffer,
  rows: Rows,
  temperature: number,
) {
  const { state, code } = name === 'logSoftmaxVjp' ? logSoftmaxVjp : logSoftmaxJvp;
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
      state,
      code: () => code,
      out,
      rowOut: null,
    },
    rows,
  );
}
