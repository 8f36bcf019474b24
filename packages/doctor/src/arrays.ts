import { isTensor, readInput, type Shape, SoftgradError, sizeOf } from '@softgrad/core';
import { at, sizeAt } from './at.js';

/** An array that the caller passed, converted to float64, in its original layout. */
export interface HostValues {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** Reads an argument as float64. @throws ERR_DTYPE, ERR_SHAPE with the name of the argument */
export function readValues(name: string, input: unknown): HostValues {
  if (isTensor(input)) {
    throw new SoftgradError('ERR_DTYPE', `diagnose: ${name} is a tensor; expected host data: await ${name}.array()`);
  }
  try {
    const { shape, data } = readInput(input, undefined, 'float64');
    return { shape, data: data as Float64Array };
  } catch (error) {
    if (!(error instanceof SoftgradError)) throw error;
    throw new SoftgradError(error.code, `diagnose: ${name}: ${error.message.replace(/^tensor: /, '')}`);
  }
}

/** The values with `axis` moved to the end. */
export function classesLast(data: Float64Array, shape: Shape, axis: number): Float64Array {
  if (axis === shape.length - 1) return data;
  const classes = sizeAt(shape, axis);
  const inner = sizeOf(shape.slice(axis + 1));
  const moved = new Float64Array(data.length);
  for (let k = 0; k < data.length; k++) {
    const within = k % (classes * inner);
    const row = Math.floor(k / (classes * inner)) * inner + (within % inner);
    moved[row * classes + Math.floor(within / inner)] = at(data, k);
  }
  return moved;
}

/** The index of entry k of the (n, f) matrix in the caller's layout, written as `[2][0]`. */
export function placeOf(k: number, shape: Shape, axis: number): string {
  const path: number[] = new Array(shape.length);
  path[axis] = k % sizeAt(shape, axis);
  let rest = Math.floor(k / sizeAt(shape, axis));
  for (let d = shape.length - 1; d >= 0; d--) {
    if (d === axis) continue;
    path[d] = rest % sizeAt(shape, d);
    rest = Math.floor(rest / sizeAt(shape, d));
  }
  return path.map((index) => `[${index}]`).join('');
}
