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
import {
  checkOwnOptions,
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
    checkOwnOptions(name, x.size, derivative === 'vjp' ? 6 : 12, options);
    const values = await valuesOf(name, x);
    const f = isOwnFunction(operation)
      ? ownFunction(name, operation, derivative, x)
      : withDerivative(check, await builtIn(name, operation, checked, options));
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
    return reportOf(
      f.name,
      checked,
      await compare(check, f, values, numbers, analytic, checked.dtype, options),
      options.cotangent === undefined,
    );
  } finally {
    for (const one of made) one.dispose();
  }
}

function withDerivative<F extends OwnFunction>({ name, derivative }: Check, f: F) {
  return { ...f, derivative: derivativeOf(name, f, derivative) };
}

async function compare(
  check: Check,
  f: CheckedFunction,
  x: Float64Array,
  directions: Directions,
  analytic: ArrayLike<number>,
  dtype: FloatDType,
  options: GradgradcheckOptions,
): Promise<readonly GradcheckEntry[]> {
  const { tolerance = check.tolerance[dtype], entries = x.keys(), temperature = 1 } = options;
  checkTemperature(check.name, temperature);
  const { step = check.step * Math.min(1, temperature) } = options;
  const at = f.takesLimit ? finite(x, temperature) : x;
  const values = async () => Array.from(await f.forward(at.slice()));
  const outputs = await values();
  const none = whyNone(outputs, await values());
  const rounding = isBuiltIn(f) || none !== undefined ? inFloat64 : await roundingOf(f, at, outputs);
  const first = { step, fixed: options.step !== undefined, enough: tolerance / 4, rounding };
  const differences = check.differences(f, at, directions, first);
  const slopes: Slope[] = [];
  for (const index of entries) {
    if (!Number.isFinite(entryOf(check.name, x, index))) slopes.push(without(index, 'x is −Infinity there', true));
    else slopes.push(none === undefined ? await differences.slopeAt(index) : without(index, none));
  }
  const weight = directions.reduce((product, direction) => product * sizeOfLargest(direction), 1);
  const hidden = differences.hidden(weight * sizeOfLargest(outputs.filter(Number.isFinite)), slopes);
  const allowance = { dtype, tolerance, weight, hidden, lenient: isBuiltIn(f) };
  const isWrong = new Set(judged(analytic, slopes, allowance).flatMap(({ ok, index }) => (ok ? [] : [index])));
  // One-sided differences cost more evaluations, so they are computed only for derivatives that would be wrong.
  for (const [k, slope] of slopes.entries()) {
    if (slope.reason !== undefined || !isWrong.has(slope.index)) continue;
    slopes[k] = (await differences.kinkAt(slope.index)) ?? slope;
  }
  return judged(analytic, slopes, allowance);
}
