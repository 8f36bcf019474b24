import type { Shape } from './shape.js';
import type { Tensor } from './tensor.js';

export interface OutOption {
  /** Write the result into this tensor; its shape, dtype and backend must fit. It may be an operand. */
  readonly out?: Tensor | undefined;
}

/**
 * A Jacobian as an operator: its products without its f² entries a row.
 *
 * It refers to the tensors that it was made from and owns nothing; once those are disposed its members throw ERR_DISPOSED.
 */
export interface LinearOperator {
  /** Shape of what `jvp` takes. */
  readonly inputShape: Shape;
  /** Shape of what `vjp` takes. */
  readonly outputShape: Shape;
  /** `Jᵀ g`: the gradient of the input from the gradient `g` of the output. */
  vjp(cotangent: Tensor, options?: OutOption): Tensor;
  /** `J t`: the change of the output along the direction `t` of the input. */
  jvp(tangent: Tensor, options?: OutOption): Tensor;
  /** `J_ii`, in the shape of the output. */
  diagonal(options?: OutOption): Tensor;
  /** The matrices themselves: the dimensions without the axis, then `(f, f)`. */
  toDense(options?: OutOption): Tensor;
}
