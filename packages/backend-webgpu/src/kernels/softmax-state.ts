import type { Rows, SoftmaxParameters } from '@softgrad/core';
import type { WebgpuBuffer } from '../storage.js';
import type { Parameters } from './program.js';
import type { Input } from './row-operation.js';

/**
 * The reduction state of a row in the softmax family: its maximum `m`, `r = Σ exp(x − m)` over all entries except the maximum, and
 * flags for the kinds of values it contains. It is computed in one pass, as in the online normaliser of Milakov and Gimelshein (2018).
 * The maximum's own term, which is 1, is left out of the sum, so that log(1 + r) and 1 − p are accurate to the last bits when r is tiny.
 *
 * With a temperature, x − m is kept exactly in two parts and multiplied by 1/T in three parts of 12
 * bits, so that no error grows with |x| or |x|/T. A negative temperature flips the logits' signs first.
 */
export const softmaxState = { m: 'f32', r: 'f32', flags: 'u32' } as const;

/** The reduction of operations whose state is that of the family. */
export const softmaxReduction = /* wgsl */ `
fn inner_of(s: State) -> Softmax { return Softmax(s.m, s.r, s.flags); }
fn outer_of(s: Softmax) -> State { return State(s.m, s.r, s.flags); }
fn empty() -> State { return outer_of(empty_softmax()); }
fn merge(a: State, b: State) -> State { return outer_of(merge_softmax(inner_of(a), inner_of(b))); }
fn visit(s: State, row: Row, c: u32, e: Element) -> State {
  return outer_of(merge_softmax(inner_of(s), one_logit(e)));
}
`;

/** A variant of the family: its parameters, inputs and WGSL. */
export interface Logits {
  readonly variant: string;
  readonly elements: readonly Input[];
  readonly parameters: Parameters;
  readonly values: Readonly<Record<string, number>>;
  readonly maskOuter: number;
  readonly code: string;
}

/** Parameters of a plain softmax. */
export const plain = { temperature: 1, mask: null } as const;

export function logitsOf(
  logits: WebgpuBuffer,
  rows: Rows,
  { temperature, mask }: SoftmaxParameters<WebgpuBuffer>,
): Logits {
  const tempered = temperature !== 1;
  const [r1, r2, r3] = inThreeParts(1 / Math.abs(temperature));
  return {
    variant: `${tempered ? 'tempered' : ''}${mask ? 'masked' : ''}`,
    elements: [{ name: 'logits', buffer: logits }, ...(mask ? [{ name: 'mask', buffer: mask.buffer }] : [])],
    parameters: tempered ? { sign: 'u32', r1: 'f32', r2: 'f32', r3: 'f32' } : {},
    values: tempered ? { sign: temperature < 0 ? 0x80000000 : 0, r1, r2, r3 } : {},
    maskOuter: mask?.outer ?? rows.outer,
    code: tempered ? temperedCode + stateCode(mask !== null) : plainCode + stateCode(mask !== null),
  };
}

/** A number as the sum of three float32. The first two have 12 bits, so that their products with 12-bit numbers are exact. */
function inThreeParts(value: number): readonly [number, number, number] {
  const finite = Math.min(value, 2 ** 126);
  const high = twelveBits(finite);
  const middle = twelveBits(finite - high);
  return [high, middle, finite - high - middle];
}

function twelveBits(value: number): number {
  if (value === 0) return 0;
  const step = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 11);
  return Math.trunc(value / step) * step;
}

const plainCode = /* wgsl */ `
fn logit(bits: u32) -> u32 { return bits; }
fn tempered(z: vec2<f32>) -> vec2<f32> { return z; }
`;

const temperedCode = /* wgsl */ `
fn logit(bits: u32) -> u32 { return bits ^ P.sign; }
fn tempered(z: vec2<f32>) -> vec2<f32> {
  let high = upper(z.x);
  let low = z.x - high;
  return vec2<f32>(high * P.r1, (low * P.r1 + high * P.r2) + (low * P.r2 + high * P.r3) + z.y * P.r1);
}
`;

const stateCode = (masked: boolean) => /* wgsl */ `
const MET_NAN = 1u;
const MET_INFINITY = 2u;
const MET_FINITE = 4u;
const MET_ANY = 8u;

struct Softmax { m: f32, r: f32, flags: u32 }

fn kept(e: Element) -> bool { return ${masked ? 'e.mask != 0u' : 'true'}; }
fn below(x: f32, m: f32) -> vec2<f32> { return tempered(gap(x, m)); }

fn largest_of(flags: u32) -> f32 { return select(0.0, 1.0, (flags & MET_FINITE) != 0u); }

fn empty_softmax() -> Softmax { return Softmax(LOWEST, 0.0, 0u); }

fn merge_softmax(a: Softmax, b: Softmax) -> Softmax {
  let second = (largest_of(b.flags) > largest_of(a.flags)) | (b.m > a.m);
  let m = select(a.m, b.m, second);
  let lower = select(b.m, a.m, second);
  let rest = select(a.r, b.r, second);
  let other = select(largest_of(b.flags) + b.r, largest_of(a.flags) + a.r, second);
  return Softmax(m, rest + other * exp_of(below(lower, m)), a.flags | b.flags);
}

fn one_logit(e: Element) -> Softmax {
  let x = logit(e.logits);
  let infinite = select(0u, MET_INFINITY, x == INFINITY);
  let kind = select(select(infinite, MET_NAN, is_nan(x)), MET_FINITE, is_finite(x));
  let m = select(LOWEST, bitcast<f32>(x), kept(e) & is_finite(x));
  return Softmax(m, 0.0, select(0u, kind | MET_ANY, kept(e)));
}

// Rows that contain NaN or +Infinity, or only -Infinity.
fn is_undefined(flags: u32) -> bool {
  return ((flags & (MET_NAN | MET_INFINITY)) != 0u) | ((flags & (MET_ANY | MET_FINITE)) == MET_ANY);
}
`;
