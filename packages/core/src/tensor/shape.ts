import type { Rows } from '../backend/interface.js';
import { SoftgradError } from '../errors.js';
import { describe, describeOption } from './describe.js';

/** Dimensions of a tensor, outermost first; `[]` is a scalar. */
export type Shape = readonly number[];

/**
 * The number of elements of a shape: the product of its dimensions, 1 for a scalar.
 *
 * @example
 * sizeOf([4, 3]); // 12
 */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const dimension of shape) size *= dimension;
  return size;
}

/**
 * A shape as text, as NumPy prints it. Exported as `formatShape`.
 *
 * @example
 * show([4, 3]); // '(4, 3)'
 * show([3]); // '(3,)'
 */
export function show(shape: Shape): string {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
}

/**
 * True if both have the same dimensions.
 *
 * @example
 * sameShape([4, 3], [3, 4]); // false
 */
export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let k = 0; k < a.length; k++) if (a[k] !== b[k]) return false;
  return true;
}

/** @throws ERR_SHAPE unless every dimension is an integer ≥ 0 and their product is exact */
export function checkShape(what: string, shape: Shape): void {
  if (!Array.isArray(shape)) {
    throw new SoftgradError('ERR_SHAPE', `${what}: shape must be an array of dimensions, not ${typeof shape}`);
  }
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) {
      throw new SoftgradError(
        'ERR_SHAPE',
        `${what}: dimension ${describe(dimension)} of shape ${show(shape)} must be an integer ≥ 0`,
      );
    }
  }
  if (!Number.isSafeInteger(sizeOf(shape))) {
    throw new SoftgradError('ERR_SHAPE', `${what}: shape ${show(shape)} has more elements than a number can count`);
  }
}

/**
 * The axis as an index from 0; −1 is the last one.
 *
 * @param what begins the error's message: the name of the caller's function
 * @throws ERR_AXIS if the shape has no such axis
 * @example
 * resolveAxis('softmax', -1, [4, 3]); // 1
 */
export function resolveAxis(what: string, axis: number, shape: Shape): number {
  const rank = shape.length;
  if (typeof axis !== 'number') {
    throw new SoftgradError('ERR_AXIS', `${what}: ${describeOption('axis', axis)}; expected an integer`);
  }
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    const expected = rank === 0 ? 'a tensor of at least one dimension' : `${-rank} to ${rank - 1}`;
    throw new SoftgradError('ERR_AXIS', `${what}: axis ${axis} of a rank-${rank} tensor; expected ${expected}`);
  }
  return axis < 0 ? axis + rank : axis;
}

/** A contiguous shape as a kernel sees it when it reduces over `axis` (an index from 0). */
export function rowsOf(shape: Shape, axis: number): Rows {
  let outer = 1;
  let inner = 1;
  // Every operation calls this: a loop over indices takes half the time of one over the dimensions.
  for (let k = 0; k < axis; k++) outer *= shape[k] ?? 1;
  for (let k = axis + 1; k < shape.length; k++) inner *= shape[k] ?? 1;
  return { outer: asInteger(outer), classes: asInteger(shape[axis] ?? 1), inner: asInteger(inner) };
}

/**
 * The same number, held by the engine as an integer. A shape that was computed may hold it as a float, and once a field of one `Rows` has been a float,
 * engines read that field as a float from all of them: kernels then compute indices in floats and take a third more time.
 */
export function asInteger(size: number): number {
  const integer = size | 0;
  return integer === size ? integer : size;
}

/**
 * The shape without `axis`, an index from 0: that of one number for each row.
 *
 * @example
 * withoutAxis([4, 3], 1); // [4]
 */
export function withoutAxis(shape: Shape, axis: number): number[] {
  const rest: number[] = [];
  for (let k = 0; k < shape.length; k++) if (k !== axis) rest.push(shape[k] ?? 1);
  return rest;
}

/** A dimension in memory: its size and its stride in elements. */
export type Strided = readonly [size: number, stride: number];

/** Visits strided data in row-major order, all along the innermost dimension at once: from where, how many elements and how far apart. */
export function eachRun(
  dimensions: readonly Strided[],
  start: number,
  visit: (start: number, size: number, stride: number) => void,
): void {
  const [size, stride] = dimensions.at(-1) ?? [1, 0];
  if (dimensions.length < 2) {
    visit(start, size, stride);
    return;
  }
  eachRun(dimensions.slice(0, -1), start, (from, count, step) => {
    for (let k = 0; k < count; k++) visit(from + k * step, size, stride);
  });
}

/** The strides of contiguous data. */
export function contiguousStrides(shape: Shape): number[] {
  return shape.map((_, k) => sizeOf(shape.slice(k + 1)));
}

/** True where `from` broadcasts to `to` by NumPy's rule: aligned at the last dimension, each equal or 1. */
export function broadcasts(from: Shape, to: Shape): boolean {
  const shift = to.length - from.length;
  return shift >= 0 && from.every((dimension, k) => dimension === 1 || dimension === to[k + shift]);
}
