import type { ReduceOp, Rows } from '@softgrad/core';
import type { Engine } from '../engine.js';
import type { WebgpuBuffer } from '../storage.js';
import { runRows } from './run-rows.js';

/** Sum or maximum of each row. The maximum is NaN if an element is NaN, and −Infinity for an empty row. */
export function reduce(engine: Engine, out: WebgpuBuffer, op: ReduceOp, x: WebgpuBuffer, rows: Rows) {
  runRows(
    engine,
    {
      name: 'basis.reduce',
      variant: op,
      elements: [{ name: 'x', buffer: x }],
      parameters: {},
      values: {},
      state: op === 'sum' ? { value: 'f32', lost: 'f32' } : { bits: 'u32' },
      code: () => (op === 'sum' ? sum : max),
      out: null,
      rowOut: out,
    },
    rows,
  );
}

// `lost` is what the additions lost by rounding.
const sum = /* wgsl */ `
fn empty() -> State { return State(0.0, 0.0); }
fn merge(a: State, b: State) -> State {
  let s = gap(a.value, -b.value);
  return State(s.x, a.lost + b.lost + s.y);
}
fn visit(s: State, row: Row, c: u32, e: Element) -> State { return merge(s, State(bitcast<f32>(e.x), 0.0)); }
struct Result { bits: u32 }
fn finish(row: Row, s: State) -> Result {
  let plain = bitcast<u32>(s.value);
  return Result(select(plain, bitcast<u32>(s.value + s.lost), is_finite(plain)));
}
fn row_value(q: Result, row: Row) -> u32 { return q.bits; }
`;

// Floats are ordered like their bits, once the bits of negative numbers are flipped; NaN is the largest.
const max = /* wgsl */ `
fn ordered(bits: u32) -> u32 { return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u); }
fn empty() -> State { return State(ordered(MINUS_INFINITY)); }
fn merge(a: State, b: State) -> State { return State(max(a.bits, b.bits)); }
fn visit(s: State, row: Row, c: u32, e: Element) -> State {
  return merge(s, State(ordered(select(e.x, NAN, is_nan(e.x)))));
}
struct Result { bits: u32 }
fn finish(row: Row, s: State) -> Result {
  return Result(select(~s.bits, s.bits & 0x7fffffffu, (s.bits & 0x80000000u) != 0u));
}
fn row_value(q: Result, row: Row) -> u32 { return q.bits; }
`;
