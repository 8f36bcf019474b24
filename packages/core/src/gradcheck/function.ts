import type { Tensor } from '../tensor/tensor.js';

/** Your own function: how to compute it on the host in float64, and the derivative to check. */
export interface GradcheckFunction {
  readonly name: string;
  /** The function's values in float64, flat, from flat float64 input: a function of the rows of x splits it into rows. */
  forward(x: Float64Array): ArrayLike<number>;
  /** The derivative under test: `Jᵀ g`, in the shape of x. It gets copies, which it may write to or return, and has to dispose all other tensors that it makes. */
  vjp(x: Tensor, cotangent: Tensor): Tensor;
  /** Shape of the function's values. Default: that of x. */
  readonly outputShape?: readonly number[];
  /** Values of x at which the derivative jumps; no difference is taken across one. */
  readonly kinks?: readonly number[];
}

/** Your own function for `gradgradcheck`, with the second derivative to check. */
export interface GradgradcheckFunction extends Omit<GradcheckFunction, 'vjp'> {
  /** The derivative under test: that of `Jᵀ g` along the tangent, in the shape of x. Copies and disposal are as for `vjp`. */
  hvp(x: Tensor, cotangent: Tensor, tangent: Tensor): Tensor;
}

/** One of core's functions. */
export interface BuiltInFunction extends GradcheckFunction, Partial<Pick<GradgradcheckFunction, 'hvp'>> {
  /** Whether a logit of −Infinity is replaced by one far below the others, whose derivative is the limit. */
  readonly takesLimit: boolean;
}

/** Whether it is one of core's functions, whose rounding conformance checks, and not a caller's own. */
export function isBuiltIn<F extends object>(f: F): f is F & Pick<BuiltInFunction, 'takesLimit'> {
  return 'takesLimit' in f;
}
