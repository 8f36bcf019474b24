/**
 * exp of x ≤ 0 for results in float32: `2^(n/64) · 2^((t − ½)/64)` with n whole and t in [0, 1), the first from a table and the second a quadratic
 * (after Tang, "Table-driven implementation of the exponential function in IEEE floating-point arithmetic", ACM TOMS 15, 1989).
 */
const stepsPerUnit = 64 / Math.LN2;
/** The exp of lower x is 0 in float32. */
const least = -104;
/** A power of 2, so that a mask tells the compiler that indices are in range; e^least is 9604 steps below the end. */
const tableLength = 2 ** 14;
/** Makes steps an index into the table, rounded by truncation. */
const offset = tableLength - 0.5;

/**
 * `exp(v) ≈ 1 + (1 + h²/8) v + v²/2` for |v| ≤ h: the Taylor series whose cubic term is replaced by the linear one nearest to it (Lanczos, "Applied
 * Analysis", 1956), within 7e-9, an eighth of an ULP of float32. Written `square · (t (t + b) + a)` for `v = (t − ½) · step`.
 */
const step = 1 / stepsPerUnit;
const square = step ** 2 / 2;
const linear = (step * (1 + (step / 2) ** 2 / 8)) / square;
const a = 1 / square - linear / 2 + 0.25;
const b = linear - 1;

/** `square · 2^(n/64)`, of which the last is of n = 0. */
const table = Float64Array.from({ length: tableLength }, (_, k) => square * 2 ** ((k + 1 - tableLength) / 64));

/** exp of x ≤ 0 as a float32 has it, and of NaN. */
export function expOfGap(x: number): number {
  if (x < least) return 0;
  const shifted = x * stepsPerUnit + offset;
  const n = shifted | 0;
  const t = shifted - n;
  return (table[n & 0x3fff] as number) * (t * (t + b) + a);
}

/** `out[k] = exp((x[k] − shift) · factor)` for `length` elements from `at` on, and their sum before they are rounded. No x is above the shift. */
export function expOfGaps(
  out: Float32Array,
  x: ArrayLike<number>,
  at: number,
  length: number,
  shift: number,
  factor: number,
): number {
  const steps = factor * stepsPerUnit;
  const leastSteps = least * stepsPerUnit;
  const end = at + length;
  let sum0 = 0;
  let sum1 = 0;
  let k = at;
  // Four at a time and without a call: the loop itself costs half as much as an exp.
  for (; k < end - 3; k += 4) {
    const x0 = ((x[k] as number) - shift) * steps;
    const x1 = ((x[k + 1] as number) - shift) * steps;
    const x2 = ((x[k + 2] as number) - shift) * steps;
    const x3 = ((x[k + 3] as number) - shift) * steps;
    // None of them is positive, so each is at least as large as their sum. With a NaN the sum is NaN.
    if (!(x0 + x1 + (x2 + x3) >= leastSteps)) {
      for (let j = k; j < k + 4; j++) {
        const e = expOfGap(((x[j] as number) - shift) * factor);
        out[j] = e;
        sum0 += e;
      }
      continue;
    }
    const s0 = x0 + offset;
    const s1 = x1 + offset;
    const s2 = x2 + offset;
    const s3 = x3 + offset;
    const n0 = s0 | 0;
    const n1 = s1 | 0;
    const n2 = s2 | 0;
    const n3 = s3 | 0;
    const t0 = s0 - n0;
    const t1 = s1 - n1;
    const t2 = s2 - n2;
    const t3 = s3 - n3;
    const e0 = (table[n0 & 0x3fff] as number) * (t0 * (t0 + b) + a);
    const e1 = (table[n1 & 0x3fff] as number) * (t1 * (t1 + b) + a);
    const e2 = (table[n2 & 0x3fff] as number) * (t2 * (t2 + b) + a);
    const e3 = (table[n3 & 0x3fff] as number) * (t3 * (t3 + b) + a);
    out[k] = e0;
    out[k + 1] = e1;
    out[k + 2] = e2;
    out[k + 3] = e3;
    sum0 += e0 + e1;
    sum1 += e2 + e3;
  }
  for (; k < end; k++) {
    const e = expOfGap(((x[k] as number) - shift) * factor);
    out[k] = e;
    sum0 += e;
  }
  return sum0 + sum1;
}
