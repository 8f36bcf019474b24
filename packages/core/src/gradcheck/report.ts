import { SoftgradError } from '../errors.js';
import { tensor } from '../tensor/create.js';
import { describe } from '../tensor/describe.js';
import type { FloatDType } from '../tensor/dtype.js';
import type { FloatTensor } from '../tensor/operands.js';
import type { Tensor } from '../tensor/tensor.js';
import { differ, disagree, type Estimate } from './differences.js';
import type { CheckedFunction } from './function.js';
import type { GradcheckOptions } from './options.js';

/** One derivative: of ⟨cotangent, f(x)⟩ with respect to x[index]; for gradgradcheck, of that along the tangent. */
export interface GradcheckEntry {
  readonly index: number;
  /** The result of the operation's vjp or hvp. */
  readonly analytic: number;
  /** The difference quotient; NaN if there is none. */
  readonly numeric: number;
  /** Of the analytic derivative; NaN if that is NaN, or if there is no difference quotient. */
  readonly error: number;
  /** Includes the uncertainty of the difference quotient. */
  readonly tolerance: number;
  /** True if the error is within the tolerance or x[index] is −Infinity, which has no neighbours. */
  readonly ok: boolean;
  /** The slopes for smaller and for larger x[index], if f is not differentiable there: every slope between them is right, and `numeric` is the nearest. */
  readonly sides?: readonly [left: number, right: number];
  /** Why the entry could not be compared; absent if it was. */
  readonly reason?: string;
}

export interface GradcheckReport {
  readonly name: string;
  readonly backend: string;
  readonly dtype: FloatDType;
  /** All entries are ok, and at least one could be compared. */
  readonly ok: boolean;
  /** The number of entries that could be compared; the `reason` of each other entry says why it could not. */
  readonly checked: number;
  /** The largest `error` of all entries that have a difference quotient. NaN if one of these errors is NaN, or if no entry has a quotient. */
  readonly maxError: number;
  readonly entries: readonly GradcheckEntry[];
  /**
   * One line: `softmax on cpu in float64: ok, 3 of 3 entries compared, errors up to 4.44e-14`. If not ok, with both derivatives of the first entry
   * that is wrong. If entries could not be compared, with the reason for one of them.
   */
  toString(): string;
}

/** The expected slopes of an entry: one number twice, or at a kink the two one-sided slopes, between which every slope is right. */
export interface Slope extends Pick<Estimate, 'terms' | 'noise' | 'error'> {
  /** Of the entry. */
  readonly index: number;
  readonly sides: readonly [left: number, right: number];
  /** Whether they differ by more than their errors. */
  readonly isKink: boolean;
  /** Why there is no difference quotient. */
  readonly reason?: string;
  /** Whether that is so by nature: x[index] is −Infinity. */
  readonly exempt?: boolean;
}

/** What the results of a derivative are compared with besides the slopes. */
export interface Allowance {
  readonly dtype: FloatDType;
  /** Relative to the terms of an entry's derivative. */
  readonly tolerance: number;
  /** The size of the cotangent, for second derivatives times that of the tangent. */
  readonly weight: number;
  /** The rounding of the largest of the function's values, as an error of a derivative. */
  readonly hidden: number;
  /** Whether an error that rounding elsewhere in x explains is accepted: for core's functions, whose rounding conformance checks. */
  readonly lenient: boolean;
}

export const roundoff: Record<FloatDType, number> = { float64: 2 ** -53, float32: 2 ** -24, float16: 2 ** -11 };

/** Derivatives below these may be flushed to 0. */
const smallest: Record<FloatDType, number> = { float64: 2 ** -1022, float32: 2 ** -126, float16: 2 ** -20 };

/** The entries of x. @throws ERR_VALUE for NaN and +Infinity, which have no derivative */
export async function valuesOf(name: string, x: Tensor): Promise<Float64Array> {
  const values = Float64Array.from(await x.data());
  values.forEach((value, i) => {
    if (Number.isNaN(value) || value === Number.POSITIVE_INFINITY) {
      throw new SoftgradError('ERR_VALUE', `${name}: x[${i}] is ${value}; there is no derivative to check`);
    }
  });
  return values;
}

/** Irregular numbers in ±1: the fractional parts of multiples of an irrational number. */
export function defaultDirection(shape: readonly number[], x: Tensor, irrational: number): Tensor {
  const length = shape.reduce((a, b) => a * b, 1);
  const values = Float64Array.from({ length }, (_, i) => 2 * (((i + 1) * irrational) % 1) - 1);
  return tensor(values, { shape, dtype: x.dtype, backend: x.backend });
}

/**
 * The result of a derivative for copies of its operands, which it may write to and return. The copies and the result are disposed, the
 * caller's own tensors never.
 */
export async function resultFor(
  derivative: CheckedFunction['derivative'],
  operands: readonly { readonly values: ArrayLike<number>; readonly like: Tensor }[],
): Promise<ArrayLike<number>> {
  const made = new Set<Tensor>();
  try {
    for (const { values, like } of operands) {
      made.add(tensor(Float64Array.from(values), { shape: like.shape, dtype: like.dtype, backend: like.backend }));
    }
    const result = await derivative(...made);
    if (!operands.some(({ like }) => like === result)) made.add(result);
    return (await result.data()) as ArrayLike<number>;
  } finally {
    for (const one of made) one.dispose();
  }
}

/** The largest absolute value; NaN counts as 0. */
export function sizeOfLargest(values: ArrayLike<number>): number {
  return Array.from(values).reduce((most, v) => Math.max(most, Math.abs(v) || 0), 0);
}

/**
 * The logits with each −Infinity replaced by a finite number so far below the others that its probability is still 0. An output of −Infinity
 * has no difference quotient; that of the replacement is its limit.
 */
export function finite(x: Float64Array, temperature: number): Float64Array {
  const least = x.reduce((a, b) => (Number.isFinite(b) ? Math.min(a, b) : a), Number.POSITIVE_INFINITY);
  return x.map((value) => (Number.isFinite(value) ? value : least - 800 * temperature));
}

/** @throws ERR_VALUE unless the step is positive and finite, the tolerance is finite and not negative, and the entries are an array */
export function checkOwnOptions(
  check: string,
  size: number,
  { step = 1, tolerance = 0, entries = [] }: GradcheckOptions,
): void {
  const refuse = (option: string, value: unknown, expected: string) =>
    new SoftgradError('ERR_VALUE', `${check}: ${option} must be ${expected}, not ${describe(value)}`);
  if (!(Number.isFinite(step) && step > 0)) throw refuse('step', step, 'a finite number > 0');
  if (!(Number.isFinite(tolerance) && tolerance >= 0)) throw refuse('tolerance', tolerance, 'a finite number ≥ 0');
  if (!(Array.isArray(entries) || ArrayBuffer.isView(entries)))
    throw refuse('entries', entries, `an array of indices of the ${size} entries of x`);
}

/** The most entries of a function of the caller that are checked unless the caller chooses them. Each takes evaluations of all of them: in double-double, 5 s. */
const mostEntries = 2000;

/** Evaluations of rows of fewer entries take about as long as of this many. */
const shortRow = 40;

/**
 * @param row the number of entries that are evaluated for one entry, if not all
 * @throws ERR_VALUE for an x of which all entries would take longer than `mostEntries` of a function of the caller, unless the caller chooses some
 */
export function checkSize(
  check: string,
  size: number,
  evaluations: number,
  { entries }: GradcheckOptions,
  row?: number,
): void {
  if (entries !== undefined || size * Math.max(row ?? size, shortRow) <= mostEntries ** 2) return;
  throw new SoftgradError(
    'ERR_VALUE',
    `${check}: x has ${size} entries, each of which takes ${evaluations} evaluations of ${row === undefined ? 'the whole function' : `${row} of them`}; choose some, as in { entries: [0, ${size - 1}] }`,
  );
}

/** The entry of x at an index of the option `entries`. @throws ERR_VALUE if the index is out of range */
export function entryOf(name: string, x: Float64Array, index: number): number {
  // A text such as '1' would find an entry, too.
  const entry = typeof index === 'number' ? x[index] : undefined;
  if (entry !== undefined) return entry;
  throw new SoftgradError(
    'ERR_VALUE',
    `${name}: entries has ${describe(index)}; expected indices of the ${x.length} entries of x`,
  );
}

/** The slope of an entry from one estimate, or from those of both sides of a kink. */
export function slopeOf(index: number, [left, right = left]: readonly [Estimate, Estimate?], scale = 1): Slope {
  const most = (of: (side: Estimate) => number) => scale * Math.max(of(left), of(right));
  const sides = [scale * left.slope, scale * right.slope] as const;
  if (!sides.every(Number.isFinite)) return without(index, 'forward is not finite near x, or its points coincide');
  return {
    index,
    sides,
    isKink: differ(left, right),
    terms: most((s) => s.terms),
    noise: most((s) => s.noise),
    error: most((s) => s.error),
  };
}

/** The slope of an entry that has no difference quotient. */
export function without(index: number, reason: string, exempt = false): Slope {
  const none = Number.NaN;
  return { index, sides: [none, none], isKink: false, terms: none, noise: none, error: none, reason, exempt };
}

/**
 * Why no entry has a difference quotient, if so. An output of −Infinity is not a reason: it has no neighbours, like an entry of x, and stays what
 * it is.
 */
export function whyNone(outputs: readonly number[], again: readonly number[]): string | undefined {
  const odd = outputs.findIndex((value) => Number.isNaN(value) || value === Number.POSITIVE_INFINITY);
  if (odd >= 0) return `output ${odd} of forward is ${outputs[odd]}, which has no difference quotient`;
  const changed = outputs.findIndex((value, j) => value !== again[j]);
  if (changed >= 0)
    return `output ${changed} of forward is ${outputs[changed]} and then ${again[changed]} for the same x`;
  return undefined;
}

/** The results of a derivative for these entries, compared with the expected slopes. */
export function judged(
  analytic: ArrayLike<number>,
  slopes: readonly Slope[],
  allowance: Allowance,
): readonly GradcheckEntry[] {
  const { tolerance, weight, dtype, hidden } = allowance;
  const rounding = 64 * roundoff[dtype] * weight;
  const loose = tolerance * sizeOfLargest(slopes.flatMap(({ sides }) => sides)) + rounding + hidden;
  return slopes.map((slope) => judgedEntry(analytic[slope.index] ?? Number.NaN, slope, loose, rounding, allowance));
}

function judgedEntry(
  derivative: number,
  slope: Slope,
  loose: number,
  rounding: number,
  { dtype, tolerance, weight, lenient }: Allowance,
): GradcheckEntry {
  const { index, sides, isKink, terms, error: uncertainty } = slope;
  const [low, high] = [Math.min(...sides), Math.max(...sides)];
  const nearest = Number.isNaN(derivative) ? (low + high) / 2 : Math.min(Math.max(derivative, low), high);
  const error = Math.abs(derivative - nearest);
  // A derivative of 0 may be the rest of a sum whose terms cancel.
  const zero = Math.max(Math.abs(low), Math.abs(high)) <= uncertainty;
  const relative = tolerance * terms + smallest[dtype] * weight;
  const floor = zero ? rounding : rounding / 16;
  const strict = relative + uncertainty + floor;
  const bound = lenient ? Math.max(strict, loose) : strict;
  const entry = { index, analytic: derivative, numeric: nearest, error, tolerance: bound, ...(isKink && { sides }) };
  const of = (ok: boolean, reason?: string) => (reason === undefined ? { ...entry, ok } : { ...entry, ok, reason });
  if (slope.reason !== undefined) return of(slope.exempt === true, slope.reason);
  const within = error <= bound;
  if (lenient) return of(within);
  const coarse = uncertainty > tolerance * weight;
  if (coarse && disagree(slope) && uncertainty > terms / 64) {
    return of(false, 'difference quotients with successive steps disagree');
  }
  if (!(within || error <= loose)) return of(false);
  const better = dtype === 'float64' ? '' : '; check it with x in float64';
  if (!within) return of(false, `the error may be rounding in ${dtype}${better}`);
  if (coarse && uncertainty > terms / 2 && error > 0)
    return of(true, "hidden by the rounding of the function's values");
  const hidden = !zero && floor > terms / 2 && error > relative + uncertainty;
  return hidden ? of(true, `too small for ${dtype}${better}`) : of(true);
}

/** Whether there were two derivatives of an entry to compare. */
export function isCompared({ reason }: GradcheckEntry): boolean {
  return reason === undefined;
}

export function reportOf(
  name: string,
  { backend, dtype }: FloatTensor,
  entries: readonly GradcheckEntry[],
  textOf: (report: Omit<GradcheckReport, 'toString'>) => string,
): GradcheckReport {
  const compared = entries.filter(isCompared);
  const errors = entries.filter(({ numeric }) => !Number.isNaN(numeric)).map(({ error }) => error);
  const report = {
    name,
    backend: backend.name,
    dtype,
    ok: compared.length > 0 && entries.every(({ ok }) => ok),
    checked: compared.length,
    maxError: errors.length > 0 ? Math.max(...errors) : Number.NaN,
    entries,
  };
  // The report is plain data where it is compared, copied or written as JSON.
  return Object.defineProperty(report, 'toString', { value: () => textOf(report) });
}
