import { formatShape, type Shape, SoftgradError, sameShape, sizeOf } from '@softgrad/core';
import { classesLast, type HostValues } from './arrays.js';
import { at, sizeAt } from './at.js';
import type { Kind } from './form.js';
import type { Problem } from './problem.js';

/** The caller's array under one interpretation of its shape, with classes last. */
export interface Reading {
  readonly kind: Kind;
  readonly data: Float64Array;
}

/**
 * All interpretations of an array of this shape: a gradient, Jacobians, or a shape that results from a mistake. If n = f there
 * can be several.
 *
 * @throws ERR_SHAPE if there is none
 */
export function readingsOf(problem: Problem, { shape, data }: HostValues): readonly [Reading, ...Reading[]] {
  const { n, f, batch } = problem;
  const own = problem.shape;
  const matrix = own.length === 2;
  const readings: Reading[] = [];
  const add = (kind: Kind, expected: Shape, possible: boolean, order: (values: Float64Array) => Float64Array): void => {
    if (possible && sameShape(shape, expected)) readings.push({ kind, data: order(data) });
  };
  const asIs = (values: Float64Array) => values;
  const toClassesLast = (values: Float64Array) => classesLast(values, own, problem.axis);
  add('gradient', own, true, toClassesLast);
  add('gradient', [f], n === 1 && own.length > 1, asIs);
  add('jacobian', [...batch, f, f], true, asIs);
  add('jacobian', [f, f], n === 1 && batch.length > 0, asIs);
  add('transposed gradient', own.toReversed(), matrix, (values) =>
    toClassesLast(transpose(values, sizeAt(own, 1), sizeAt(own, 0))),
  );
  add('transposed jacobian', [f, f, n], matrix, (values) => transpose(values, f * f, n));
  add('jacobian along the other axis', [f, n, n], matrix, asIs);
  add('one jacobian for the batch', [f, f], n > 1, asIs);
  add('jacobian of the flattened batch', [n * f, n * f], n > 1, asIs);
  add('sum over the batch', [f], n > 1, asIs);
  add('sum over the classes', batch, batch.length > 0, asIs);
  const [first, ...others] = readings;
  if (first) return [first, ...others];
  throw shapeError(problem, shape);
}

/** The error for numbers whose shape is not that of a derivative of these logits. */
export function shapeError({ shape: own, batch, f }: Problem, shape: Shape, more?: string): SoftgradError {
  const given = `gradient is ${formatShape(shape)} (${sizeOf(shape)} entries)${more === undefined ? '' : `, ${more}`}`;
  return new SoftgradError(
    'ERR_SHAPE',
    `diagnose: ${given}; expected ${formatShape(own)} like the logits, or ${formatShape([...batch, f, f])}, one Jacobian a row`,
  );
}

/** The transpose of a (rows, columns) matrix. */
function transpose(values: Float64Array, rows: number, columns: number): Float64Array {
  const result = new Float64Array(values.length);
  for (let k = 0; k < values.length; k++) result[(k % columns) * rows + Math.floor(k / columns)] = at(values, k);
  return result;
}
