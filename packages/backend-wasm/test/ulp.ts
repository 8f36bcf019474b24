import type { Backend, FloatDType, Rows } from '@softgrad/core';
import type { WasmBuffer } from '../src/index.js';

/** Rows of logits. */
export interface Case {
  readonly rows: Rows;
  readonly logits: Float32Array | Float64Array;
}

/** Reproducible random numbers in [0, 1) (Mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` logits, uniform in ±spread around `offset`. */
export function logits(dtype: FloatDType, count: number, spread: number, offset: number, seed: number) {
  const next = random(seed);
  const host = dtype === 'float64' ? new Float64Array(count) : new Float32Array(count);
  return host.map(() => (next() * 2 - 1) * spread + offset);
}

/** The distance between adjacent numbers of a dtype at `value`. */
export function ulp(value: number, dtype: FloatDType): number {
  const [bits, least] = dtype === 'float64' ? [52, -1022] : [23, -126];
  if (value === 0) return 2 ** (least - bits);
  return 2 ** (Math.max(least, Math.floor(Math.log2(Math.abs(value)))) - bits);
}

/** Runs `use` with an `out` of the first operand's size and buffers that hold `hosts`, and returns the contents of `out`. */
export function compute(
  backend: Backend<WasmBuffer>,
  hosts: readonly (Float32Array | Float64Array)[],
  use: (out: WasmBuffer, ...operands: readonly WasmBuffer[]) => void,
): ArrayLike<number> {
  const [first] = hosts;
  const dtype = first instanceof Float64Array ? 'float64' : 'float32';
  const buffers = hosts.map((host) => {
    const buffer = backend.alloc(host.length, dtype);
    backend.write(buffer, host);
    return buffer;
  });
  const out = backend.alloc(first.length, dtype);
  try {
    use(out, ...buffers);
    return backend.readSync?.(out) ?? [];
  } finally {
    for (const buffer of [...buffers, out]) backend.free(buffer);
  }
}

/** softmax in float64, summed in ascending order: the error is a few units of 2⁻⁵³. */
export function softmaxRow(x: ArrayLike<number>, at: (c: number) => number, classes: number): Float64Array {
  let max = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < classes; c++) max = Math.max(max, x[at(c)]);
  const e = Float64Array.from({ length: classes }, (_, c) => Math.exp(x[at(c)] - max));
  const sum = e.toSorted().reduce((a, b) => a + b, 0);
  return e.map((value) => value / sum);
}

/** The largest error of float32 probabilities of at least 1e-30, in ULP. */
export function largestError(actual: ArrayLike<number>, x: ArrayLike<number>, { outer, classes, inner }: Rows): number {
  let largest = 0;
  for (let row = 0; row < outer * inner; row++) {
    const start = Math.floor(row / inner) * classes * inner + (row % inner);
    const at = (c: number) => start + c * inner;
    const expected = softmaxRow(x, at, classes);
    for (let c = 0; c < classes; c++) {
      if (expected[c] < 1e-30) continue;
      const error = Math.abs(actual[at(c)] - expected[c]) / ulp(expected[c], 'float32');
      if (!(error <= largest)) largest = error;
    }
  }
  return largest;
}

/** Whether two results have the same bits. */
export function sameBits(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return true;
}
