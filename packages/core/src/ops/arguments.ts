import { backendOfNewTensor } from '../backend/registry.js';
import { type DType, isFloat } from '../tensor/dtype.js';
import { areBooleans, type FloatInput, readInput, type TensorInput } from '../tensor/input.js';
import { checkDType, type DeviceTensor, isTensor, make, type Tensor, type TensorOfFloats } from '../tensor/tensor.js';

/** A tensor, or anything that `tensor` makes one of: nested arrays, typed arrays, data with a shape. It goes where the other operands are, else to the backend of `setBackend`. */
export type TensorLike = Tensor | TensorInput;

/** An operand of floats: what `TensorLike` has, except for integers and booleans in tensors, and integers in typed arrays, also with a shape. */
export type FloatLike = TensorOfFloats | FloatInput;

/** A cotangent or a tangent: what `TensorLike` has, except for tensors of integers and booleans. Integers in arrays become floats. */
export type DirectionLike = TensorOfFloats | TensorInput;

/** A named argument as a tensor: itself, or a copy of what the caller passed. */
export type ReadArgument = (name: string, given: unknown) => Tensor;

/** For arguments of which all are tensors. */
export const itself: ReadArgument = (_name, given) => given as Tensor;

/**
 * Calls `body` with a function that reads an argument. Those that are not tensors are copied to the backend, and to the dtype, of the first tensor
 * in `all`. Without one, the first copy is on the backend of `setBackend`, and the others in its dtype. These copies are freed afterwards. `body` reads an argument once it has checked those before it, so that
 * the error of a call without an argument is about the first one that is missing or does not fit.
 *
 * @throws ERR_DTYPE, ERR_SHAPE, naming the argument
 */
export function withArguments<T>(operation: string, all: readonly unknown[], body: (read: ReadArgument) => T): T {
  const made: Tensor[] = [];
  try {
    const known = all.find(isTensor);
    return body((name, given) => {
      if (isTensor(given)) return given;
      const one = tensorOf(`${operation}: ${name}`, given, made[0] ?? known);
      made.push(one);
      return one;
    });
  } finally {
    for (const one of made) one.dispose();
  }
}

/** A tensor made from anything that `tensor` accepts, on the backend and in the dtype of `like` if it is given. */
export function tensorOf(what: string, value: unknown, like: Tensor | undefined): DeviceTensor {
  const backend = like?.backend ?? backendOfNewTensor();
  // Booleans are not converted to numbers: they are refused as what they are.
  const wanted: DType | undefined = like && isFloat(like.dtype) && !areBooleans(value) ? like.dtype : undefined;
  const { shape, dtype, data } = readInput(value, undefined, wanted, what);
  checkDType(what, dtype, backend);
  const made = make(backend, shape, dtype, data);
  // All numbers are known, as long as the caller does not change them.
  made.beginning = data;
  return made;
}
