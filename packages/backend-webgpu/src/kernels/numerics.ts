/**
 * Functions shared by all kernels. WGSL lets a compiler assume that there is no NaN and no infinity, and allows exp an error of
 * 3 + 2|x| ULP. Therefore values are passed as their bits, NaN and infinities are detected by integer comparisons, and exp and log
 * are computed here from additions, multiplications and exponent fields alone.
 *
 * - `gap`: a − b exactly, as an unevaluated sum hi + lo (Knuth, TAOCP vol. 2, 4.2.2, theorem B), so that errors do not grow with |x|.
 * - `exp_of`: exp(hi + lo) = 2^n (1 + w), t = hi + lo − n ln 2 with ln 2 in two parts (Cody and Waite), w = exp(t) − 1 by Chebyshev
 *   interpolation of (exp(t) − 1 − t)/t² on |t| ≤ ln 2/2, truncation error 2^-26.5; within 1.1 ULP. The result is multiplied
 *   by 2^n in two factors, so that results below 2^-126 are rounded once.
 * - `inverse_of_sum`: 1 / (1 + r) for 0 ≤ r < 1e38 as a sum hi + lo, where lo makes up for the rounding of 1 + r, which compilers would fold away if 1
 *   was a constant, and for that of the quotient, by an exact product (Dekker): WGSL allows a quotient 2.5 ULP.
 * - `share_of`: exp(hi + lo) / (1 + r), the share of an entry in the sum of a row. 1 + w is not rounded before it is multiplied by the inverse.
 * - `complement_of`: 2z / (z + z coth z) with z = −y/2, and z coth z as a continued fraction, truncation error 2^-29; within 4 ULP, most of
 *   which WGSL allows a division.
 * - `log1p_of`, `log_of`: 2^e (1 + f), log(1 + f) by the polynomial of Cephes' logf (Moshier) on √½ ≤ 1 + f < √2; within 2 ULP.
 */
export const numerics = /* wgsl */ `
const NAN: u32 = 0x7fc00000u;
const INFINITY: u32 = 0x7f800000u;
const MINUS_INFINITY: u32 = 0xff800000u;
const LOWEST: f32 = -3.4028234e38;

fn is_nan(bits: u32) -> bool { return (bits & 0x7fffffffu) > INFINITY; }
fn is_finite(bits: u32) -> bool { return (bits & 0x7f800000u) != INFINITY; }
fn power_of_2(n: i32) -> f32 { return bitcast<f32>(u32(n + 127) << 23u); }

fn gap(a: f32, b: f32) -> vec2<f32> {
  let hi = a - b;
  let v = hi - a;
  return vec2<f32>(hi, (a - (hi - v)) - (b + v));
}

fn scaled(p: f32, n: i32) -> f32 {
  let half = n >> 1u;
  return (p * power_of_2(half)) * power_of_2(n - half);
}

fn upper(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u); }

fn inverse_of_sum(r: f32) -> vec2<f32> {
  let unit = select(1.0, 2.0, r > 1e38);
  let y = unit + r;
  let lost = select(unit - (y - r), r - (y - unit), r < unit);
  let inverse = 1.0 / y;
  let i = upper(inverse);
  let j = upper(y);
  let rest = ((1.0 - i * j) - i * (y - j)) - (inverse - i) * y;
  return vec2<f32>(inverse, inverse * (rest - inverse * lost));
}

fn share_of(z: vec2<f32>, inverse: vec2<f32>) -> f32 {
  let under = z.x < -170.0;
  let hi = select(z.x, -170.0, under);
  let lo = select(z.y, 0.0, under);
  let n = round(hi * 1.44269504);
  let a = hi - n * 0.693145751953125;
  let b = lo - n * 1.42860677e-6;
  let t = a + b;
  var q = t * 0.0013926250394433737 + 0.00836323294788599;
  q = q * t + 0.04166655242443085;
  q = q * t + 0.16666576266288757;
  q = q * t + 0.5;
  let w = a + (b + t * t * q);
  return scaled(inverse.x + (w * inverse.x + inverse.y), i32(n));
}

fn exp_of(z: vec2<f32>) -> f32 { return share_of(z, vec2<f32>(1.0, 0.0)); }

fn log_parts(f: f32, e: f32) -> f32 {
  let z = f * f;
  var q = f * 7.0376836292e-2 - 1.1514610310e-1;
  q = q * f + 1.1676998740e-1;
  q = q * f - 1.2420140846e-1;
  q = q * f + 1.4249322787e-1;
  q = q * f - 1.6668057665e-1;
  q = q * f + 2.0000714765e-1;
  q = q * f - 2.4999993993e-1;
  q = q * f + 3.3333331174e-1;
  let y = f * z * q - e * 2.12194440e-4 - 0.5 * z;
  return (f + y) + e * 0.693359375;
}

// The exponent e of y = 2^e (1 + f), 1 + f in [sqrt(1/2), sqrt(2)).
fn exponent_of(bits: u32) -> i32 { return (i32(bits - 0x3f3504f3u) >> 23u); }

// log(1 + r) for r >= 0. A small r is used as f directly, without rounding 1 + r; a compiler could optimize an error term of 1 + r away.
fn log1p_of(r: f32) -> f32 {
  let y = 1.0 + r;
  let small = r < 0.414213562;
  let e = select(exponent_of(bitcast<u32>(y)), 0, small);
  return log_parts(select(y * power_of_2(-e) - 1.0, r, small), f32(e));
}

fn log_of(bits: u32) -> u32 {
  if (is_nan(bits) || bits == INFINITY) { return bits; }
  if ((bits & 0x7fffffffu) == 0u) { return MINUS_INFINITY; }
  if (bits > INFINITY) { return NAN; }
  var normal = bits;
  var shift = 0.0;
  if (bits < 0x00800000u) {
    normal = bitcast<u32>(f32(bits));
    shift = -149.0;
  }
  let e = exponent_of(normal);
  let one_to_two = bitcast<f32>(normal - (u32(e) << 23u));
  return bitcast<u32>(log_parts(one_to_two - 1.0, f32(e) + shift));
}

// 1 - exp(y) for -ln 2 <= y <= 0, which would cancel; a finite number below.
fn complement_of(bits: u32) -> f32 {
  let twice = min(0.0 - bitcast<f32>(bits), 0.7);
  let z = 0.5 * twice;
  let q = z * z;
  return twice / (1.0 + (z + q / (3.0 + q / (5.0 + q / 7.0))));
}

fn exp_bits(bits: u32) -> u32 {
  if (is_nan(bits)) { return bits; }
  if (bits == MINUS_INFINITY) { return 0u; }
  let x = bitcast<f32>(bits);
  if (bits == INFINITY || x > 88.72284) { return INFINITY; }
  return bitcast<u32>(exp_of(vec2<f32>(x, 0.0)));
}
`;
