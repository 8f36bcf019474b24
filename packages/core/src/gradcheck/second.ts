import { SoftgradError } from '../errors.js';
import type { FloatLike } from '../ops/arguments.js';
import type { BuiltIn } from '../ops/table.js';
import { bestEstimate, type Quotient, quotientOf, shortestAt } from './differences.js';
import { type Check, compareWithDifferences } from './driver.js';
import { type CheckedFunction, type GradgradcheckFunction, isBuiltIn } from './function.js';
import { type GradgradcheckOptions, gradgradcheckNames } from './options.js';
import { type GradcheckReport, sizeOfLargest, slopeOf } from './report.js';
import type { Rounding } from './rounding.js';

/**
 * Compares the hvp of a function of your own with second differences in float64, as for a built-in operation. Its `forward` gets and returns flat
 * numbers of the host, its `hvp` gets and returns tensors.
 *
 * @throws ERR_VALUE, ERR_SHAPE if its `forward` or its `hvp` returns something else
 * @example
 * const square = {
 *   name: 'square',
 *   forward: (x) => x.map((v) => v * v),
 *   hvp: async (x, g, t) => {
 *     const [cotangent, tangent] = [await g.data(), await t.data()];
 *     return tensor(cotangent.map((v, i) => 2 * v * tangent[i]), { shape: x.shape });
 *   },
 * };
 * const { ok } = await gradgradcheck(square, tensor([[1, 2, 3]]));
 * ok; // true
 */
export function gradgradcheck(
  operation: GradgradcheckFunction,
  x: FloatLike,
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
 * @throws ERR_VALUE for x with NaN or +Infinity or at a kink, where there is no second derivative, or with more entries than are checked unless `entries`
 *   are given, and for an operation without hvp; whatever the operation throws
 * @example
 * const report = await gradgradcheck(softmax, tensor([[1, 2, 3]]), { temperature: 0.5 });
 * report.ok; // true
 */
export function gradgradcheck(
  operation: BuiltIn | GradgradcheckFunction,
  x: FloatLike,
  options?: GradgradcheckOptions,
): Promise<GradcheckReport>;
// The first signature is there for the types of an object literal's parameters: in the union, hvp could also be that of a built-in one.
export async function gradgradcheck(
  operation: BuiltIn | GradgradcheckFunction,
  x: FloatLike,
  options: GradgradcheckOptions = {},
): Promise<GradcheckReport> {
  return compareWithDifferences(check, operation, x, options);
}

const check: Check = {
  name: 'gradgradcheck',
  derivative: 'hvp',
  optionNames: gradgradcheckNames,
  tolerance: { float64: 1e-7, float32: 5e-5, float16: 2e-2 },
  // ε^(1/6): where h⁴ and ε/h² are equal.
  step: 2 ** (-52 / 6),
  differences: (f, x, [cotangent = [], tangent = []], { step, fixed, enough, rounding }) => {
    const room = roomWithin(f, x);
    const first = Math.min(step, room);
    // Steps are in units of x, whatever the size of the tangent.
    const size = sizeOfLargest(tangent);
    const unit = Float64Array.from(tangent, (value) => (size === 0 ? 0 : value / size));
    const reach = sizeOfLargest(x.filter(Number.isFinite));
    const range = {
      least: Math.max(first * 2 ** -40, shortestAt(reach) * rounding.points),
      most: Math.min(room, Math.max(1, reach) / 16),
    };
    const steps = { first, ratio: 4, enough, ...(!fixed && { range }) };
    return {
      slopeAt: async (index) =>
        slopeOf(index, [await bestEstimate(mixedQuotient(f, x, cotangent, unit, index, reach, rounding), steps)], size),
      kinkAt: async () => undefined,
      hidden: (largest, slopes) =>
        displacement(reach, first) * rounding.points * sizeOfLargest(slopes.flatMap(({ sides }) => sides)) +
        (roundings * rounding.values * largest) / first ** 2,
    };
  },
};

/** The rounding of values of size 1 in an extrapolated quotient, times the square of the step. */
const roundings = 2 ** -48;

/** The longest step for which no entry reaches a kink. @throws ERR_VALUE at a kink */
function roomWithin({ kinks = [] }: CheckedFunction, x: Float64Array): number {
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
  f: CheckedFunction,
  x: Float64Array,
  g: ArrayLike<number>,
  t: Float64Array,
  index: number,
  reach: number,
  rounding: Rounding,
): (step: number) => Promise<Quotient> {
  return async (h) => {
    const moved = async (own: number, along: number) =>
      Array.from(
        await f.forward(x.map((value, i) => value + along * h * (t[i] ?? Number.NaN) + (i === index ? own * h : 0))),
      );
    const along = async (own: number) => [await moved(own, 1), await moved(own, -1)] as const;
    const { noise, ...quotient } = quotientOf(g, [await along(1), await along(-1)], {
      divisor: 4 * h * h,
      roundings: roundings / h ** 2,
      rounding,
      condition: isBuiltIn(f) ? 0 : reach / (2 * h),
    });
    // The points are rounded as well.
    return { ...quotient, noise: noise + displacement(reach, h) * rounding.points * quotient.terms };
  };
}
