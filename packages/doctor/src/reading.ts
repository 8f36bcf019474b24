import { formatShape, type Shape, SoftgradError, sameShape, sizeOf, type TensorInput } from '@softgrad/core';
import { classesLast, type HostValues, readValues } from './arrays.js';
import { at, sizeAt } from './at.js';
import type { Kind } from './form.js';
import type { ProblemInput } from './input.js';
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
  const hint =
    shape.length === 1 && sizeOf(shape) === sizeOf(own)
      ? `; it has as many entries: reshape it to ${formatShape(own)}`
      : '';
  return new SoftgradError(
    'ERR_SHAPE',
    `diagnose: ${given}; expected ${formatShape(own)} like the logits, or ${formatShape([...batch, f, f])}, one Jacobian a row${hint}`,
  );
}

/** The error for logits or probabilities of another shape than the gradient and the target have, which agree with each other; null if they do not. */
export function shapeErrorOfLogits(input: ProblemInput & { readonly gradient: TensorInput }): SoftgradError | null {
  const { logits, probabilities, gradient, target, axis = -1 } = input;
  if (target === undefined) return null;
  const name = logits === undefined ? 'probabilities' : 'logits';
  const own = readValues(name, logits ?? probabilities).shape;
  const wanted = readValues('gradient', gradient).shape;
  const given = readValues('target', target).shape;
  const rows = wanted.filter((_, d) => d !== (axis < 0 ? axis + wanted.length : axis));
  const agree = rows.length < wanted.length && [wanted, rows, [...rows, 1]].some((shape) => sameShape(given, shape));
  if (!agree || sameShape(own, wanted)) return null;
  const look = sameShape(own.toReversed(), wanted) ? `; the ${name} look transposed` : '';
  return new SoftgradError(
    'ERR_SHAPE',
    `diagnose: ${name} are ${formatShape(own)}, but gradient ${formatShape(wanted)} and target ${formatShape(given)} agree with each other; expected ${name} ${formatShape(wanted)}${look}`,
  );
}

/** The transpose of a (rows, columns) matrix. */
function transpose(values: Float64Array, rows: number, columns: number): Float64Array {
  const result = new Float64Array(values.length);
  for (let k = 0; k < values.length; k++) result[(k % columns) * rows + Math.floor(k / columns)] = at(values, k);
  return result;
}
