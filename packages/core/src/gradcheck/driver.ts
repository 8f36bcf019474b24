import { type TensorLike, tensorOf } from '../ops/arguments.js';
import { directionsOf } from '../ops/definition.js';
import { checkTemperature } from '../ops/settings.js';
import type { BuiltIn } from '../ops/table.js';
import type { FloatDType } from '../tensor/dtype.js';
import { operand, operandLike } from '../tensor/operands.js';
import { isTensor, type Tensor } from '../tensor/tensor.js';
import {
  type CheckedFunction,
  type Derivative,
  derivativeOf,
  isBuiltIn,
  isOwnFunction,
  type OwnFunction,
} from './function.js';
import { builtIn, checkPassed } from './operations.js';
import type { GradgradcheckOptions } from './options.js';
import { ownFunction } from './own-function.js';
import { pick } from './part.js';
import {
  checkOwnOptions,
  checkSize,
  defaultDirection,
  entryOf,
  finite,
  type GradcheckEntry,
  type GradcheckReport,
  judged,
  reportOf,
  resultFor,
  type Slope,
  sizeOfLargest,
  valuesOf,
  whyNone,
  without,
} from './report.js';
import { inFloat64, type Rounding, roundingOf } from './rounding.js';
import { lineOf } from './text.js';

/** What `gradcheck` and `gradgradcheck` do not share. */
export interface Check {
  readonly name: string;
  readonly derivative: Derivative;
  /** Of its own options, not of those of the operation. */
  readonly optionNames: readonly string[];
  readonly tolerance: Readonly<Record<FloatDType, number>>;
  /** Where the errors of the differences by their order and by rounding are equal. */
  readonly step: number;
  /** @param directions the flat numbers of the cotangent and, for `hvp`, the tangent */
  differences(f: CheckedFunction, x: Float64Array, directions: Directions, steps: FirstStep): Differences;
}

export type Directions = readonly ArrayLike<number>[];

export interface FirstStep {
  /** In units of x. */
  readonly step: number;
  /** Whether it was asked for: then it is the only one. */
  readonly fixed: boolean;
  /** A relative error of a slope that is small enough. */
  readonly enough: number;
  readonly rounding: Rounding;
}

/** The difference quotients of a function at x. */
export interface Differences {
  slopeAt(index: number): Promise<Slope>;
  /** The slopes on both sides of an entry, if they show a kink that the function does not name. */
  kinkAt(index: number): Promise<Slope | undefined>;
  /** What rounding can make of these slopes where the largest of the function's values has this size, times that of the directions. */
  hidden(size: number, slopes: readonly Slope[]): number;
}

/** The default directions must not be multiples of each other. */
const irrationals = { cotangent: 0.6180339887498949, tangent: Math.SQRT2 };

/** Compares a derivative of an operation, on the backend and in the dtype of x, with differences of its values on the host. */
export async function compareWithDifferences(
  check: Check,
  operation: BuiltIn | OwnFunction,
  input: TensorLike,
  options: GradgradcheckOptions,
): Promise<GradcheckReport> {
  const { name, derivative } = check;
  checkPassed(name, operation, options, check.optionNames);
  const made: Tensor[] = [];
  const kept = (one: Tensor): Tensor => {
    made.push(one);
    return one;
  };
  const asTensor = (what: string, given: TensorLike, like?: Tensor): Tensor =>
    isTensor(given) ? given : kept(tensorOf(`${name}: ${what}`, given, like));
  try {
    const x = asTensor('x', input);
    const checked = operand(name, 'x', x);
    checkOwnOptions(name, x.size, options);
    const values = await valuesOf(name, x);
    const f = isOwnFunction(operation)
      ? ownFunction(name, operation, derivative, x)
      : withDerivative(check, await builtIn(name, operation, checked, options));
    checkSize(name, x.size, derivative === 'vjp' ? 6 : 12, options, f.partAt?.(0).entries.length);
    const point = await pointOf(check, f, values, options);
    const directions = directionsOf[derivative].map((direction) => {
      const shape = direction === 'cotangent' ? (f.outputShape ?? x.shape) : x.shape;
      const given = options[direction];
      const like =
        given === undefined ? kept(defaultDirection(shape, x, irrationals[direction])) : asTensor(direction, given, x);
      operandLike(name, direction, like, checked, shape);
      return like;
    });
    const operands = await Promise.all(directions.map(async (like) => ({ values: await like.data(), like })));
    const analytic = await resultFor(f.derivative, [{ values, like: x }, ...operands]);
    const numbers = operands.map((one) => one.values);
    const entries = await compare(check, f, point, numbers, analytic, checked.dtype, options);
    return reportOf(f.name, checked, entries, (report) => lineOf(report, { derivative, given: options }));
  } finally {
    for (const one of made) one.dispose();
  }
}

function withDerivative<F extends OwnFunction>({ name, derivative }: Check, f: F) {
  return { ...f, derivative: derivativeOf(name, f, derivative) };
}

/** The function at x. */
interface Point {
  readonly x: Float64Array;
  /** Where it is evaluated: x, or for a limit at −Infinity a point near it. */
  readonly at: Float64Array;
  readonly outputs: readonly number[];
}

/** Before the derivative is computed: with as many values as are expected, its cotangent has the right shape. */
async function pointOf(
  { name }: Check,
  f: CheckedFunction,
  x: Float64Array,
  { temperature = 1 }: GradgradcheckOptions,
): Promise<Point> {
  checkTemperature(name, temperature);
  const at = f.takesLimit ? finite(x, temperature) : x;
  return { x, at, outputs: Array.from(await f.forward(at.slice())) };
}

async function compare(
  check: Check,
  f: CheckedFunction,
  { x, at, outputs }: Point,
  directions: Directions,
  analytic: ArrayLike<number>,
  dtype: FloatDType,
  options: GradgradcheckOptions,
): Promise<readonly GradcheckEntry[]> {
  const { tolerance = check.tolerance[dtype], entries = x.keys(), temperature = 1 } = options;
  const { step = check.step * Math.min(1, temperature) } = options;
  const none = whyNone(outputs, isBuiltIn(f) ? outputs : Array.from(await f.forward(at.slice())));
  const rounding = isBuiltIn(f) || none !== undefined ? inFloat64 : await roundingOf(f, at, outputs);
  const first = { step, fixed: options.step !== undefined, enough: tolerance / 4, rounding };
  const whole = check.differences(f, at, directions, first);
  /** The differences at an entry, of its part if the function has parts, and its index there. */
  const near = (index: number): readonly [Differences, number] => {
    if (f.partAt === undefined) return [whole, index];
    const { entries: own, cotangent, forward } = f.partAt(index);
    const picked = directions.map((direction, k) => pick(direction, k === 0 ? cotangent : own));
    return [check.differences({ ...f, forward }, pick(at, own), picked, first), own.indexOf(index)];
  };
  const slopes: Slope[] = [];
  for (const index of entries) {
    if (!Number.isFinite(entryOf(check.name, x, index))) slopes.push(without(index, 'x is −Infinity there', true));
    else if (none !== undefined) slopes.push(without(index, none));
    else {
      const [differences, i] = near(index);
      slopes.push({ ...(await differences.slopeAt(i)), index });
    }
  }
  const weight = directions.reduce((product, direction) => product * sizeOfLargest(direction), 1);
  const hidden = whole.hidden(weight * sizeOfLargest(outputs.filter(Number.isFinite)), slopes);
  const allowance = { dtype, tolerance, weight, hidden, lenient: isBuiltIn(f) };
  const isWrong = new Set(judged(analytic, slopes, allowance).flatMap(({ ok, index }) => (ok ? [] : [index])));
  // One-sided differences cost more evaluations, so they are computed only for derivatives that would be wrong.
  for (const [k, slope] of slopes.entries()) {
    if (slope.reason !== undefined || !isWrong.has(slope.index)) continue;
    const { index } = slope;
    const [differences, i] = near(index);
    slopes[k] = { ...slope, ...(await differences.kinkAt(i)), index };
  }
  return judged(analytic, slopes, allowance);
}
