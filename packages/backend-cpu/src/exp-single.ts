/**
 * The exponential function of float32 logits, in float64 arithmetic: `exp(x) = 2^(n/64) · 2^(t/64)` with n whole and t in [0, 1), the
 * first from a table and the second a quadratic (after Tang, "Table-driven implementation of the exponential function in IEEE
 * floating-point arithmetic", ACM TOMS 15, 1989). A table of powers costs one load, where assembling the bits of a float64 through
 * typed-array views costs a store and a load that waits for it.
 *
 * It is inlined in the source of the loops. An engine inlines calls up to a budget for a function and its callers together, so whether a
 * loop's innermost call is inlined depends on its callers: if it stays a call, the loop takes three times as long.
 */

/** Steps of ln 2 / 64 that x is long. */
export const stepsPerUnit = 64 / Math.LN2;

/** Largest |x| for which `expSingle` is defined: far beyond what exp gives a float32 for. */
export const singleLimit = 177;

const tableLength = 2 ** 15;
/** Steps are counted from the table's middle, and rounded by truncation. */
const stepOffset = tableLength / 2 + 0.5;
/** The least and the most steps of ln 2 / 64 that `expOfSteps` is defined for: e^∓177. */
export const leastSteps = -tableLength / 2;
export const mostSteps = tableLength / 2 - 1;

/**
 * 2^((t − ½)/64) on [0, 1] as `leading (t² + b t + a)`: the quadratic through its values at the Chebyshev nodes ½ + ½ cos(π (2 k + 1) / 6). Relative error
 * 7e-9, an eighth of a float32 ULP.
 */
export const quadratic = { a: 16958.46079064506, b: 183.66530368503354, leading: 5.864915704141954e-5 };
const { a, b, leading } = quadratic;

/**
 * c2 · 2^((k − tableLength/2)/64): one load and no multiplication by a power of 2, where two tables took two and one. Logits of
 * ±8 touch 12 KiB of its 256.
 */
const stepTable = tableOfSteps();

/** exp(x) to 7e-9 relative, enough for float32 results, for `|x| ≤ singleLimit`; NaN where x is NaN. */
export function expSingle(x: number): number {
  return expOfSteps(x * stepsPerUnit);
}

/** `expSingle` of `x = steps / stepsPerUnit`, for callers that have another factor to merge with the multiplication. */
export function expOfSteps(steps: number): number {
  const shifted = steps + stepOffset;
  const n = shifted | 0;
  const t = shifted - n;
  // tableLength − 1 as a literal changes nothing for an n in range; it tells the compiler so, which leaves out the bounds check.
  return stepTable[n & 0x7fff] * (t * (t + b) + a);
}

/** exp for every x, to float32's accuracy. */
export function expOfFloat32(x: number): number {
  return x < -singleLimit ? 0 : x > singleLimit ? Number.POSITIVE_INFINITY : expSingle(x);
}

/** What exp(x / T) of unshifted logits takes: the division, made one multiplication with the one that exp begins with. */
export interface Unit {
  readonly steps: number;
  /** Bound on the sum of squares of four logits that are exponentiated unshifted. */
  readonly mostSquares: number;
}

export function unitOf(temperature: number): Unit {
  return { steps: stepsPerUnit / temperature, mostSquares: (singleLimit * temperature) ** 2 };
}

/**
 * `exp[k] = exp(x[start + k] / T)` and their sum, which costs less here than a pass for it; −1 where an x is too large for that. Four
 * at a time, since the loop itself (its counter, interrupt check and bounds) costs half as much as an exp.
 */
export function expAndSum(exp: Float64Array, x: Float32Array, start: number, length: number, unit: Unit): number {
  const { steps, mostSquares } = unit;
  let sum0 = 0;
  let sum1 = 0;
  let k = 0;
  for (; k < length - 3; k += 4) {
    const x0 = x[start + k];
    const x1 = x[start + k + 1];
    const x2 = x[start + k + 2];
    const x3 = x[start + k + 3];
    if (!(x0 * x0 + x1 * x1 + (x2 * x2 + x3 * x3) < mostSquares)) return -1;
    const s0 = x0 * steps + stepOffset;
    const s1 = x1 * steps + stepOffset;
    const s2 = x2 * steps + stepOffset;
    const s3 = x3 * steps + stepOffset;
    const n0 = s0 | 0;
    const n1 = s1 | 0;
    const n2 = s2 | 0;
    const n3 = s3 | 0;
    const t0 = s0 - n0;
    const t1 = s1 - n1;
    const t2 = s2 - n2;
    const t3 = s3 - n3;
    const e0 = stepTable[n0 & 0x7fff] * (t0 * (t0 + b) + a);
    const e1 = stepTable[n1 & 0x7fff] * (t1 * (t1 + b) + a);
    const e2 = stepTable[n2 & 0x7fff] * (t2 * (t2 + b) + a);
    const e3 = stepTable[n3 & 0x7fff] * (t3 * (t3 + b) + a);
    exp[k] = e0;
    exp[k + 1] = e1;
    exp[k + 2] = e2;
    exp[k + 3] = e3;
    sum0 += e0 + e1;
    sum1 += e2 + e3;
  }
  for (; k < length; k++) {
    const x0 = x[start + k];
    if (!(x0 * x0 < mostSquares)) return -1;
    const e0 = expOfSteps(x0 * steps);
    exp[k] = e0;
    sum0 += e0;
  }
  return sum0 + sum1;
}

/** `expAndSum` of the entries that `keep` keeps, from `mask` on, and 0 for the others. */
export function keptExpAndSum(
  exp: Float64Array,
  x: Float32Array,
  start: number,
  length: number,
  { steps, mostSquares }: Unit,
  keep: Uint8Array,
  mask: number,
): number {
  let sum0 = 0;
  let sum1 = 0;
  let k = 0;
  for (; k < length - 1; k += 2) {
    const from = (mask + k) | 0;
    // 1 or 0 without a branch, which would be unpredictable.
    const kept0 = -keep[from] >>> 31;
    const kept1 = -keep[(from + 1) | 0] >>> 31;
    let x0 = x[start + k];
    let x1 = x[start + k + 1];
    if (!(x0 * x0 + x1 * x1 < mostSquares)) {
      // Masked logits may be anything, and are often −Infinity.
      if (kept0 === 0) x0 = 0;
      if (kept1 === 0) x1 = 0;
      if (!(x0 * x0 + x1 * x1 < mostSquares)) return -1;
    }
    const s0 = x0 * steps + stepOffset;
    const s1 = x1 * steps + stepOffset;
    const n0 = s0 | 0;
    const n1 = s1 | 0;
    const t0 = s0 - n0;
    const t1 = s1 - n1;
    const e0 = stepTable[n0 & 0x7fff] * (t0 * (t0 + b) + a) * kept0;
    const e1 = stepTable[n1 & 0x7fff] * (t1 * (t1 + b) + a) * kept1;
    exp[k] = e0;
    exp[k + 1] = e1;
    sum0 += e0;
    sum1 += e1;
  }
  if (k < length) {
    const kept = -keep[mask + k] >>> 31;
    const x0 = kept === 0 ? 0 : x[start + k];
    if (!(x0 * x0 < mostSquares)) return -1;
    sum0 += exp[k] = expOfSteps(x0 * steps) * kept;
  }
  return sum0 + sum1;
}

function tableOfSteps(): Float64Array {
  const roots = Float64Array.from({ length: 64 }, (_, j) => leading * 2 ** (j / 64));
  const table = new Float64Array(tableLength);
  for (let k = 0; k < tableLength; k += 64) {
    const power = 2 ** ((k - tableLength / 2) / 64);
    for (let j = 0; j < 64; j++) table[k + j] = roots[j] * power;
  }
  return table;
}
