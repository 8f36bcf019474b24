/**
 * A number of about 106 bits, stored as the unevaluated sum of two float64. Float64 results are compared with it.
 *
 * Error-free transformations after Dekker, "A floating-point technique for extending the available precision"
 * (Numer. Math. 18, 1971); algorithms as in Hida, Li and Bailey, "Library for double-double and quad-double arithmetic"
 * (2007), sections 2 and 3. The low part is lost where it would be below 2⁻¹⁰⁷⁴, so numbers under about 1e-290
 * have only the precision of float64.
 */
export interface DoubleDouble {
  readonly hi: number;
  /** At most half an ULP of `hi`; 0 where `hi` is not finite. */
  readonly lo: number;
}

export const zero: DoubleDouble = { hi: 0, lo: 0 };
export const one: DoubleDouble = { hi: 1, lo: 0 };
export const nan: DoubleDouble = { hi: Number.NaN, lo: 0 };

/** A float64 unchanged; NaN for an element that an operand does not have, so that the error shows in the result. */
export function exactly(x = Number.NaN): DoubleDouble {
  return { hi: x, lo: 0 };
}

/** The float64 nearest to `a`. */
export function nearest(a: DoubleDouble): number {
  return a.hi;
}

/** `a + b`. */
export function add(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const high = a.hi + b.hi;
  if (!Number.isFinite(high)) return exactly(high);
  const low = a.lo + b.lo;
  const first = sumError(a.hi, b.hi, high) + low;
  const sum = high + first;
  return normalised(sum, first - (sum - high) + sumError(a.lo, b.lo, low));
}

/** `a − b`. */
export function sub(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  return add(a, { hi: -b.hi, lo: -b.lo });
}

/** `a − b` of two float64, exactly. */
export function difference(a = Number.NaN, b = Number.NaN): DoubleDouble {
  const sum = a - b;
  return { hi: sum, lo: finiteOrZero(sumError(a, -b, sum)) };
}

/** `a · b`. */
export function mul(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const high = a.hi * b.hi;
  if (!Number.isFinite(high)) return exactly(high);
  if (isTiny(high)) return scaled(mul(scaled(a, up), b), down);
  if (isHuge(a.hi) || isHuge(high)) return scaled(mul(scaled(a, down), b), up);
  if (isHuge(b.hi)) return mul(b, a);
  return normalised(high, productError(a.hi, b.hi, high) + (a.hi * b.lo + a.lo * b.hi));
}

/** `a · b` of two float64: exact, unless it is below the smallest number. */
export function product(a = Number.NaN, b = Number.NaN): DoubleDouble {
  return mul(exactly(a), exactly(b));
}

/** `a / b`: long division with one correction step, within 15 units of 2⁻¹⁰⁶ (Joldes, Muller and Popescu, ACM TOMS 44, 2017, algorithm 17). */
export function div(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const quotient = a.hi / b.hi;
  if (!Number.isFinite(quotient) || quotient === 0) return exactly(quotient);
  const size = Math.abs(b.hi);
  // At the ends of the range, error terms of b, or of the product with it, would underflow or overflow.
  if (size < 2 ** -700) return div(scaled(a, up), scaled(b, up));
  if (size > 2 ** 700) return div(scaled(a, down), scaled(b, down));
  if (isTiny(quotient)) return scaled(div(scaled(a, up), b), down);
  if (isHuge(a.hi) || isHuge(quotient)) return scaled(div(scaled(a, down), b), up);
  const product = quotient * b.hi;
  const remainder = a.hi - product + (a.lo - (productError(quotient, b.hi, product) + quotient * b.lo));
  return normalised(quotient, remainder / b.hi);
}

/** So small that error terms underflow: such a result is computed scaled up by a power of two, and rounded once. */
function isTiny(result: number): boolean {
  return result !== 0 && Math.abs(result) < 2 ** -900;
}

/** So large that splitting it, or a product that is rounded up, overflows: it is computed scaled down. */
function isHuge(value: number): boolean {
  return Math.abs(value) > 2 ** 900;
}

const up = 2 ** 200;
const down = 2 ** -200;

/** `a · powerOfTwo`, exact unless it overflows or underflows. */
export function scaled({ hi, lo }: DoubleDouble, powerOfTwo: number): DoubleDouble {
  const high = hi * powerOfTwo;
  // The low part may overflow as well, with the other sign.
  return Number.isFinite(high) ? normalised(high, lo * powerOfTwo) : exactly(high);
}

/**
 * `eᵃ`. The argument is reduced to k ln 2 + i/64 + r with |r| ≤ 1/128; e^(i/64) comes from a table, eʳ from its series.
 *
 * A run of the suite spends most of its time here, so `sub`, `mul`, `add` and `expm1Series` are inlined without their intermediate objects. Each pair of
 * parts is normalised as they do it: without that, the last bit of the result is wrong for some arguments.
 */
export function exp(a: DoubleDouble): DoubleDouble {
  if (!(a.hi > -760)) return exactly(Number.isNaN(a.hi) ? a.hi : 0);
  if (a.hi > 710) return exactly(Number.POSITIVE_INFINITY);
  const k = Math.round(a.hi / Math.LN2);
  // k ln 2
  const multiple = Math.LN2 * k;
  const multipleError = productError(Math.LN2, k, multiple) + ln2Low * k;
  const steps = multiple + multipleError;
  const stepsLow = multipleError - (steps - multiple);
  // a − k ln 2
  const gap = a.hi - steps;
  const gapLow = a.lo - stepsLow;
  const gapError = sumError(a.hi, -steps, gap) + gapLow;
  const gapSum = gap + gapError;
  const gapRest = gapError - (gapSum - gap) + sumError(a.lo, -stepsLow, gapLow);
  const reduced = gapSum + gapRest;
  const reducedLow = gapRest - (reduced - gapSum);
  // r = a − k ln 2 − i/64
  const i = Math.round(reduced * 64);
  const near = reduced - i / 64;
  const nearError = sumError(reduced, -i / 64, near) + reducedLow;
  const nearSum = near + nearError;
  const nearRest = nearError - (nearSum - near);
  const r = nearSum + nearRest;
  const rLow = nearRest - (r - nearSum);
  // (series, seriesLow) = (eʳ − 1 − r) / r
  let series = lateTerms(r);
  let seriesLow = 0;
  for (let n = 0; n < earlyFactorials.length; n++) {
    const coefficient = earlyHigh[n] ?? Number.NaN;
    const sum = coefficient + series;
    const rest = sumError(coefficient, series, sum) + ((earlyLow[n] ?? Number.NaN) + seriesLow);
    const product = sum * r;
    const error = productError(sum, r, product) + (sum * rLow + rest * r);
    series = product + error;
    seriesLow = error - (series - product);
  }
  // eʳ − 1 − r
  const square = r * series;
  const squareError = productError(r, series, square) + (r * seriesLow + rLow * series);
  const beyond = square + squareError;
  const beyondLow = squareError - (beyond - square);
  // eʳ − 1
  const change = r + beyond;
  const changeLow = rLow + beyondLow;
  const changeError = sumError(r, beyond, change) + changeLow;
  const changeSum = change + changeError;
  const changeRest = changeError - (changeSum - change) + sumError(rLow, beyondLow, changeLow);
  const minusOne = changeSum + changeRest;
  const minusOneLow = changeRest - (minusOne - changeSum);
  // eʳ
  const factor = 1 + minusOne;
  const factorError = sumError(1, minusOne, factor) + minusOneLow;
  const power = factor + factorError;
  const powerLow = factorError - (power - factor);
  // e^(i/64) eʳ
  const entry = tableHigh[i + tableRadius] ?? Number.NaN;
  const result = entry * power;
  const error = productError(entry, power, result) + (entry * powerLow + (tableLow[i + tableRadius] ?? 0) * power);
  return timesPowerOfTwo(normalised(result, error), k);
}

/** `ln a`: one Newton step on `eʸ = a` from float64's logarithm, which squares the relative error. */
export function log(a: DoubleDouble): DoubleDouble {
  if (!(a.hi > 0) || a.hi === Number.POSITIVE_INFINITY) return exactly(Math.log(a.hi));
  const estimate = Math.log(a.hi);
  return add(exactly(estimate), log1pSeries(sub(mul(a, exp(exactly(-estimate))), one)));
}

/** `ln (1 + a)` for a ≥ 0, accurate for small `a`. */
export function log1p(a: DoubleDouble): DoubleDouble {
  return a.hi < 1e-5 ? log1pSeries(a) : log(add(one, a));
}

/** `ln (1 + a) = a − a²/2 + a³/3 − …` for |a| ≤ 1e-5: the seventh term is below 1e-35 of the first. */
function log1pSeries(a: DoubleDouble): DoubleDouble {
  let sum = zero;
  for (const reciprocal of sevenReciprocals) sum = sub(reciprocal, mul(a, sum));
  return mul(a, sum);
}

/** `eᵃ − 1`, accurate for small `a`. */
export function expm1(a: DoubleDouble): DoubleDouble {
  return Math.abs(a.hi) < 1 / 128 ? expm1Series(a) : sub(exp(a), one);
}

/** `r + r²/2! + …` for |r| ≤ 1/128. */
function expm1Series(r: DoubleDouble): DoubleDouble {
  // (hi, lo) is the sum so far. `add` and `mul` are inlined.
  let hi = lateTerms(r.hi);
  let lo = 0;
  for (const coefficient of earlyFactorials) {
    const sum = coefficient.hi + hi;
    const rest = sumError(coefficient.hi, hi, sum) + (coefficient.lo + lo);
    const product = sum * r.hi;
    const error = productError(sum, r.hi, product) + (sum * r.lo + rest * r.hi);
    hi = product + error;
    lo = error - (hi - product);
  }
  return add(r, mul(r, { hi, lo }));
}

/** `r/6! + r²/7! + …`: float64 is enough from r⁶/6! on, and r¹⁴/14! is below 1e-40. */
function lateTerms(r: number): number {
  let tail = 1 / 87178291200;
  for (let n = 0; n < lateFactorials.length; n++) tail = (lateFactorials[n] ?? Number.NaN) + tail * r;
  return tail * r;
}

/** 1/n, from n = 1. */
const reciprocals: readonly DoubleDouble[] = Array.from({ length: 13 }, (_, k) => div(one, exactly(k + 1)));

/** 1/n!, from n = 1. */
const inverseFactorials: readonly DoubleDouble[] = reciprocals.map((_, k) =>
  reciprocals.slice(0, k + 1).reduce(mul, one),
);

/** 1/7 to 1: the coefficients of the series, the smallest first. */
const sevenReciprocals = reciprocals.slice(0, 7).reverse();

/** 1/13! to 1/6!. */
const lateFactorials = Float64Array.from(inverseFactorials.slice(5, 13).reverse(), nearest);

/** 1/5! to 1/2!. */
const earlyFactorials = inverseFactorials.slice(1, 5).reverse();
const [earlyHigh, earlyLow] = partsOf(earlyFactorials);

/** ln 2 − Math.LN2. */
const ln2Low = 2.3190468138462996e-17;

/** ln 2 / 2 is within 23 sixty-fourths. */
const tableRadius = 23;

/** exp of the sixty-fourths from −tableRadius to tableRadius. */
const expOfSixtyFourths: readonly DoubleDouble[] = Array.from({ length: 2 * tableRadius + 1 }, (_, index) => {
  const x = exactly((index - tableRadius) / 64);
  let sum = one;
  for (let n = 28; n >= 1; n--) sum = add(one, div(mul(x, sum), exactly(n)));
  return sum;
});
const [tableHigh, tableLow] = partsOf(expOfSixtyFourths);

/** The high parts and the low parts: reading a number from a typed array allocates nothing. */
function partsOf(values: readonly DoubleDouble[]): readonly [high: Float64Array, low: Float64Array] {
  return [Float64Array.from(values, ({ hi }) => hi), Float64Array.from(values, ({ lo }) => lo)];
}

function timesPowerOfTwo(a: DoubleDouble, k: number): DoubleDouble {
  const first = powerOfTwo(Math.trunc(k / 2));
  const second = powerOfTwo(k - Math.trunc(k / 2));
  return normalised(a.hi * first * second, a.lo * first * second);
}

/** Half of the number of exponents in the range of `exp`, −1097 to 1025. */
const largestPower = 550;
const powersOfTwo = Float64Array.from({ length: 2 * largestPower + 1 }, (_, i) => 2 ** (i - largestPower));

function powerOfTwo(k: number): number {
  return powersOfTwo[k + largestPower] ?? Number.NaN;
}

/** The rounding error of `sum = a + b` (Knuth). */
function sumError(a: number, b: number, sum: number): number {
  const bRounded = sum - a;
  return a - (sum - bRounded) + (b - bRounded);
}

/** The rounding error of `product = a · b` (Dekker, Veltkamp); 0 if an intermediate value overflows. */
function productError(a: number, b: number, product: number): number {
  const a1 = upperHalf(a);
  const b1 = upperHalf(b);
  const a2 = a - a1;
  const b2 = b - b1;
  return finiteOrZero(a1 * b1 - product + a1 * b2 + a2 * b1 + a2 * b2);
}

/** The upper 26 bits of a float64. */
function upperHalf(a: number): number {
  const shifted = 134217729 * a;
  return shifted - (shifted - a);
}

/** `hi + lo` with |lo| ≤ |hi|, as a double-double. */
function normalised(hi: number, lo: number): DoubleDouble {
  const sum = hi + lo;
  return { hi: sum, lo: finiteOrZero(lo - (sum - hi)) };
}

/** Infinities and NaN have no low part; neither have results whose error term overflowed. */
function finiteOrZero(lo: number): number {
  return Number.isFinite(lo) ? lo : 0;
}
