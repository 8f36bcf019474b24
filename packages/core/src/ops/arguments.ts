import { backendOfNewTensor } from '../backend/registry.js';
import { type DType, type HostArray, isFloat } from '../tensor/dtype.js';
import { areBooleans, readInput, type TensorInput } from '../tensor/input.js';
import { checkDType, type DeviceTensor, isTensor, make, type Tensor } from '../tensor/tensor.js';

/** A tensor, or anything that `tensor` makes one of: nested arrays, typed arrays, data with a shape. It goes where the other operands are, else to the backend of `setBackend`. */
export type TensorLike = Tensor | TensorInput;

/** An argument: its name, the value that the caller passed, and a check of its entries, for arguments that are not tensors. */
export type Argument = readonly [name: string, given: unknown, check?: CheckOfEntries | undefined];

/** @throws ERR_VALUE for an entry that cannot be one of the argument called `what` */
export type CheckOfEntries = (what: string, data: HostArray) => void;

/**
 * Calls `body` with the arguments as tensors. Arguments that are not tensors are copied to the backend, and to the dtype, of the first tensor
 * among the arguments and `out`, or to the backend of `setBackend`; these copies are freed afterwards.
 *
 * @throws ERR_DTYPE, ERR_SHAPE, naming the argument; what the checks throw
 */
export function withTensors<T>(
  operation: string,
  first: Argument,
  others: readonly Argument[],
  out: Tensor | undefined,
  body: (first: Tensor, ...others: readonly Tensor[]) => T,
): T {
  const made: Tensor[] = [];
  try {
    const known = [...[first, ...others].map(([, given]) => given), out].find(isTensor);
    const tensorFor = ([name, given, check]: Argument): Tensor => {
      if (isTensor(given)) return given;
      const one = tensorOf(`${operation}: ${name}`, given, known, check);
      made.push(one);
      return one;
    };
    return body(tensorFor(first), ...others.map(tensorFor));
  } finally {
    for (const one of made) one.dispose();
  }
}

/** A tensor made from anything that `tensor` accepts, on the backend and in the dtype of `like` if it is given. */
export function tensorOf(what: string, value: unknown, like: Tensor | undefined, check?: CheckOfEntries): DeviceTensor {
  const backend = like?.backend ?? backendOfNewTensor();
  // Booleans are no numbers in any place, and stay what they are.
  const wanted: DType | undefined = like && isFloat(like.dtype) && !areBooleans(value) ? like.dtype : undefined;
  const { shape, dtype, data } = readInput(value, undefined, wanted, what);
  checkDType(what, dtype, backend);
  if (isFloat(dtype)) check?.(what, data);
  return make(backend, shape, dtype, data);
}
