import type { HostArray } from '@softgrad/core';
import type { BenchDType } from '../workloads.js';
import type { Case } from './case.js';
import type { AccuracyOp } from './ops/op.js';

/** What a result should be, and what its errors are relative to. */
export interface Expectation {
  readonly values: Float64Array;
  /** Errors up to this are counted as 0. */
  readonly undetermined: Float64Array | undefined;
  /** An ULP of each result, or of its terms; Infinity for those that are too small to be measured. */
  readonly ulps: Float64Array;
}

export function expectationOf(op: AccuracyOp, asked: Case, dtype: BenchDType): Expectation {
  const values = op.expected(asked);
  const attainable = op.attainable?.(asked);
  const ulps = values.map((value, k) => {
    const scale = Math.max(Math.abs(value), attainable?.[k] ?? 0);
    if (scale < least) return Number.POSITIVE_INFINITY;
    return scale < Number.POSITIVE_INFINITY ? ulpOf(scale, dtype) : 0;
  });
  return { values, ulps, undetermined: op.undetermined?.(asked) };
}

/** Smaller results are not measured. */
const least = 1e-30;

/** The spacing of a dtype's numbers at `x`, whose magnitude is at least 1e-30, so never subnormal. */
function ulpOf(x: number, dtype: BenchDType): number {
  let exponent = Math.floor(Math.log2(x));
  // log2 can round up to the next integer.
  if (2 ** exponent > x) exponent--;
  return 2 ** (exponent - (dtype === 'float64' ? 52 : 23));
}

/** A result that repeats is compared everywhere with the period that is expected. */
export function largestError(actual: HostArray, { values, ulps, undetermined }: Expectation): number {
  let largest = 0;
  let at = 0;
  for (const found of actual) {
    const exact = values[at] ?? Number.NaN;
    if (found !== exact) {
      if (Number.isNaN(found)) return Number.NaN;
      const error = Math.abs(found - exact) - (undetermined?.[at] ?? 0);
      largest = Math.max(largest, error / (ulps[at] ?? Number.NaN));
    }
    at = at + 1 === values.length ? 0 : at + 1;
  }
  return largest;
}

export function rowSumError(actual: HostArray, classes: number, dtype: BenchDType): number {
  let largest = 0;
  for (let start = 0; start < actual.length; start += classes) {
    // Neumaier's summation (ZAMM 54, 1974), so that the check adds no rounding error.
    let sum = 0;
    let lost = 0;
    for (const value of actual.subarray(start, start + classes)) {
      const next = sum + value;
      lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
      sum = next;
    }
    const error = Math.abs(sum - 1 + lost);
    if (Number.isNaN(error)) return Number.NaN;
    largest = Math.max(largest, error);
  }
  return largest / ulpOf(1, dtype);
}
