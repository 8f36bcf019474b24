// Natural logarithm of float64 lanes after fdlibm's e_log.c (Sun Microsystems, 1993): below 1 ULP for normal arguments.
#pragma once
#include "simd.h"

// log(x) = *whole + *significand + the returned value: a multiple of ln 2, x's significand less 1, and the rest of the series.
INLINE V log_f64x2_terms(V x, V *whole, V *significand) {
  V offset = wasm_i64x2_const_splat((long long)(0x3ff00000 - 0x3fe6a09e) << 32);
  V bits = wasm_i64x2_add(x, offset);
  // The exponent as a double: its integer is put into the low bits of 1.5 · 2^52, which is then subtracted.
  V magic = wasm_f64x2_const_splat(0x1.8p52);
  V k = wasm_f64x2_sub(wasm_i64x2_add(wasm_i64x2_shr(bits, 52), magic), wasm_f64x2_const_splat(0x1.8p52 + 1023));
  V m = wasm_i64x2_add(and(bits, wasm_i64x2_const_splat(0x000fffffffffffffll)),
                       wasm_i64x2_const_splat((long long)0x3fe6a09e << 32));
#define C(a) wasm_f64x2_const_splat(a)
#define ADD wasm_f64x2_add
#define SUB wasm_f64x2_sub
#define MUL wasm_f64x2_mul
  V f = SUB(m, C(1.0));
  V s = wasm_f64x2_div(f, ADD(C(2.0), f));
  V z = MUL(s, s), w = MUL(z, z);
  V odd = MUL(w, ADD(C(3.999999999940941908e-01),
                     MUL(w, ADD(C(2.222219843214978396e-01), MUL(w, C(1.531383769920937332e-01))))));
  V even = MUL(z, ADD(C(6.666666666666735130e-01),
                      MUL(w, ADD(C(2.857142874366239149e-01),
                                 MUL(w, ADD(C(1.818357216161805012e-01), MUL(w, C(1.479819860511658591e-01))))))));
  V half = MUL(C(0.5), MUL(f, f));
  V tail = ADD(MUL(s, ADD(half, ADD(odd, even))), MUL(k, C(1.90821492927058770002e-10)));
  *whole = MUL(k, C(6.93147180369123816490e-01)), *significand = f;
  return SUB(tail, half);
}

SHARED V log_f64x2(V x) {
  V whole, f, rest = log_f64x2_terms(x, &whole, &f);
  return ADD(ADD(rest, f), whole);
}

// log(u + v), where v is too small to change u (u ≥ 1).
INLINE V log_f64x2_of_sum(V u, V v) { return ADD(log_f64x2(u), wasm_f64x2_div(v, u)); }

#if REAL == 64
// The same as an unevaluated sum with *low, in which only the series is rounded.
INLINE V log_f64x2_pair_of_sum(V u, V v, V *low) {
  V whole, f, rest = log_f64x2_terms(u, &whole, &f), high = ADD(whole, f);
  // whole is 0 or larger than f.
  *low = ADD(SUB(f, SUB(high, whole)), ADD(rest, wasm_f64x2_div(v, u)));
  return high;
}
#endif

#if REAL == 32
// A share p of a sum, of four rows: p = 2^-octaves (1 + rest). For large shares the rest is −q, q = 1 − p, which keeps
// its digits where p is nearly 1. NaN if q is NaN.
typedef struct {
  V octaves, rest;
} Share;

INLINE Share share_of(V low, V high, V q) {
  V bits = wasm_i32x4_add(wasm_i32x4_shuffle(low, high, 1, 3, 5, 7), wasm_i32x4_const_splat(0x3ff00000 - 0x3fe6a09e));
  V exponent = wasm_i32x4_sub(and(bits, wasm_i32x4_const_splat(~0xfffff)), wasm_i32x4_const_splat(0x3ff00000));
  V zero = wasm_i32x4_const_splat(0), far = lt(splat(0.25f), q);
  low = SUB(wasm_i64x2_sub(low, wasm_i32x4_shuffle(zero, exponent, 0, 4, 1, 5)), C(1.0));
  high = SUB(wasm_i64x2_sub(high, wasm_i32x4_shuffle(zero, exponent, 2, 6, 3, 7)), C(1.0));
  return (Share){
      .octaves = where(far, wasm_f32x4_convert_i32x4(wasm_i32x4_shr(wasm_i32x4_neg(exponent), 20))),
      .rest = select(far, narrow(low, high), minus(q)),
  };
}

// −log p ≥ 0, after FreeBSD's logf (e_logf.c, k_logf.h). No term cancels if p is nearly 1.
INLINE V minus_log(Share p) {
  V f = p.rest, s = div(f, add(f, splat(2))), z = mul(s, s), w = mul(z, z);
  V odd = mul(w, fma(w, splat(0xf89e26.0p-26f), splat(0xccce13.0p-25f)));
  V series = fma(z, fma(w, splat(0x91e9ee.0p-25f), splat(0xaaaaaa.0p-24f)), odd);
  V half = mul(mul(f, f), splat(0.5f));
  V low = sub(mul(p.octaves, splat(0x1.7f7d1cp-20f)), mul(s, add(half, series)));
  return fma(p.octaves, splat(0x1.62e4p-1f), sub(add(half, low), f));
}
#endif

// Any argument: 0 gives −Infinity, negative ones NaN, and subnormal ones are scaled first.
COMPACT SHARED V log_f64x2_any(V x) {
  V tiny = wasm_f64x2_lt(x, C(0x1p-1022));
  V scaled = select(tiny, MUL(x, C(0x1p54)), x);
  V y = SUB(log_f64x2(scaled), and(tiny, C(54 * 0x1.62e42fefa39efp-1)));
  y = select(wasm_f64x2_eq(x, C(0.0)), C(-__builtin_inf()), y);
  y = select(wasm_f64x2_lt(x, C(0.0)), C(__builtin_nan("")), y);
  // The logarithm of +Infinity or NaN is the argument itself.
  return select(wasm_f64x2_lt(x, C(__builtin_inf())), y, x);
}
#undef C
#undef ADD
#undef SUB
#undef MUL
