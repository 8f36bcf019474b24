import { SoftgradError } from '../errors.js';
import { tensor } from '../tensor/create.js';
import { describe } from '../tensor/describe.js';
import type { FloatDType } from '../tensor/dtype.js';
import type { FloatTensor } from '../tensor/operands.js';
import type { Tensor } from '../tensor/tensor.js';

/** One derivative: of ⟨cotangent, f(x)⟩ with respect to x[index]; for gradgradcheck, of that along the tangent. */
export interface GradcheckEntry {
  readonly index: number;
  /** The result of the operation's vjp or hvp. */
  readonly analytic: number;
  /** The difference quotient; NaN if x[index] is −Infinity, which has no neighbours. */
  readonly numeric: number;
  readonly error: number;
  readonly tolerance: number;
  /** True if the error is within the tolerance or there is no difference quotient. */
  readonly ok: boolean;
}

export interface GradcheckReport {
  readonly name: string;
  readonly backend: string;
  readonly dtype: FloatDType;
  /** All compared entries are within their tolerance, and there was at least one. */
  readonly ok: boolean;
  /** Entries that could be compared. */
  readonly checked: number;
  readonly maxError: number;
  readonly entries: readonly GradcheckEntry[];
}

/** The expected slopes of an entry: one number, or at a kink the two one-sided slopes, between which every slope is right; NaN if there is no difference quotient. */
export interface Slope {
  /** Of the entry. */
  readonly index: number;
  readonly low: number;
  readonly high: number;
}

export const roundoff: Record<FloatDType, number> = { float64: 2 ** -53, float32: 2 ** -24, float16: 2 ** -11 };

/** Whether it is the caller's own function, which has a `forward`. */
export function isOwnFunction<F extends { forward(x: Float64Array): ArrayLike<number> }>(
  operation: object,
): operation is F {
  return 'forward' in operation;
}

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

/** Irregular numbers in ±1: the fractional parts of multiples of an irrational number, the golden ratio. */
export function defaultDirection(shape: readonly number[], x: Tensor, irrational = 0.6180339887498949): Tensor {
  const length = shape.reduce((a, b) => a * b, 1);
  const values = Float64Array.from({ length }, (_, i) => 2 * (((i + 1) * irrational) % 1) - 1);
  return tensor(values, { shape, dtype: x.dtype, backend: x.backend });
}

/**
 * The result of a derivative for copies of its operands, which it may write to and return. The copies and the result are disposed, the
 * caller's own tensors never.
 */
export async function resultFor(
  derivative: (...operands: Tensor[]) => Tensor,
  operands: readonly { readonly values: ArrayLike<number>; readonly like: Tensor }[],
): Promise<ArrayLike<number>> {
  const made = new Set<Tensor>();
  try {
    for (const { values, like } of operands) {
      made.add(tensor(Float64Array.from(values), { shape: like.shape, dtype: like.dtype, backend: like.backend }));
    }
    const result = derivative(...made);
    if (!operands.some(({ like }) => like === result)) made.add(result);
    return (await result.data()) as ArrayLike<number>;
  } finally {
    for (const one of made) if (!one.disposed) one.dispose();
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

/** @throws ERR_VALUE unless the step is positive and finite and the tolerance is finite and not negative */
export function checkNumbers(
  check: string,
  { step = 1, tolerance = 0 }: { readonly step?: number | undefined; readonly tolerance?: number | undefined },
): void {
  const refuse = (option: string, value: unknown, expected: string) =>
    new SoftgradError('ERR_VALUE', `${check}: ${option} must be a finite number ${expected}, not ${describe(value)}`);
  if (!(Number.isFinite(step) && step > 0)) throw refuse('step', step, '> 0');
  if (!(Number.isFinite(tolerance) && tolerance >= 0)) throw refuse('tolerance', tolerance, '≥ 0');
}

/** The entry of x at an index of the option `entries`. @throws ERR_VALUE if the index is out of range */
export function entryOf(name: string, x: Float64Array, index: number): number {
  const entry = x[index];
  if (entry !== undefined) return entry;
  throw new SoftgradError(
    'ERR_VALUE',
    `${name}: entries has ${describe(index)}; expected indices of the ${x.length} entries of x`,
  );
}

/** The results of a derivative for these entries, compared with the expected slopes. */
export function judged(
  analytic: ArrayLike<number>,
  slopes: readonly Slope[],
  tolerance: number,
): readonly GradcheckEntry[] {
  return slopes.map(({ index, low, high }) => {
    const derivative = analytic[index] ?? Number.NaN;
    const nearest = Math.min(Math.max(derivative, low), high);
    const error = Math.abs(derivative - nearest);
    return {
      index,
      analytic: derivative,
      numeric: nearest,
      error,
      tolerance,
      ok: Number.isNaN(low) || error <= tolerance,
    };
  });
}

export function reportOf(
  name: string,
  { backend, dtype }: FloatTensor,
  entries: readonly GradcheckEntry[],
): GradcheckReport {
  const compared = entries.filter(({ numeric }) => !Number.isNaN(numeric));
  return {
    name,
    backend: backend.name,
    dtype,
    ok: compared.length > 0 && compared.every(({ ok }) => ok),
    checked: compared.length,
    maxError: compared.reduce((most, { error }) => Math.max(most, error), 0),
    entries,
  };
}
