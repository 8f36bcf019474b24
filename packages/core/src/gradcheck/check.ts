import type { FloatLike } from '../ops/arguments.js';
import type { BuiltIn } from '../ops/table.js';
import { bestEstimate, type Estimate, quotientOf, shortestAt, showKink } from './differences.js';
import { type Check, compareWithDifferences, type FirstStep } from './driver.js';
import { type CheckedFunction, type GradcheckFunction, isBuiltIn } from './function.js';
import { type GradcheckOptions, gradcheckNames } from './options.js';
import { type GradcheckReport, sizeOfLargest, slopeOf } from './report.js';

/**
 * Compares the vjp of a function of your own with differences in float64, as for a built-in operation. Its `forward` gets and returns flat numbers
 * of the host, its `vjp` gets and returns tensors.
 *
 * @throws ERR_VALUE, ERR_SHAPE if its `forward` or its `vjp` returns something else
 * @example
 * const square = {
 *   name: 'square',
 *   forward: (x) => x.map((v) => v * v),
 *   vjp: async (x, g) => {
 *     const [values, cotangent] = [await x.data(), await g.data()];
 *     return tensor(values.map((v, i) => 2 * v * cotangent[i]), { shape: x.shape });
 *   },
 * };
 * const { ok } = await gradcheck(square, tensor([[1, 2, 3]]));
 * ok; // true
 */
export function gradcheck(
  operation: GradcheckFunction,
  x: FloatLike,
  options?: GradcheckOptions,
): Promise<GradcheckReport>;
/**
 * Compares an operation's vjp, on the backend and in the dtype of x, with differences in float64: for each entry
 * `∂⟨g, f(x)⟩/∂x_i ≈ (4 D(h/2) − D(h)) / 3`, `D(h) = (φ(x_i + h) − φ(x_i − h)) / 2h` (Richardson's extrapolation).
 *
 * Its error is of order h⁴ + ε/h, least near h = ε^(1/5), which is the default step and leaves about 1e-12; plain central
 * differences at ε^(1/3) leave 1e-10. The same with h/2 and 0.31 h tells how accurate it is. Where that is not enough, shorter steps are tried (near a pole, or
 * the end of the function's domain), or longer ones (where rounding of large values hides the derivative); what remains is part of the tolerance.
 * f is computed on the host in double-double and rounded to float64, whatever the backend
 * computes in, so backends without float64 can be checked as well. Steps are shortened where they would cross a kink (0 for
 * relu); at the kink itself every slope between the two one-sided ones is right, also if your own function does not name it; an entry with another derivative has
 * both as `sides`, and the text of the report names them. It costs six
 * evaluations an entry, or more: of your own function as a whole, of a built-in one of the entry's row. All entries of x are checked if these are at most 2000, or 100,000
 * in short rows of a built-in function; of a larger x, choose some with `entries`.
 *
 * Entries that cannot be compared are not counted in `checked` and have a `reason`. Those where x is −Infinity are ok. Those without a difference
 * quotient, because f is NaN or +Infinity there, are not. A derivative of your own is compared entry by entry, so one that is small beside the others
 * is checked as well, unless rounding in the dtype of x or of f's values could have made it: prefer an x in float64, and a `forward` in float64 too: one
 * that rounds its input or its values to float32 is compared with as many digits as that leaves. The derivatives of core's functions may have the rounding of the largest derivative and of the cotangent.
 *
 * @param operation softmax, softmin, logSoftmax, logSumExp, sigmoid, relu, crossEntropy (with `target`), or your own function
 * @throws ERR_VALUE for x with NaN or +Infinity, where there is no derivative, or with more entries than are checked unless `entries` are given, and for a step or
 *   a tolerance that is not a finite number (the step > 0, the tolerance ≥ 0); whatever the operation throws
 * @example
 * const report = await gradcheck(softmax, tensor([[1, 2, 3]]), { temperature: 0.5 });
 * report.ok; // true
 * report.entries[0]; // { index: 0, analytic: -0.01015…, numeric: -0.01015…, error: 7.7e-10, tolerance: 8.0e-6, ok: true }
 */
export function gradcheck(
  operation: BuiltIn | GradcheckFunction,
  x: FloatLike,
  options?: GradcheckOptions,
): Promise<GradcheckReport>;
// The first signature is there for the types of an object literal's parameters: in the union, vjp could also be that of a built-in one.
export async function gradcheck(
  operation: BuiltIn | GradcheckFunction,
  x: FloatLike,
  options: GradcheckOptions = {},
): Promise<GradcheckReport> {
  return compareWithDifferences(check, operation, x, options);
}

const check: Check = {
  name: 'gradcheck',
  derivative: 'vjp',
  optionNames: gradcheckNames,
  tolerance: { float64: 1e-8, float32: 2e-5, float16: 5e-3 },
  // ε^(1/5): where h⁴ and ε/h are equal.
  step: 2 ** (-52 / 5),
  differences: (f, x, [cotangent = []], first) => {
    const along = (index: number) => differencesAlong(f, x, cotangent, index, first);
    return {
      slopeAt: async (index) => {
        const { isKink, central, sides } = along(index);
        return slopeOf(index, isKink ? await sides() : [await central()]);
      },
      kinkAt: async (index) => {
        const sides = await along(index).sides();
        return showKink(sides, Math.max(first.enough, first.rounding.points > 1 ? enoughInFloat32 : 0))
          ? slopeOf(index, sides)
          : undefined;
      },
      hidden: (size) => (roundings * first.rounding.values * size) / first.step,
    };
  },
};

/** The largest relative error of a side of a kink where the function computes in float32. */
const enoughInFloat32 = 2 ** -10;

/** The rounding of values of size 1 in an extrapolated quotient, times the step. */
const roundings = 2 ** -50;

/** The slopes of ⟨g, f⟩ along one entry. Between those of the two sides of a kink every slope is right. */
function differencesAlong(
  f: CheckedFunction,
  x: Float64Array,
  g: ArrayLike<number>,
  index: number,
  { step, fixed, enough, rounding }: FirstStep,
) {
  const at = x[index] ?? Number.NaN;
  const distances = (f.kinks ?? []).map((kink) => Math.abs(at - kink));
  const room = Math.min(...distances.filter((distance) => distance > 0)) / 2;
  const shortest = shortestAt(Math.abs(at)) * rounding.points;
  const first = Math.min(Math.max(step, shortest), room);
  const range = {
    least: Math.max(first * 2 ** -60, shortest),
    most: Math.min(room, Math.max(1, Math.abs(at)) / 16),
  };
  const steps = { first, enough, ...(!fixed && { range }) };
  const values = async (value: number) =>
    Array.from(await f.forward(x.map((entry, i) => (i === index ? value : entry))));
  // The points are rounded, so the quotient divides by the distance between them.
  const reach = isBuiltIn(f) ? 0 : sizeOfLargest(x.filter(Number.isFinite));
  const between = async (a: number, b: number, h: number) =>
    quotientOf(g, [[await values(b), await values(a)]], {
      divisor: b - a,
      roundings: roundings / h,
      rounding,
      condition: reach / (b - a),
    });
  return {
    isKink: distances.includes(0),
    central: () => bestEstimate((h) => between(at - h, at + h, h), { ...steps, ratio: 4 }),
    sides: async (): Promise<readonly [Estimate, Estimate]> => [
      await bestEstimate((h) => between(at - h, at, h), { ...steps, ratio: 2 }),
      await bestEstimate((h) => between(at, at + h, h), { ...steps, ratio: 2 }),
    ],
  };
}
