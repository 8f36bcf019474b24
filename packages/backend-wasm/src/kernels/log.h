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

INLINE V log_f64x2_inline(V x) {
  V whole, f, rest = log_f64x2_terms(x, &whole, &f);
  return ADD(ADD(rest, f), whole);
}

SHARED V log_f64x2(V x) { return log_f64x2_inline(x); }

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

// log(1 + r) for r so small that 1 + r loses digits (HP-15C handbook, 1982).
INLINE V log_1p(V r) {
  V u = ADD(C(1.0), r);
  return ADD(log_f64x2_inline(u), wasm_f64x2_div(SUB(r, SUB(u, C(1.0))), u));
}

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
