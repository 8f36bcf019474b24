/**
 * The exponential functions of the hot loops: `exp(x) = 2^(n/64) · exp(r)` with n whole and `|r| ≤ ln 2 / 128`, the power from
 * tables and exp(r) a short polynomial (Tang, "Table-driven implementation of the exponential function in IEEE floating-point
 * arithmetic", ACM TOMS 15, 1989). A table of powers costs one load, where assembling the bits of a float64 through
 * typed-array views costs a store and a load that waits for it.
 */

/** Steps of ln 2 / 64 that x is long. */
export const stepsPerUnit = 64 / Math.LN2;

/** Largest |x| for which `expSingle` is defined: far beyond what exp gives a float32 for. */
export const singleLimit = 177;

const tableLength = 2 ** 15;
/** Steps are counted from the table's middle, and rounded by truncation. */
const stepOffset = tableLength / 2 + 0.5;
/** The least steps of ln 2 / 64 that `expOfSteps` is defined for: e^−177. */
export const leastSteps = -tableLength / 2;

/** 2^(j/512) as the unevaluated sum of two float64, for j from 0 to 511. */
const rootsHigh = new Float64Array(512);
const rootsLow = new Float64Array(512);
fillRoots();

const exponentBias = 1088;
/** 2^(k − exponentBias); the smallest underflow to 0. */
const powers = Float64Array.from({ length: exponentBias + 1024 }, (_, k) => 2 ** (k - exponentBias));

/** Chebyshev interpolation of 2^((t − ½)/64) on [0, 1], as `c2 (t² + b t + a)`: relative error 7e-9, an eighth of a float32 ULP. */
const { a, b, leading } = interpolateQuadratic((t) => 2 ** ((t - 0.5) / 64));

/**
 * c2 · 2^((k − tableLength/2)/64): one load and no multiplication by a power of 2, where two tables took two and one. Logits of
 * ±8 touch 12 KiB of its 256.
 */
const stepTable = Float64Array.from(
  { length: tableLength },
  (_, k) => leading * rootsHigh[(k & 63) << 3] * powers[(k >> 6) - tableLength / 128 + exponentBias],
);

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

/** Largest |x| for which exp(x) and what rounds off it are normal float64, with room for sums. */
export const doubleLimit = 680;

/** Added and taken off again, it rounds to a whole number. */
const rounding = 1.5 * 2 ** 52;
const fineStepsPerUnit = 512 / Math.LN2;
// ln 2 / 512 in two parts (those of fdlibm's e_exp.c): the first has 33 bits, so that its product with n is exact.
const stepHigh = 0.6931471803691238 / 512;
const stepLow = 1.9082149292705877e-10 / 512;
// Taylor's coefficients, their term of degree 5 put into degree 3 such that the largest error over |r| ≤ ln 2 / 1024 is least.
const c3 = 1 / 6 + 0.869 * (Math.LN2 / 1024) ** 2 * (1 / 120);
const c4 = 1 / 24;

/**
 * Stores exp(x + low) as `expDouble` gives it at `exp[k]` and returns what rounding took off it: the two together are within
 * 0.03 ULP. For x of at least −680, so that the returned part has the bits that it needs.
 */
export function expPair(exp: Float64Array, k: number, x: number, low: number): number {
  const steps = x * fineStepsPerUnit + rounding - rounding;
  const n = steps | 0;
  const root = rootsHigh[n & 511];
  const tail = rootsLow[n & 511] + root * expm1OfRest(steps, x, low);
  const power = powers[(n >> 9) + exponentBias];
  const rounded = root + tail;
  exp[k] = rounded * power;
  return (tail - (rounded - root)) * power;
}

/**
 * exp(x + low) within 0.52 ULP for `|x| ≤ 700` and low no more than a few ULP of x (the rounding error of a subtraction
 * that gave x); below −700 the result is as good until it is subnormal, then within one spacing of subnormals; NaN where x is NaN.
 */
export function expDouble(x: number, low: number): number {
  const steps = x * fineStepsPerUnit + rounding - rounding;
  const n = steps | 0;
  const root = rootsHigh[n & 511];
  return (root + (rootsLow[n & 511] + root * expm1OfRest(steps, x, low))) * powers[(n >> 9) + exponentBias];
}

/** exp(r) − 1, where r is what the steps leave of x + low. */
function expm1OfRest(steps: number, x: number, low: number): number {
  const r = x - steps * stepHigh - (steps * stepLow - low);
  return r + r * r * (0.5 + r * (c3 + r * c4));
}

/** exp for every x, to float32's accuracy. */
export function expOfFloat32(x: number): number {
  return x < -singleLimit ? 0 : x > singleLimit ? Number.POSITIVE_INFINITY : expSingle(x);
}

/** exp for every x, to float64's accuracy. */
export function expOfFloat64(x: number): number {
  return x < -746 ? 0 : x > 709.782712893384 ? Number.POSITIVE_INFINITY : expDouble(x, 0);
}

/** The quadratic through f at the Chebyshev nodes of [0, 1]. */
function interpolateQuadratic(f: (t: number) => number): { a: number; b: number; leading: number } {
  const [t0, t1, t2] = [1, 3, 5].map((k) => 0.5 + 0.5 * Math.cos((Math.PI * k) / 6)) as [number, number, number];
  const slope01 = (f(t1) - f(t0)) / (t1 - t0);
  const slope12 = (f(t2) - f(t1)) / (t2 - t1);
  const leading = (slope12 - slope01) / (t2 - t0);
  const linear = slope01 - leading * (t0 + t1);
  const constant = f(t0) - slope01 * t0 + leading * t0 * t1;
  return { a: constant / leading, b: linear / leading, leading };
}

/** Fills the tables of roots from integers scaled by 2^128: nine square roots of 2, then products. */
function fillRoots(): void {
  const scale = 128n;
  let root = 2n << scale;
  for (let halvings = 0; halvings < 9; halvings++) root = integerSquareRoot(root << scale);
  let power = 1n << scale;
  for (let j = 0; j < 512; j++) {
    const high = Number(power >> 76n) * 2 ** -52;
    rootsHigh[j] = high;
    rootsLow[j] = Number(power - (BigInt(high * 2 ** 52) << 76n)) * 2 ** -128;
    power = (power * root) >> scale;
  }
}

/** ⌊√n⌋ by Newton's method from above. */
function integerSquareRoot(n: bigint): bigint {
  let root = 1n << BigInt((n.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
