import type { FloatDType, Supports } from '../src/index.js';

/**
 * How far a correct result may be from the reference, element by element. The bounds are derived from the rounding of each step, by dtype
 * and operation. They do not depend on the backend, except for two things that it announces: the error of its exp, and whether it
 * keeps subnormals.
 *
 * Every bound is a first-order sum of errors in units of u, half an ULP of 1:
 * - an addition or multiplication is within 1 u of its result, a division within 5 u (WGSL allows 2.5 ULP); dividing by a
 *   temperature of 1 adds no error;
 * - exp(x) is within `base + slope·|x|` ULP, 2 u each, and the rounding of its argument, |x| u, is a relative error of the
 *   result: `e(g) = g + 2 (base + slope·g)` for a term whose logit is g below the row's maximum. The exp of an operand, whose argument
 *   is not rounded, is within `2 (base + slope·|x|)`;
 * - log is allowed `base` ULP, and near 1, where its result is near 0, the absolute error that this is at 4/3 (for WGSL's exp with
 *   base 3 this is 2⁻²¹, which is WGSL's bound for log); log(1 + r) for r ≤ ½ is allowed `base` + 4 ULP of its result, however small: a
 *   division, an addition and the terms of a series;
 * - a sum of n terms is within n − 1 u of the sum of their absolute values, and long sums are allowed 4√n u: rounding errors of a running sum
 *   grow like √n (Higham, "Accuracy and Stability of Numerical Algorithms", section 4.6). The factor 4 makes it a bound; the worst
 *   case would hide mistakes. (The worst case exists: if all terms are just below half an ULP of the largest, all of them are lost.
 *   Therefore nearly one-hot inputs are short rows.)
 */
export interface Precision {
  /** Half an ULP of 1: 2⁻²⁴ for float32, 2⁻⁵³ for float64. */
  readonly unit: number;
  /** Absolute error of a result that underflows: 2⁻¹⁴⁹ (2⁻¹²⁶ where subnormals are flushed), for float64 2⁻¹⁰⁷⁴. */
  readonly floor: number;
  /** Relative error of exp(−gap), in units. */
  exp(gap: number): number;
  /** Absolute error of a logarithm whose result is `value`, in units. */
  log(value: number): number;
  /** Absolute error of log(1 + r) for r ≤ ½ whose result is `value`, in units. */
  log1p(value: number): number;
  /**
   * `tolerance` plus rounding that is not part of the operation: for float16 the rounding of the result, which is computed in float32 and
   * stored; for float64 the rounding of the expected value, which is a float64 itself.
   */
  stored(tolerance: number, expected: number): number;
}

/** The precision of a dtype on a backend. float16 is computed in float32 and rounded once: by 2⁻¹¹ of the result, or 2⁻²⁵. */
export function precisionOf(supports: Pick<Supports, 'expUlp' | 'subnormals'>, dtype: FloatDType): Precision {
  const { base, slope } = supports.expUlp;
  const float32Floor = supports.subnormals === 'flush' ? 2 ** -126 : 2 ** -149;
  return {
    unit: dtype === 'float64' ? 2 ** -53 : 2 ** -24,
    floor: dtype === 'float64' ? 2 ** -1074 : float32Floor,
    exp: (gap) => gap + 2 * (base + slope * gap),
    log: (value) => 2 * base * Math.max(Math.abs(value), 4 / 3),
    log1p: (value) => (2 * base + 8) * value,
    stored: (tolerance, expected) => {
      if (dtype === 'float16') return tolerance + 2 ** -11 * Math.abs(expected) + 2 ** -25;
      return dtype === 'float64' ? tolerance + 2 ** -53 * Math.abs(expected) : tolerance;
    },
  };
}

/**
 * The precision of whole operations. It equals that of a kernel, except for float16: a composition stores each intermediate result, so
 * every step rounds by 2⁻¹¹, or 2⁻²⁵.
 */
export function operationPrecision(supports: Pick<Supports, 'expUlp' | 'subnormals'>, dtype: FloatDType): Precision {
  const precision = precisionOf(supports, dtype);
  if (dtype !== 'float16') return precision;
  return { ...precision, unit: 2 ** -11, floor: 2 ** -24, stored: (tolerance) => tolerance };
}
