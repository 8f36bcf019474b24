import type { BinaryOp, ReduceOp, UnaryOp } from '@softgrad/core';
import type { TfBuffer } from '../storage.js';

/** Dimensions of a value: always four, of which the third is the one that is reduced. A dimension of 1 broadcasts. */
export type Shape = readonly [number, number, number, number];

/** A permutation of the four dimensions. */
export type Order = readonly [number, number, number, number];

export type ElementOp = BinaryOp | 'equal';

/**
 * What kernels are written in, whatever runs them. On webgl and webgpu a value is an expression, and only `reduce`, `keep` and
 * the result of a kernel run a program; on cpu and wasm each verb runs a kernel of tfjs. Elements behave as IEEE says.
 */
export interface Verbs<V> {
  /** A buffer, contiguous in `shape`, its dimensions then taken in `order`. int32 and bool come as floats. */
  input(buffer: TfBuffer, shape: Shape, order?: Order): V;
  /** Each element's own index in a dimension of so many. */
  coordinate(dimension: 2 | 3, size: number): V;
  unary(op: UnaryOp, x: V): V;
  /** `equal` gives 1 or 0. */
  binary(op: ElementOp, a: V | number, b: V | number): V;
  /** `condition > 0 ? a : b`; what is not chosen has no influence. */
  select(condition: V | number, a: V | number, b: V | number): V;
  /** Over the third dimension, of at least 1, which becomes 1. */
  reduce(op: ReduceOp, x: V): V;
  /** The same value, computed now: for what several programs would each compute again, from many operands. */
  keep(x: V): V;
  /** Softmax over the third dimension in one kernel of the engine's own, or null where there is none for this shape. */
  softmax(x: V): V | null;
  /** `1 / (1 + exp(−x))` in one kernel of the engine's own, or null. */
  sigmoid(x: V): V | null;
}

/** A buffer to write and the shape of what is written into it. */
export interface Target {
  readonly buffer: TfBuffer;
  readonly shape: Shape;
}

/** A kernel's work: one result for each target. */
export type Program = <V>(verbs: Verbs<V>) => readonly V[];

export const inOrder: Order = [0, 1, 2, 3];

export function sizeOf(shape: Shape): number {
  return shape[0] * shape[1] * shape[2] * shape[3];
}

/** The dimensions of a result of operands that broadcast. */
export function broadcast(shapes: readonly Shape[]): Shape {
  const largest = (k: number) => Math.max(1, ...shapes.map((shape) => shape[k]));
  return [largest(0), largest(1), largest(2), largest(3)];
}

export function ordered(shape: Shape, order: Order): Shape {
  return [shape[order[0]], shape[order[1]], shape[order[2]], shape[order[3]]];
}
