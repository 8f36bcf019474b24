/**
 * The exponential function of float64 logits: `exp(x) = 2^e · H(j) · exp(r)` with `|r| ≤ ln 2 / 1024`, H(j) from a table and exp(r) a short
 * polynomial. H(j) is 2^(j/512) rounded to 27 bits, and r takes in what that rounding did: a table at points where the function
 * is short (Gal, "Computing elementary functions: a new approach for achieving high accuracy and good performance", 1986).
 * So 2^e · H(j), called the head here, is exp(x) but for less than a thousandth, and its product with another number of 26 bits is exact.
 */

import { type Pair, productRest, sumError } from './pair.js';

/** Largest |x| for which exp(x), and the quotients of sums of it, are normal float64 with room for their splitting. */
export const doubleLimit = 600;

/** Bound on the sum of squares of four logits that are exponentiated unshifted. */
const mostSquares = doubleLimit ** 2;

/** 2^(1/512). */
export const root: Pair = { high: 1.0013547198921082, low: -1.8973728416792993e-17 };

/** H(j), and ln(H(j) / 2^(j/512)): what r is short of x − (512 e + j) ln 2 / 512. */
const heads = new Float64Array(512);
const headLogs = new Float64Array(512);
fillHeads();

const exponentBias = 1088;
/** 2^(k − exponentBias), the smallest 0 and the largest Infinity: as many as a mask of 12 bits tells apart. */
const powers = Float64Array.from({ length: 4096 }, (_, k) => 2 ** (k - exponentBias));

/** Adding and subtracting it rounds to a whole number. */
const rounding = 1.5 * 2 ** 52;
const stepsPerUnit = 512 / Math.LN2;
// ln 2 / 512 in two parts (those of fdlibm's e_exp.c): the first has 33 bits, so that its product with n is exact.
const stepHigh = 0.6931471803691238 / 512;
const stepLow = 1.9082149292705877e-10 / 512;
// Taylor's coefficients, their term of degree 5 put into degree 3 such that the largest error over |r| ≤ ln 2 / 1024 is least.
const c3 = 1 / 6 + 0.869 * (Math.LN2 / 1024) ** 2 * (1 / 120);
const c4 = 1 / 24;
/** What ln 2 is more than `Math.LN2`. */
const ln2Rest = 2.3190468138462996e-17;

/**
 * `exp[k] + rests[k] = exp(x[start + k])`, the first a head of 27 bits, or false where an x is too large for that. Four at a time and
 * written out, for the reasons that `expAndSum` of float32 has.
 */
export function expSplits(
  exp: Float64Array,
  rests: Float64Array,
  x: Float64Array,
  start: number,
  length: number,
): boolean {
  let k = 0;
  for (; k < length - 3; k += 4) {
    const x0 = x[start + k];
    const x1 = x[start + k + 1];
    const x2 = x[start + k + 2];
    const x3 = x[start + k + 3];
    if (!(x0 * x0 + x1 * x1 + (x2 * x2 + x3 * x3) < mostSquares)) return false;
    const s0 = x0 * stepsPerUnit + rounding - rounding;
    const s1 = x1 * stepsPerUnit + rounding - rounding;
    const s2 = x2 * stepsPerUnit + rounding - rounding;
    const s3 = x3 * stepsPerUnit + rounding - rounding;
    const n0 = s0 | 0;
    const n1 = s1 | 0;
    const n2 = s2 | 0;
    const n3 = s3 | 0;
    const r0 = x0 - s0 * stepHigh - (s0 * stepLow + headLogs[n0 & 511]);
    const r1 = x1 - s1 * stepHigh - (s1 * stepLow + headLogs[n1 & 511]);
    const r2 = x2 - s2 * stepHigh - (s2 * stepLow + headLogs[n2 & 511]);
    const r3 = x3 - s3 * stepHigh - (s3 * stepLow + headLogs[n3 & 511]);
    const e0 = heads[n0 & 511] * powers[((n0 >> 9) + exponentBias) & 4095];
    const e1 = heads[n1 & 511] * powers[((n1 >> 9) + exponentBias) & 4095];
    const e2 = heads[n2 & 511] * powers[((n2 >> 9) + exponentBias) & 4095];
    const e3 = heads[n3 & 511] * powers[((n3 >> 9) + exponentBias) & 4095];
    exp[k] = e0;
    exp[k + 1] = e1;
    exp[k + 2] = e2;
    exp[k + 3] = e3;
    rests[k] = e0 * (r0 + r0 * r0 * (0.5 + r0 * (c3 + r0 * c4)));
    rests[k + 1] = e1 * (r1 + r1 * r1 * (0.5 + r1 * (c3 + r1 * c4)));
    rests[k + 2] = e2 * (r2 + r2 * r2 * (0.5 + r2 * (c3 + r2 * c4)));
    rests[k + 3] = e3 * (r3 + r3 * r3 * (0.5 + r3 * (c3 + r3 * c4)));
  }
  for (; k < length; k++) {
    const x0 = x[start + k];
    if (!(x0 * x0 < mostSquares)) return false;
    rests[k] = expSplit(exp, k, x0, 0);
  }
  return true;
}

/** Stores the head of exp(x + low) at `exp[k]` and returns the rest: the two together are within 0.03 ULP, for x of at least −680. */
export function expSplit(exp: Float64Array, k: number, x: number, low: number): number {
  const steps = x * stepsPerUnit + rounding - rounding;
  const head = headOf(steps);
  exp[k] = head;
  return head * expm1OfRest(steps, x, low);
}

/** Stores exp(x + low) as `expOfFloat64` gives it at `exp[k]` and returns what rounding took off it: 0 near the ends of the range. */
export function expPair(exp: Float64Array, k: number, x: number, low: number): number {
  if (!(Math.abs(x) < 700)) {
    exp[k] = expOfFloat64(x);
    return 0;
  }
  const rest = expSplit(exp, k, x, low);
  const head = exp[k];
  const rounded = head + rest;
  exp[k] = rounded;
  return rest - (rounded - head);
}

/**
 * exp(x + low) within 0.52 ULP for `|x| ≤ 700` and low no more than a few ULP of x (the rounding error of a subtraction
 * that gave x); below −700 the result is as good until it is subnormal, then within one spacing of subnormals; NaN where x is NaN.
 */
function expDouble(x: number, low: number): number {
  const steps = x * stepsPerUnit + rounding - rounding;
  const n = steps | 0;
  const root = heads[n & 511];
  // The power comes last, so that a subnormal is rounded once.
  return (root + root * expm1OfRest(steps, x, low)) * powers[((n >> 9) + exponentBias) & 4095];
}

/** exp for every x, to float64's accuracy. */
export function expOfFloat64(x: number): number {
  if (x < -746) return 0;
  if (x > 709.782712893384) return Number.POSITIVE_INFINITY;
  if (!(x > 709)) return expDouble(x, 0);
  // Here the power alone may be 2^1024.
  const less = x - Math.LN2;
  return 2 * expDouble(less, sumError(x, -Math.LN2, less) - ln2Rest);
}

/**
 * ln(1 + x + low) of an x ≥ 0 as a pair, within 2⁻⁶ ULP where it is above 1/512, and nowhere less exact than a rounded logarithm: the
 * logarithm of the nearest point of the table, which is known to more than 64 bits, and a short series for their ratio.
 */
export function log1pPair(x: number, low: number): Pair {
  if (!(x < largestSum)) return { high: Math.log1p(x), low: 0 };
  const steps = Math.round(Math.log1p(x) * stepsPerUnit);
  const sum = 1 + x;
  const point = headOf(steps);
  const ratio = (sum - point + (sumError(1, x, sum) + low)) / point;
  const square = ratio * ratio;
  const series = square * (-1 / 2 + ratio * (1 / 3 + ratio * (-1 / 4 + ratio / 5)));
  const whole = steps * stepHigh;
  const high = whole + ratio;
  const rest = sumError(whole, ratio, high) + (series + (steps * stepLow + headLogs[steps & 511]));
  const rounded = high + rest;
  return { high: rounded, low: rest - (rounded - high) };
}

/** Sums of exponentials are smaller, of which none is above 1. */
const largestSum = 2 ** 53;

function headOf(steps: number): number {
  const n = steps | 0;
  return heads[n & 511] * powers[((n >> 9) + exponentBias) & 4095];
}

/** exp(r) − 1, where r is what the head leaves of x + low. */
function expm1OfRest(steps: number, x: number, low: number): number {
  const r = x - steps * stepHigh - (steps * stepLow + headLogs[steps & 511] - low);
  return r + r * r * (0.5 + r * (c3 + r * c4));
}

/** Fills the tables with powers of the root, which are pairs, too: a head is one rounded to 27 bits. */
function fillHeads(): void {
  let [high, low] = [1, 0];
  for (let j = 0; j < 512; j++) {
    const head = Math.round(high * 2 ** 26) * 2 ** -26;
    heads[j] = head;
    // ln(1 + d) is d − d²/2, d being less than 2^-26 and d³/3 nothing.
    const d = (head - high - low) / high;
    headLogs[j] = d - (d * d) / 2;
    const product = high * root.high;
    const rest = productRest(high, low, root.high, root.low, product);
    high = product + rest;
    low = rest - (high - product);
  }
}
