/**
 * The exponential functions of the hot loops: `exp(x) = 2^e · 2^(j/64) · exp(r)` with `|r| ≤ ln 2 / 128`, both powers from
 * tables and exp(r) a short polynomial (Tang, "Table-driven implementation of the exponential function in IEEE floating-point
 * arithmetic", ACM TOMS 15, 1989). A table of powers of two costs one load, where assembling the bits of a float64 through
 * typed-array views costs a store and a load that waits for it.
 */

/** Largest |x| for which `expSingle` and `expDouble` are defined: no power of two that they multiply by is out of range. */
export const expLimit = 700;

const exponentBias = 1088;
/** Makes the rounded multiple of ln 2 / 64 non-negative, so that truncation rounds it down. */
const bias = exponentBias * 64;
const perStep = 64 / Math.LN2;

/** 2^(k − exponentBias); the smallest underflow to 0. */
const powers = Float64Array.from({ length: exponentBias + 1024 }, (_, k) => 2 ** (k - exponentBias));

/** 2^(j/64) as the unevaluated sum of two float64. */
const rootsHigh = new Float64Array(64);
const rootsLow = new Float64Array(64);

/** `rootsHigh` times the leading coefficient of the quadratic, which saves a multiplication per element. */
const rootsScaled = new Float64Array(64);

/** Chebyshev interpolation of 2^((t − ½)/64) on [0, 1], as `c2 (t² + b t + a)`: relative error 7e-9, an eighth of a float32 ULP. */
const quadratic = interpolateQuadratic((t) => 2 ** ((t - 0.5) / 64));
const { a, b } = quadratic;

fillRoots();

/** exp(x) to 7e-9 relative, enough for float32 results, for `|x| ≤ expLimit`; NaN where x is NaN. */
export function expSingle(x: number): number {
  const steps = x * perStep + (bias + 0.5);
  const n = steps | 0;
  const t = steps - n;
  return rootsScaled[n & 63] * powers[n >> 6] * (t * (t + b) + a);
}

// ln 2 / 64 in two parts (those of fdlibm's e_exp.c): the first has 33 bits, so that its product with n is exact.
const stepHigh = 0.6931471803691238 / 64;
const stepLow = 1.9082149292705877e-10 / 64;
// Taylor's coefficients, their term of degree 6 economised into degrees 4 and 2 over |r| ≤ ln 2 / 128.
const h2 = (Math.LN2 / 128) ** 2;
const c2 = 1 / 2 - (9 / 16) * (h2 * h2) * (1 / 720);
const c3 = 1 / 6;
const c4 = 1 / 24 + (3 / 2) * h2 * (1 / 720);
const c5 = 1 / 120;

/**
 * Stores exp(x + low) as `expDouble` gives it at `exp[k]` and returns what rounding took off it: the two together are within
 * 0.03 ULP. For x of at least −680, that the returned part is not subnormal.
 */
export function expPair(exp: Float64Array, k: number, x: number, low: number): number {
  const n = ((x * perStep + (bias + 0.5)) | 0) - bias;
  const r = x - n * stepHigh - (n * stepLow - low);
  const p = r + r * r * (c2 + r * (c3 + r * (c4 + r * c5)));
  const root = rootsHigh[n & 63];
  const power = powers[(n >> 6) + exponentBias];
  const tail = rootsLow[n & 63] + root * p;
  const rounded = root + tail;
  exp[k] = rounded * power;
  return (tail - (rounded - root)) * power;
}

/**
 * exp(x + low) within 0.52 ULP for `|x| ≤ expLimit` and low no more than a few ULP of x (the rounding error of a subtraction
 * that gave x); below −expLimit the result is as good until it is subnormal, then within one spacing of subnormals; NaN where x is NaN.
 */
export function expDouble(x: number, low: number): number {
  const n = ((x * perStep + (bias + 0.5)) | 0) - bias;
  const r = x - n * stepHigh - (n * stepLow - low);
  const p = r + r * r * (c2 + r * (c3 + r * (c4 + r * c5)));
  const root = rootsHigh[n & 63];
  return (root + (rootsLow[n & 63] + root * p)) * powers[(n >> 6) + exponentBias];
}

/** exp for every x, to float32's accuracy. */
export function expOfFloat32(x: number): number {
  return x < -expLimit ? 0 : x > expLimit ? Number.POSITIVE_INFINITY : expSingle(x);
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

/** Fills the tables of 2^(j/64) from integers scaled by 2^128: six square roots of 2, then products. */
function fillRoots(): void {
  const scale = 128n;
  let root = 2n << scale;
  for (let halvings = 0; halvings < 6; halvings++) root = integerSquareRoot(root << scale);
  let power = 1n << scale;
  for (let j = 0; j < 64; j++) {
    const high = Number(power >> 76n) * 2 ** -52;
    rootsHigh[j] = high;
    rootsLow[j] = Number(power - (BigInt(high * 2 ** 52) << 76n)) * 2 ** -128;
    rootsScaled[j] = high * quadratic.leading;
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
