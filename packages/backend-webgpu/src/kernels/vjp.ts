import type { Rows } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { WebgpuBuffer } from '../storage.js';
import { infinities } from './infinities.js';
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
 * `g (1 − exp(y)) − exp(y) Σ_others g`. Of infinite cotangents it is what IEEE 754 makes of these formulas; the lower 16 bits of `met` are those of the
 * others, the upper ones that of the entry at a probability above ½.
 */
const logSoftmaxVjp = {
  state: { sum: 'f32', top: 'f32', met: 'u32' },
  code: /* wgsl */ `
${probability}
${infinities}
fn empty() -> State { return State(0.0, 0.0, 0u); }
fn merge(a: State, b: State) -> State {
  return State(a.sum + b.sum, a.top + b.top, a.met | b.met);
}
fn visit(s: State, row: Row, c: u32, e: Element) -> State {
  let g = bitcast<f32>(finite_or_0(e.vector));
  let p = select(probability(e.y), 0.0, is_nan(e.y));
  let above = p > 0.5;
  return merge(s, State(select(g, 0.0, above), select(0.0, g, above), met(e.vector) << select(0u, 16u, above)));
}
struct Result { rest: f32, total: f32, infinite_rest: u32, infinite_total: u32 }
fn finish(row: Row, s: State) -> Result {
  return Result(s.sum, s.sum + s.top, sum_of_met(s.met & 0xffffu), sum_of_met((s.met | (s.met >> 16u)) & 0xffffu));
}
fn emit(q: Result, row: Row, c: u32, e: Element) -> u32 {
  let p = probability(e.y);
  let g = bitcast<f32>(e.vector);
  let left = complement_of(e.y);
  let is_top = p > 0.5;
  let d = select(g - p * q.total, g * left - p * q.rest, is_top);
  // The bits of both terms where they are infinite, 0 where they are finite. 0 times infinity is NaN.
  let sum = select(q.infinite_total, q.infinite_rest, is_top);
  let second = select(select(sum ^ SIGN, NAN, (p == 0.0) | is_nan(sum)), 0u, sum == 0u);
  let own = select(e.vector, 0u, is_finite(e.vector));
  let first = select(own, NAN, is_nan(own) | (is_top & (left == 0.0) & (own != 0u)));
  let infinite = select(first | second, NAN, (first != 0u) & (second != 0u) & (first != second));
  return select(select(bitcast<u32>(d * P.inverse_temperature), infinite, infinite != 0u), NAN, is_nan(e.y));
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
