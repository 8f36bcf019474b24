import type { TensorInput } from './input.js';
import type { Shape } from './shape.js';
import type { Tensor } from './tensor.js';

export interface OutOption {
  /** Write the result into this tensor; its shape, dtype and backend must fit. It may be an operand. */
  readonly out?: Tensor | undefined;
}

/** A tensor, or anything that `tensor` makes one of: nested arrays, typed arrays, data with a shape. It goes where the other operands are, else to the backend of `setBackend`. */
export type TensorLike = Tensor | TensorInput;

/**
 * A function at one point with its Jacobian there, whose products need none of its f² entries a row.
 *
 * `value` is the function's result, made with the operator and yours to dispose; its members need it (those of logSumExp the logits
 * too) and throw ERR_DISPOSED afterwards.
 */
export interface LinearOperator {
  /** The function's value where it was linearized. */
  readonly value: Tensor;
  /** Shape of what `jvp` takes. */
  readonly inputShape: Shape;
  /** Shape of what `vjp` takes: that of `value`. */
  readonly outputShape: Shape;
  /** `Jᵀ g`: the gradient of the input from the gradient `g` of the output. */
  vjp(cotangent: TensorLike, options?: OutOption): Tensor;
  /** `J t`: the change of the output along the direction `t` of the input. */
  jvp(tangent: TensorLike, options?: OutOption): Tensor;
}

/** The operator of a function whose value has the shape of its input: a square matrix for each row. */
export interface SquareOperator extends LinearOperator {
  /** `J_ii`, in the shape of the input. */
  diagonal(options?: OutOption): Tensor;
  /** The matrices themselves: the dimensions without the axis, then `(f, f)`. */
  toDense(options?: OutOption): Tensor;
}
