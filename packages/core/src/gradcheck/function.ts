import { SoftgradError } from '../errors.js';
import type { Tensor } from '../tensor/tensor.js';

/** A value, or a promise of it. */
type Awaitable<T> = T | PromiseLike<T>;

/** Your own function: how to compute it on the host in float64, and the derivative to check. */
export interface GradcheckFunction {
  readonly name: string;
  /**
   * The function's values in float64, flat, from flat float64 input: a function of the rows of x splits it into rows. It may be async, as may the
   * derivative; one call is over before the next.
   */
  forward(x: Float64Array): Awaitable<ArrayLike<number>>;
  /** The derivative under test: `Jᵀ g`, in the shape of x. It gets copies, which it may write to or return, and has to dispose all other tensors that it makes. */
  vjp(x: Tensor, cotangent: Tensor): Awaitable<Tensor>;
  /** Shape of the function's values. Default: that of x. */
  readonly outputShape?: readonly number[];
  /** Values of x at which the derivative jumps; no difference is taken across one. */
  readonly kinks?: readonly number[];
}

/** Your own function for `gradgradcheck`, with the second derivative to check. */
export interface GradgradcheckFunction extends Omit<GradcheckFunction, 'vjp'> {
  /** The derivative under test: that of `Jᵀ g` along the tangent, in the shape of x. Copies and disposal are as for `vjp`. */
  hvp(x: Tensor, cotangent: Tensor, tangent: Tensor): Awaitable<Tensor>;
}

/** The derivatives that can be checked. */
export type Derivative = 'vjp' | 'hvp';

/** What both kinds of a caller's functions have. */
export type OwnFunction = Omit<GradcheckFunction, 'vjp'>;

/** What one entry of x has an effect on: the values of its row, which depend on the entries of the row alone. */
export interface Part {
  /** The entries of the row, by their flat indices in x. */
  readonly entries: readonly number[];
  /** For each value, the index of the number of the cotangent that it is multiplied with. */
  readonly cotangent: readonly number[];
  forward(entries: Float64Array): ArrayLike<number>;
}

/** One of core's functions. The values of a loss that is reduced are the terms of its sum, one for each row. */
export interface BuiltInFunction extends GradcheckFunction, Partial<Pick<GradgradcheckFunction, 'hvp'>> {
  /** Whether a logit of −Infinity, for which an output is −Infinity, is replaced by one far below the others, whose derivative is the limit. */
  readonly takesLimit: boolean;
  /** The part of the function for the entry of x at an index: the differences of the others are 0, so that only this part is evaluated. */
  partAt(index: number): Part;
}

/** A function with the one derivative that is checked. `takesLimit` and `partAt` are those of one of core's. */
export interface CheckedFunction extends OwnFunction, Partial<Pick<BuiltInFunction, 'takesLimit' | 'partAt'>> {
  /** Takes x, the cotangent and for `hvp` the tangent. */
  derivative(...operands: readonly Tensor[]): Awaitable<Tensor>;
}

/** Whether it is one of core's functions, whose rounding conformance checks, and not a caller's own. */
export function isBuiltIn(f: CheckedFunction): boolean {
  return f.takesLimit !== undefined;
}

/** Whether it is a caller's own function, which has a `forward`. */
export function isOwnFunction<F extends OwnFunction>(operation: object): operation is F {
  // JavaScript may pass anything, such as the name of a function of core.
  return Object(operation) === operation && 'forward' in operation;
}

/** The derivative of a function. @throws ERR_VALUE if it has none */
export function derivativeOf(
  check: string,
  f: { readonly name: string },
  derivative: Derivative,
): CheckedFunction['derivative'] {
  const member: unknown = Reflect.get(f, derivative);
  if (typeof member === 'function') return (...operands) => Reflect.apply(member, f, operands);
  throw new SoftgradError('ERR_VALUE', `${check}: ${f.name} has no ${derivative} to check`);
}
