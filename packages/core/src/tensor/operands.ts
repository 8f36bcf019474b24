import { checkLivesOn } from '../backend/mismatch.js';
import { SoftgradError } from '../errors.js';
import { asTensor, type DeviceTensor } from './device-tensor.js';
import { type FloatDType, isFloat } from './dtype.js';
import { type Shape, sameShape, show, sizeOf } from './shape.js';

/** An operand of floats, checked alive. */
export interface FloatTensor extends DeviceTensor {
  readonly dtype: FloatDType;
}

/** The argument as a float tensor, checked to be alive. @throws ERR_DTYPE, ERR_DISPOSED */
export function operand(operation: string, argument: string, value: unknown): FloatTensor {
  const x = asTensor(operation, argument, value);
  if (!isFloat(x.dtype)) {
    throw new SoftgradError(
      'ERR_DTYPE',
      `${operation}: ${argument} is ${x.dtype}, expected floats: tensor(data, { dtype: 'float32' })`,
    );
  }
  return x as FloatTensor;
}

/** A second operand, which must have the backend and dtype of the first and the expected shape. @throws ERR_BACKEND_MISMATCH, ERR_DTYPE, ERR_SHAPE */
export function operandLike(
  operation: string,
  argument: string,
  value: unknown,
  first: FloatTensor,
  shape: Shape = first.shape,
): FloatTensor {
  const x = operand(operation, argument, value);
  checkLivesOn(operation, argument, x.backend, first.backend);
  if (x.dtype !== first.dtype) {
    const conversion = argument.startsWith('out') ? '' : `: await x.to('${first.dtype}')`;
    throw new SoftgradError(
      'ERR_DTYPE',
      `${operation}: ${argument} is ${x.dtype}, expected ${first.dtype} like the other operand${conversion}`,
    );
  }
  if (!sameShape(x.shape, shape)) {
    throw new SoftgradError(
      'ERR_SHAPE',
      `${operation}: ${argument} is ${show(x.shape)}, expected ${show(shape)}${argument.startsWith('out') ? '' : hintOfShape(x.shape, shape)}`,
    );
  }
  return x;
}

/** How to give flat entries, or those with other dimensions of 1, their shape; empty for another order of the dimensions, or another number of entries. */
export function hintOfShape(given: Shape, expected: Shape): string {
  if (expected.length === 0) return '';
  const long = (shape: Shape) => shape.filter((size) => size !== 1);
  const isSame = given.length === 1 ? sizeOf(given) === sizeOf(expected) : sameShape(long(given), long(expected));
  return isSame ? `; the same entries in that shape are { data, shape: [${expected.join(', ')}] }, with flat data` : '';
}
