import type { DType } from '../tensor/dtype.js';
import type { Shape } from '../tensor/shape.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Like, MatricesOf, RowsOf } from '../tensor/typed.js';
import type { DirectionLike } from './arguments.js';
import type { OutOption } from './settings.js';

/**
 * A function linearized at one point: its value, and products with its Jacobian that never compute its f² entries per row.
 *
 * `value` is the function's result, and the only memory on the backend that it takes: there is nothing to dispose but this tensor and the results of the
 * derivatives. The derivatives need it (those of logSumExp also need the logits) and throw
 * ERR_DISPOSED once it is disposed, and ERR_VALUE once an operation or `tensor` has overwritten it by `out:`; what is written through `view()` is not noticed. `diagonal` and `toDense` are members of a `SquareOperator` only: that of logSumExp does not have them.
 *
 * @example
 * const { value, vjp } = softmax.linearize(tensor([[1, 2]]));
 * const dx = vjp([[1, 0]]);
 * value.dispose(); // or using value = operator.value, or a scope around all of it
 * await dx.array(); // [[0.1966, -0.1966]]
 */
export interface LinearOperator<D extends DType = DType, In extends number = number, Out extends number = number> {
  /** The function's value where it was linearized. */
  readonly value: Tensor<D, Out>;
  /** Shape of the tangent of `jvp`. */
  readonly inputShape: Shape;
  /** Shape of the cotangent of `vjp`: that of `value`. */
  readonly outputShape: Shape;
  /** `Jᵀ g`: the gradient of the input from the gradient `g` of the output. */
  vjp(cotangent: DirectionLike, options?: OutOption): Tensor<D, In>;
  /** `J t`: the change of the output along the direction `t` of the input. */
  jvp(tangent: DirectionLike, options?: OutOption): Tensor<D, Out>;
}

/** The operator of a function whose value has the shape of its input: its Jacobian has a square matrix for each row. */
export interface SquareOperator<D extends DType = DType, R extends number = number> extends LinearOperator<D, R, R> {
  /** `J_ii`, in the shape of the input. */
  diagonal(options?: OutOption): Tensor<D, R>;
  /** The matrices themselves: the dimensions without the axis, then `(f, f)`. */
  toDense(options?: OutOption): MatricesOf<Tensor<D, R>>;
}

/** The operator at an operand. */
export type OperatorOf<X> = Like<X> extends Tensor<infer D, infer R> ? SquareOperator<D, R> : SquareOperator;

/** The operator at an operand of a function that gives one number a row. */
export type RowOperatorOf<X> =
  Like<X> extends Tensor<infer D, infer In>
    ? RowsOf<X> extends Tensor<DType, infer Out>
      ? LinearOperator<D, In, Out>
      : LinearOperator
    : LinearOperator;
