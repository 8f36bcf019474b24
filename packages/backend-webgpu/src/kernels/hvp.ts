import type { Rows, SoftmaxParameters } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { WebgpuBuffer } from '../storage.js';
import { infinities } from './infinities.js';
import { smallerMean } from './mean.js';
import { runRows } from './run-rows.js';
import { softmax } from './softmax.js';

/**
 * What is different among the derivatives of vjps along a tangent of the logits, `factor · p ⊙ (v − ⟨p, v⟩) / T²`, where v is the centred tangent, of
 * softmax times the centred cotangent.
 */
interface Variant {
  /** The bits of p. */
  readonly p: string;
  /** The bits of the cotangent, and its weight in `g_mean`. */
  readonly g: string;
  /** What of it is not finite, if it is a factor of the whole row: it does not make the row NaN then. */
  readonly met: string;
  readonly weight: string;
  /** The sum of which `lost` is what additions lose by rounding. */
  readonly total: 'sum' | 'g_mean';
  readonly v: string;
  readonly factor: string;
  /** The sign of the factor, as the bits of one whose cotangents are positive. */
  readonly sign: '0u' | 'SIGN';
  /** The power of Σ p that the result is divided by. */
  readonly sums: 0 | 3;
}

const centredTangent = /* wgsl */ `deviation(q.t, q.excess, e.tangent)`;

const variants = {
  /** Of probabilities as they are: v − ⟨p, v⟩ is `v Σ p − ⟨p, v⟩`. */
  softmaxHvp: {
    p: 'e.p',
    g: 'e.cotangent',
    met: '0u',
    weight: 'p',
    total: 'sum',
    v: /* wgsl */ `times(deviation(q.g, q.excess, e.cotangent), ${centredTangent})`,
    factor: 'one(1.0)',
    sign: '0u',
    sums: 0,
  },
  /** Of log-probabilities, with the sum of the cotangent as factor. */
  logSoftmaxHvp: {
    p: 'exp_bits(e.p)',
    g: /* wgsl */ `finite_or_0(e.cotangent)`,
    met: /* wgsl */ `met(e.cotangent)`,
    weight: '1.0',
    total: 'g_mean',
    v: centredTangent,
    factor: 'vec2<f32>(-s.g_mean, -s.lost)',
    sign: 'SIGN',
    sums: 0,
  },
  /** Of the probabilities of logits, which would add up to 1 if they were not rounded. */
  logSumExpHvp: {
    p: 'e.p',
    g: /* wgsl */ `finite_or_0(row.cotangent)`,
    met: /* wgsl */ `met(row.cotangent)`,
    weight: '1.0',
    total: 'sum',
    v: centredTangent,
    factor: 'one(bitcast<f32>(row.cotangent))',
    sign: '0u',
    sums: 3,
  },
} as const satisfies Readonly<Record<string, Variant>>;

/**
 * Directions are centred, v − ⟨p, v⟩, before they are multiplied by anything. The first reduction is of both means, which have `top`, `sum` and
 * `undefined` in common, the second one of v: of a centred tangent its mean is what the first one has lost by rounding.
 *
 * - `plus`, `times`: sum and product of two unevaluated sums of two floats (Knuth, Dekker).
 * - `excess`: Σ p − 1, which is up to an ULP by the rounding of probabilities.
 */
export function hvp(
  engine: Engine,
  name: keyof typeof variants,
  out: WebgpuBuffer,
  probabilities: WebgpuBuffer,
  cotangent: WebgpuBuffer,
  tangent: WebgpuBuffer,
  rows: Rows,
  {
    temperature,
    mask = null,
  }: Pick<SoftmaxParameters<WebgpuBuffer>, 'temperature'> & Partial<SoftmaxParameters<WebgpuBuffer>>,
): void | false {
  if (isFar(temperature)) return false;
  const { p, g, met, weight, total, v, factor, sign, sums } = variants[name];
  const byRow = name === 'logSumExpHvp';
  const code = /* wgsl */ `${smallerMean}${infinities}
struct Mean { top: f32, at_top: f32, sum: f32, d: f32, mean: f32, undefined: u32 }
fn plus(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
  let s = gap(a.x, -b.x);
  return vec2<f32>(s.x, a.y + b.y + s.y);
}
fn times(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
  let p = a.x * b.x;
  let i = upper(a.x);
  let j = upper(b.x);
  let low = ((i * j - p) + i * (b.x - j) + (a.x - i) * j) + (a.x - i) * (b.x - j);
  // Of a number near the smallest a device may lose the part of it below upper(x); p alone is then nearer. Beyond the largest, nothing is added to infinity.
  let has_low = min(min(abs(a.x), abs(b.x)), abs(p)) > 0x1p-100f;
  let rest = select(0.0, low, has_low) + (a.x * b.y + a.y * b.x);
  return vec2<f32>(p, select(0.0, rest, abs(p) < 0x1p127f));
}
fn one(x: f32) -> vec2<f32> { return vec2<f32>(x, 0.0); }
fn p_of(e: Element) -> u32 { return ${p}; }
fn kept(e: Element) -> bool { return ${mask ? 'e.mask != 0u' : 'true'}; }

fn g_of(s: State) -> Mean { return Mean(s.top, s.g_at_top, s.sum, s.g_d, s.g_mean, s.undefined); }
fn t_of(s: State) -> Mean { return Mean(s.top, s.t_at_top, s.sum, s.t_d, s.t_mean, s.undefined); }
fn state_of(g: Mean, t: Mean, lost: f32) -> State {
  return State(t.top, t.sum, lost, g.at_top, g.d, g.mean, t.at_top, t.d, t.mean, g.undefined | t.undefined);
}
fn empty() -> State { return state_of(empty_mean(), empty_mean(), 0.0); }
fn merge(a: State, b: State) -> State {
  let lost = a.lost + b.lost + gap(a.${total}, -b.${total}).y;
  return state_of(merge_means(g_of(a), g_of(b)), merge_means(t_of(a), t_of(b)), lost);
}
fn visit(s: State, row: Row, c: u32, e: Element) -> State {
  if (!kept(e)) { return s; }
  let p = bitcast<f32>(p_of(e));
  let t = select(e.tangent, NAN, !is_finite(p_of(e)));
  var one = state_of(one_mean(${weight}, ${g}), one_mean(p, t), 0.0);
  one.undefined |= ${met};
  return merge(s, one);
}
struct Result { g: Center, t: Center, excess: f32, factor: vec2<f32>, mean: vec2<f32>, infinite: u32 }
fn finish(row: Row, s: State) -> Result {
  let above = s.top > 0.5;
  let excess = ${total === 'sum' ? '(s.sum - 1.0) + s.lost' : '0.0'};
  let inverse = vec2<f32>(P.inverse, P.inverse * (P.inverse_lost - ${sums}.0 * excess));
  let factor = times(${factor}, inverse);
  return Result(center_of(g_of(s), above), center_of(t_of(s), above), excess, factor, one(0.0), sum_of_met(s.undefined));
}
fn deviation(q: Center, excess: f32, v: u32) -> vec2<f32> {
  return plus(centred(q, v), one(excess * (bitcast<f32>(v) - q.origin)));
}
fn v_of(q: Result, e: Element) -> vec2<f32> { return ${v}; }
fn empty_again() -> State_again { return State_again(0.0, 0.0); }
fn merge_again(a: State_again, b: State_again) -> State_again {
  let s = plus(vec2<f32>(a.sum, a.lost), vec2<f32>(b.sum, b.lost));
  return State_again(s.x, s.y);
}
fn visit_again(s: State_again, q: Result, c: u32, e: Element) -> State_again {
  if (!kept(e)) { return s; }
  let term = times(one(bitcast<f32>(p_of(e))), v_of(q, e));
  return merge_again(s, State_again(term.x, term.y));
}
fn finish_again(q: Result, s: State_again) -> Result {
  return Result(q.g, q.t, q.excess, q.factor, vec2<f32>(s.sum, s.lost), q.infinite);
}
fn emit(q: Result, row: Row, c: u32, e: Element) -> u32 {
  let v = v_of(q, e);
  let rest = gap(v.x, q.mean.x);
  let centred = vec2<f32>(rest.x, rest.y + (v.y - q.mean.y) + v.x * q.excess);
  let p = bitcast<f32>(p_of(e));
  let product = times(times(one(p), centred), q.factor);
  // Infinity times the other factors, of which 0 makes it NaN.
  let d = centred.x + centred.y;
  let infinite = select((q.infinite ^ ${sign}) ^ (bitcast<u32>(d) & SIGN), NAN, is_nan(q.infinite) | (p == 0.0) | (d == 0.0));
  return select(0u, select(bitcast<u32>(product.x + product.y), infinite, q.infinite != 0u), kept(e));
}
`;
  const inverse = 1 / temperature ** 2;
  const ofCotangent = { name: 'cotangent', buffer: cotangent };
  runRows(
    engine,
    {
      name,
      variant: mask ? 'masked' : '',
      elements: [
        { name: 'p', buffer: probabilities },
        { name: 'tangent', buffer: tangent },
        ...(byRow ? [] : [ofCotangent]),
        ...(mask ? [{ name: 'mask', buffer: mask.buffer }] : []),
      ],
      perRow: byRow ? [ofCotangent] : [],
      parameters: { inverse: 'f32', inverse_lost: 'f32' },
      values: { inverse, inverse_lost: inverse / Math.fround(inverse) - 1 },
      state: {
        top: 'f32',
        sum: 'f32',
        lost: 'f32',
        g_at_top: 'f32',
        g_d: 'f32',
        g_mean: 'f32',
        t_at_top: 'f32',
        t_d: 'f32',
        t_mean: 'f32',
        undefined: 'u32',
      },
      again: { sum: 'f32', lost: 'f32' },
      code: () => code,
      out,
      rowOut: null,
      maskOuter: mask?.outer ?? rows.outer,
    },
    rows,
  );
}

/** The hvp of log-sum-exp. Probabilities are float32 for logits of any dtype. */
export function logSumExpHvp(
  engine: Engine,
  out: WebgpuBuffer,
  logits: WebgpuBuffer,
  cotangent: WebgpuBuffer,
  tangent: WebgpuBuffer,
  rows: Rows,
  parameters: SoftmaxParameters<WebgpuBuffer>,
): void | false {
  if (isFar(parameters.temperature)) return false;
  const p = engine.storage.alloc(logits.length, 'float32');
  try {
    softmax(engine, p, logits, rows, parameters);
    return hvp(engine, 'logSumExpHvp', out, p, cotangent, tangent, rows, parameters);
  } finally {
    engine.storage.free(p);
  }
}

/** So far from 1 that core divides by it more than once. */
function isFar(temperature: number): boolean {
  return Math.abs(Math.log2(Math.abs(temperature))) > 32;
}
