/**
 * A number of about 106 bits, held as the unevaluated sum of two float64: what float64 results are checked against.
 *
 * Error-free transformations after Dekker, "A floating-point technique for extending the available precision"
 * (Numer. Math. 18, 1971); algorithms as in Hida, Li and Bailey, "Library for double-double and quad-double arithmetic"
 * (2007), sections 2 and 3. The low part is lost where it would fall below 2⁻¹⁰⁷⁴, so magnitudes under about 1e-290
 * carry no more than float64's own precision.
 */
export interface DoubleDouble {
  readonly hi: number;
  /** At most half an ULP of `hi`; 0 where `hi` is not finite. */
  readonly lo: number;
}

export const zero: DoubleDouble = { hi: 0, lo: 0 };
export const one: DoubleDouble = { hi: 1, lo: 0 };

/** A float64 as it is. */
export function exactly(x: number): DoubleDouble {
  return { hi: x, lo: 0 };
}

/** The float64 nearest to `a`. */
export function nearest(a: DoubleDouble): number {
  return a.hi;
}

/** `a + b`. */
export function add(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const high = twoSum(a.hi, b.hi);
  const low = twoSum(a.lo, b.lo);
  const first = quickTwoSum(high.hi, high.lo + low.hi);
  return quickTwoSum(first.hi, first.lo + low.lo);
}

/** `a − b`. */
export function sub(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  return add(a, { hi: -b.hi, lo: -b.lo });
}

/** `a − b` of two float64, exactly. */
export function difference(a: number, b: number): DoubleDouble {
  return twoSum(a, -b);
}

/** `a · b` of two float64: exactly, unless it underflows. */
export function product(a: number, b: number): DoubleDouble {
  return twoProduct(a, b);
}

/** `a · b`. */
export function mul(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const product = twoProduct(a.hi, b.hi);
  if (!Number.isFinite(product.hi)) return product;
  return quickTwoSum(product.hi, product.lo + (a.hi * b.lo + a.lo * b.hi));
}

/** `a / b`: long division with two correction steps. */
export function div(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const q1 = a.hi / b.hi;
  if (!Number.isFinite(q1) || q1 === 0) return exactly(q1);
  const r1 = sub(a, mul(b, exactly(q1)));
  const q2 = r1.hi / b.hi;
  const r2 = sub(r1, mul(b, exactly(q2)));
  const q3 = r2.hi / b.hi;
  return add(quickTwoSum(q1, q2), exactly(q3));
}

/** `eᵃ`. The argument is reduced to k ln 2 + i/64 + r with |r| ≤ 1/128; e^(i/64) comes from a table, eʳ from its series. */
export function exp(a: DoubleDouble): DoubleDouble {
  if (!(a.hi > -760)) return exactly(Number.isNaN(a.hi) ? a.hi : 0);
  if (a.hi > 710) return exactly(Number.POSITIVE_INFINITY);
  const k = Math.round(a.hi / Math.LN2);
  const reduced = sub(a, mul(ln2, exactly(k)));
  const i = Math.round(reduced.hi * 64);
  const r = sub(reduced, exactly(i / 64));
  return timesPowerOfTwo(mul(expOfSixtyFourths()[i + tableRadius] as DoubleDouble, expSeries(r)), k);
}

/** `ln a`: one Newton step on `eʸ = a` from float64's own logarithm, which squares its error. */
export function log(a: DoubleDouble): DoubleDouble {
  if (!(a.hi > 0) || a.hi === Number.POSITIVE_INFINITY) return exactly(Math.log(a.hi));
  const estimate = Math.log(a.hi);
  return add(exactly(estimate), log1pSeries(sub(mul(a, exp(exactly(-estimate))), one)));
}

/** `ln (1 + a)` for a ≥ 0, without losing a small `a`. */
export function log1p(a: DoubleDouble): DoubleDouble {
  return a.hi < 1e-5 ? log1pSeries(a) : log(add(one, a));
}

/** `ln (1 + a) = a − a²/2 + a³/3 − …` for |a| ≤ 1e-5: the seventh term is below 1e-35 of the first. */
function log1pSeries(a: DoubleDouble): DoubleDouble {
  let sum = zero;
  for (let n = 7; n >= 1; n--) sum = sub(reciprocals[n], mul(a, sum));
  return mul(a, sum);
}

/** `1 + r + r²/2! + …` for |r| ≤ 1/128: from r⁶/6! on float64 is enough, r¹⁴/14! is below 1e-40. */
function expSeries(r: DoubleDouble): DoubleDouble {
  let tail = 1 / 87178291200;
  for (let n = 13; n >= 6; n--) tail = inverseFactorials[n].hi + tail * r.hi;
  let sum = exactly(tail * r.hi);
  for (let n = 5; n >= 2; n--) sum = mul(r, add(inverseFactorials[n], sum));
  return add(one, add(r, mul(r, sum)));
}

/** 1/n; the entry for 0 is a placeholder. */
const reciprocals: readonly DoubleDouble[] = Array.from({ length: 14 }, (_, n) => div(one, exactly(Math.max(1, n))));

/** 1/n!. */
const inverseFactorials: readonly DoubleDouble[] = reciprocals.map((_, n) =>
  reciprocals.slice(1, n + 1).reduce(mul, one),
);

const ln2: DoubleDouble = { hi: Math.LN2, lo: 2.3190468138462996e-17 };

/** ln 2 / 2 is within 23 sixty-fourths. */
const tableRadius = 23;

let table: readonly DoubleDouble[] | null = null;

function expOfSixtyFourths(): readonly DoubleDouble[] {
  if (table) return table;
  const length = 2 * tableRadius + 1;
  table = Array.from({ length }, (_, index) => {
    const x = exactly((index - tableRadius) / 64);
    let sum = one;
    for (let n = 28; n >= 1; n--) sum = add(one, div(mul(x, sum), exactly(n)));
    return sum;
  });
  return table;
}

function timesPowerOfTwo(a: DoubleDouble, k: number): DoubleDouble {
  const first = powerOfTwo(Math.trunc(k / 2));
  const second = powerOfTwo(k - Math.trunc(k / 2));
  return normalised(a.hi * first * second, a.lo * first * second);
}

/** Half of the exponents that `exp` meets, −1097 to 1025. */
const largestPower = 550;
const powersOfTwo = Float64Array.from({ length: 2 * largestPower + 1 }, (_, i) => 2 ** (i - largestPower));

function powerOfTwo(k: number): number {
  return powersOfTwo[k + largestPower];
}

/** `a + b` and its rounding error, for any a and b (Knuth). */
function twoSum(a: number, b: number): DoubleDouble {
  const sum = a + b;
  const bRounded = sum - a;
  return normalised(sum, a - (sum - bRounded) + (b - bRounded));
}

/** `a + b` and its rounding error, for |a| ≥ |b|. */
function quickTwoSum(a: number, b: number): DoubleDouble {
  const sum = a + b;
  return normalised(sum, b - (sum - a));
}

/** `a · b` and its rounding error (Dekker, Veltkamp). */
function twoProduct(a: number, b: number): DoubleDouble {
  const product = a * b;
  const a1 = upperHalf(a);
  const b1 = upperHalf(b);
  const a2 = a - a1;
  const b2 = b - b1;
  return normalised(product, a1 * b1 - product + a1 * b2 + a2 * b1 + a2 * b2);
}

/** The upper 26 bits of a float64. */
function upperHalf(a: number): number {
  const shifted = 134217729 * a;
  return shifted - (shifted - a);
}

/** Infinities and NaN have no low part, nor have results whose error term overflowed on the way. */
function normalised(hi: number, lo: number): DoubleDouble {
  return { hi, lo: Number.isFinite(hi) && Number.isFinite(lo) ? lo : 0 };
}
