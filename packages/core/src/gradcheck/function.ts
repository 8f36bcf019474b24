import type { Tensor } from '../tensor/tensor.js';

/** A function of one's own: how to compute it on the host in float64, and the derivative to be checked. */
export interface GradcheckFunction {
  readonly name: string;
  /** The function's values in float64, flat, from flat float64 input. */
  forward(x: Float64Array): ArrayLike<number>;
  /** The derivative under test: `Jᵀ g`, in the shape of x. What it makes besides its result it has to dispose. */
  vjp(x: Tensor, cotangent: Tensor): Tensor;
  /** Shape of the function's values. Default: that of x. */
  readonly outputShape?: readonly number[];
  /** Values of x at which the derivative jumps; no difference is taken across one. */
  readonly kinks?: readonly number[];
}

/** A function of one's own for `gradgradcheck`: the second derivative is what is checked. */
export interface GradgradcheckFunction extends Omit<GradcheckFunction, 'vjp'> {
  /** The derivative under test: that of `Jᵀ g` along the tangent, in the shape of x. What it makes besides its result it has to dispose. */
  hvp(x: Tensor, cotangent: Tensor, tangent: Tensor): Tensor;
}

/** A function of core's own. */
export interface BuiltInFunction extends GradcheckFunction, Partial<Pick<GradgradcheckFunction, 'hvp'>> {
  /** A logit of −Infinity is taken for the limit of one far below the others. */
  readonly takesLimit: boolean;
}
