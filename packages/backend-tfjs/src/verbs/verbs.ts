import type { BinaryOp, ReduceOp, UnaryOp } from '@softgrad/core';
import type { TfBuffer } from '../storage.js';

/** The four dimensions of a value; reductions are over the third. A dimension of 1 broadcasts. */
export type Shape = readonly [number, number, number, number];

/** Strides of an operand along the four dimensions; 0 where it broadcasts. */
export type Strides = readonly [number, number, number, number];

export type Dimension = 0 | 1 | 2 | 3;

/** A permutation of the four dimensions. */
export type Order = readonly [Dimension, Dimension, Dimension, Dimension];

export type ElementOp = BinaryOp | 'equal';

/** Distances of logits from a shift, `(x − shift) / divisor`. */
export interface Gap<V> {
  /** Rounded. The difference is taken before the division, because that of neighbours is exact, and that of two rounded quotients is not. */
  readonly value: V;
  /** What rounding took off; null on engines cpu and wasm, where computing it would take passes over the data. */
  readonly lost: V | null;
  /** exp of the gap before it was rounded: half an ULP of a gap of 100 is up to 64 ULP of the exponential. */
  exp(): V;
  /**
   * `Σ exp − 1` along the third dimension, where the shift is the maximum: the sum of the exponentials, which are given, without that of the
   * maximum, because the difference would lose the digits of a small sum. NaN propagates.
   */
  sumOfOthers(exponentials: V): V;
}

/**
 * The operations from which kernels are written, for all engines. On webgl and webgpu a value is an expression, and only `reduce`, `keep` and
 * the result of a kernel run a program; on cpu and wasm each operation runs a kernel of tfjs or a pass over the values. Arithmetic follows IEEE 754.
 */
export interface Verbs<V> {
  /** A buffer with contiguous `shape`, transposed by `order`. int32 and bool are converted to floats. */
  input(buffer: TfBuffer, shape: Shape, order?: Order): V;
  /** Each element's index along a dimension of this size. */
  coordinate(dimension: 2 | 3, size: number): V;
  unary(op: UnaryOp, x: V): V;
  gap(x: V, shift: V, divisor: number): Gap<V>;
  /** `log(1 + x)` for finite x ≥ 0 and NaN, right relative to the result where x is small. */
  log1p(x: V): V;
  /** `1 − exp(y)` where exp(y) is above ½, without cancelling; any number elsewhere. */
  complement(y: V): V;
  /** `equal` gives 1 or 0. */
  binary(op: ElementOp, a: V | number, b: V | number): V;
  /** `condition > 0 ? a : b`; the other operand has no effect, even if it is NaN. */
  select(condition: V | number, a: V | number, b: V | number): V;
  /** Reduces the third dimension, which is at least 1, to 1. */
  reduce(op: ReduceOp, x: V): V;
  /** Computes the value now, so that several programs do not each recompute it from many operands. */
  keep(x: V): V;
  /** Softmax of `x / divisor` over the third dimension in one pass, or null if the engine has none. */
  softmax(x: V, divisor: number): V | null;
  /** `v − ⟨p, v⟩` along the third dimension in one pass, with p probabilities, or null if the engine has none. */
  centred(p: V, v: V): V | null;
  /** `p Σ q − q` along the third dimension in one pass, with p the exponentials divided by their sum and q of their shape, or null if the engine has none. */
  slopes(exponentials: V, q: V): V | null;
  /** `1 / (1 + exp(−x))` in one pass, or null if the engine has none. */
  sigmoid(x: V): V | null;
}

/** An output buffer and its shape. */
export interface Target {
  readonly buffer: TfBuffer;
  readonly shape: Shape;
}

/** A kernel: computes one result for each target. */
export type Program = <V>(verbs: Verbs<V>) => readonly V[];

export const inOrder: Order = [0, 1, 2, 3];

export function sizeOf(shape: Shape): number {
  return shape[0] * shape[1] * shape[2] * shape[3];
}

/** The strides of a contiguous value; 0 for dimensions of 1, which broadcast. */
export function stridesOf(shape: Shape): Strides {
  const [, b, c, d] = shape;
  const steps: Strides = [b * c * d, c * d, d, 1];
  const step = (k: Dimension) => (shape[k] === 1 ? 0 : steps[k]);
  return [step(0), step(1), step(2), step(3)];
}

/** The shape of a program's result. @throws Error where it has more results than targets */
export function shapeOf(targets: readonly Target[], result: number): Shape {
  const target = targets[result];
  if (target === undefined) throw new Error(`a program has more results than its ${targets.length} targets`);
  return target.shape;
}

/** The shape that results from broadcasting operands. */
export function broadcast(shapes: readonly Shape[]): Shape {
  const largest = (k: Dimension) => Math.max(1, ...shapes.map((shape) => shape[k]));
  return [largest(0), largest(1), largest(2), largest(3)];
}

export function ordered(shape: Shape, order: Order): Shape {
  return [shape[order[0]], shape[order[1]], shape[order[2]], shape[order[3]]];
}
