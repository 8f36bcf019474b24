import { SoftgradError } from '../errors.js';
import type { BuiltIn } from '../ops/table.js';
import { checkOptions } from '../options.js';
import type { FloatDType } from '../tensor/dtype.js';
import { operand, operandLike } from '../tensor/operands.js';
import type { Tensor } from '../tensor/tensor.js';
import { type GradcheckOptions, gradcheckNames } from './check.js';
import { bestEstimate, type Quotient, quotientOf, shortestAt } from './differences.js';
import { type GradgradcheckFunction, isBuiltIn } from './function.js';
import { builtIn } from './operations.js';
import { ownTwiceDifferentiable, requireDerivative } from './own-function.js';
import {
  checkNumbers,
  defaultDirection,
  entryOf,
  finite,
  type GradcheckEntry,
  type GradcheckReport,
  isOwnFunction,
  judged,
  reportOf,
  resultFor,
  sizeOfLargest,
  slopeOf,
  valuesOf,
  whyNone,
  without,
} from './report.js';

/** Options of `gradgradcheck`; those of the operation are passed on to it. */
export interface GradgradcheckOptions extends GradcheckOptions {
  /** The direction of x along which the derivative is differentiated. Default: irregular numbers in ±1, the same every time. */
  readonly tangent?: Tensor | undefined;
  /** First step of the differences, in units of x, as in `gradcheck`. Default ε^(1/6) ≈ 2.5e-3, times a temperature below 1. */
  readonly step?: number | undefined;
  /** Allowed error in addition to rounding, relative as in `gradcheck`. Default 1e-7 for float64, 5e-5 for float32, 2e-2 for float16. */
  readonly tolerance?: number | undefined;
  /** Flat indices of the entries of x to check. Default: all. Each costs twelve evaluations of the whole function, or more where other steps are tried. */
  readonly entries?: readonly number[] | undefined;
}

const optionNames = [...gradcheckNames, 'tangent'];

/**
 * Compares the hvp of a function of your own with second differences in float64, as for a built-in operation. Its `forward` gets and returns flat
 * numbers of the host, its `hvp` gets and returns tensors.
 *
 * @throws ERR_VALUE, ERR_SHAPE if its `forward` or its `hvp` returns something else
 */
export function gradgradcheck(
  operation: GradgradcheckFunction,
  x: Tensor,
  options?: GradgradcheckOptions,
): Promise<GradcheckReport>;
/**
 * Compares an operation's hvp, on the backend and in the dtype of x, with second differences in float64: for each entry
 * `∂/∂x_i ∂/∂t ⟨g, f(x)⟩ ≈ (4 D(h/2) − D(h)) / 3`, with D the mixed central difference of four values of φ = ⟨g, f⟩,
 * `D(h) = (φ(x + h e_i + h t) − φ(x + h e_i − h t) − φ(x − h e_i + h t) + φ(x − h e_i − h t)) / 4h²`.
 *
 * Only the function itself is evaluated, on the host, as in `gradcheck`; the vjp is not used. The error is of order h⁴ + ε/h²,
 * least near h = ε^(1/6), which is the default step and leaves about 1e-9. Other steps and entries that cannot be
 * compared are as in `gradcheck`.
 *
 * @param operation softmax, softmin, logSoftmax, logSumExp, sigmoid, crossEntropy (with `target`), or your own function
 * @throws ERR_VALUE for x with NaN or +Infinity or at a kink, where there is no second derivative, and for an operation without hvp;
 *   whatever the operation throws
 * @example
 * const report = await gradgradcheck(softmax, tensor([[1, 2, 3]]), { temperature: 0.5 });
 * report.ok; // true
 */
export function gradgradcheck(
  operation: BuiltIn | GradgradcheckFunction,
  x: Tensor,
  options?: GradgradcheckOptions,
): Promise<GradcheckReport>;
// The first signature is there for the types of an object literal's parameters: in the union, hvp could also be that of a built-in one.
export async function gradgradcheck(
  operation: BuiltIn | GradgradcheckFunction,
  x: Tensor,
  options: GradgradcheckOptions = {},
): Promise<GradcheckReport> {
  const name = 'gradgradcheck';
  checkOptions(name, options, optionNames);
  checkNumbers(name, options);
  const checked = operand(name, 'x', x);
  const values = await valuesOf(name, x);
  const f = isOwnFunction<GradgradcheckFunction>(operation)
    ? ownTwiceDifferentiable(operation, x)
    : twiceDifferentiable(await builtIn(name, operation, checked, options));
  const made: Tensor[] = [];
  const own = (direction: Tensor) => {
    made.push(direction);
    return direction;
  };
  try {
    const cotangent = options.cotangent ?? own(defaultDirection(f.outputShape ?? x.shape, x));
    const tangent = options.tangent ?? own(defaultDirection(x.shape, x, Math.SQRT2));
    operandLike(name, 'cotangent', cotangent, checked, f.outputShape ?? x.shape);
    operandLike(name, 'tangent', tangent, checked);
    const [g, t] = await Promise.all([cotangent.data(), tangent.data()]);
    const analytic = await resultFor(f.hvp, [
      { values, like: x },
      { values: g, like: cotangent },
      { values: t, like: tangent },
    ]);
    return reportOf(f.name, checked, compare(f, values, g, t, analytic, checked.dtype, options));
  } finally {
    for (const direction of made) direction.dispose();
  }
}

const defaultTolerance: Record<FloatDType, number> = { float64: 1e-7, float32: 5e-5, float16: 2e-2 };

/** ε^(1/6): where h⁴ and ε/h² are equal. */
const defaultStep = 2 ** (-52 / 6);

/** @throws ERR_VALUE if the function has no hvp */
function twiceDifferentiable<F extends { readonly name: string; readonly hvp?: unknown }>(f: F) {
  requireDerivative('gradgradcheck', f, 'hvp');
  return f as F & Pick<GradgradcheckFunction, 'hvp'>;
}

function compare(
  f: GradgradcheckFunction,
  x: Float64Array,
  g: ArrayLike<number>,
  t: ArrayLike<number>,
  analytic: ArrayLike<number>,
  dtype: FloatDType,
  options: GradgradcheckOptions,
): readonly GradcheckEntry[] {
  const { tolerance = defaultTolerance[dtype], entries, temperature = 1 } = options;
  const wanted = options.step ?? defaultStep * Math.min(1, temperature);
  const room = roomWithin(f, x);
  const first = Math.min(wanted, room);
  const at = isBuiltIn(f) && f.takesLimit ? finite(x, temperature) : x;
  // Steps are in units of x, whatever the size of the tangent.
  const size = sizeOfLargest(t);
  const unit = Float64Array.from(t, (value) => (size === 0 ? 0 : value / size));
  const values = () => Array.from(f.forward(at.slice()));
  const outputs = values();
  const none = whyNone(outputs, values());
  const reach = sizeOfLargest(at.filter(Number.isFinite));
  const range = { least: Math.max(first * 2 ** -40, shortestAt(reach)), most: Math.min(room, Math.max(1, reach) / 16) };
  const steps = { first, ratio: 4, enough: tolerance / 4, ...(options.step === undefined && { range }) };
  const slopes = Array.from(entries ?? x.keys(), (index) => {
    if (!Number.isFinite(entryOf('gradgradcheck', x, index))) return without(index, 'x is −Infinity there', true);
    if (none !== undefined) return without(index, none);
    return slopeOf(index, [bestEstimate(mixedQuotient(f, at, g, unit, index, reach), steps)], size);
  });
  const weight = sizeOfLargest(g) * size;
  const displaced = displacement(reach, first) * sizeOfLargest(slopes.map(({ high }) => high));
  const hidden = displaced + (roundings * weight * sizeOfLargest(outputs.filter(Number.isFinite))) / first ** 2;
  return judged(analytic, slopes, { dtype, tolerance, weight, hidden, lenient: isBuiltIn(f) });
}

/** The rounding of values of size 1 in an extrapolated quotient, times the square of the step. */
const roundings = 2 ** -48;

/** The longest step for which no entry reaches a kink. @throws ERR_VALUE at a kink */
function roomWithin({ kinks = [] }: GradgradcheckFunction, x: Float64Array): number {
  return x.reduce((least, value, i) => {
    const room = kinks.reduce((nearest, kink) => Math.min(nearest, Math.abs(value - kink)), Number.POSITIVE_INFINITY);
    if (room === 0) {
      throw new SoftgradError('ERR_VALUE', `gradgradcheck: x[${i}] is ${value}, a kink; there is no second derivative`);
    }
    // An entry moves by its own step and by one along the tangent.
    return Math.min(least, room / 4);
  }, Number.POSITIVE_INFINITY);
}

/** The relative error of a second difference that comes from rounding of x + h, in entries of x as large as `reach`. */
function displacement(reach: number, h: number): number {
  return (2 ** -50 * reach) / h;
}

/** The mixed central difference of one entry and the tangent, as a function of the step. */
function mixedQuotient(
  f: GradgradcheckFunction,
  x: Float64Array,
  g: ArrayLike<number>,
  t: Float64Array,
  index: number,
  reach: number,
): (step: number) => Quotient {
  return (h) => {
    const moved = (own: number, along: number) =>
      Array.from(
        f.forward(x.map((value, i) => value + along * h * (t[i] ?? Number.NaN) + (i === index ? own * h : 0))),
      );
    const along = (own: number) => [moved(own, 1), moved(own, -1)] as const;
    const { noise, ...quotient } = quotientOf(g, [along(1), along(-1)], {
      divisor: 4 * h * h,
      roundings: roundings / h ** 2,
      condition: isBuiltIn(f) ? 0 : reach / (2 * h),
    });
    // The points are rounded as well.
    return { ...quotient, noise: noise + displacement(reach, h) * quotient.terms };
  };
}
