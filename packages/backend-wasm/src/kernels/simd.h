// One set of names for both dtypes: every kernel is compiled twice, with REAL 32 and with REAL 64.
#pragma once
#include <wasm_simd128.h>

typedef v128_t V;
typedef __SIZE_TYPE__ size_t;

#define INLINE static inline __attribute__((always_inline))
// For functions that are called once for each group or row: not inlined, so that the module stays small.
#define SHARED static __attribute__((noinline))
// For code that does not affect speed.
#define COMPACT __attribute__((minsize))
#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

#if REAL == 32

typedef float real;
typedef int word;
#define W 4
#define KERNEL(name) __attribute__((export_name(#name "_f32"))) void PASTE(name, _f32)
#define splat(a) wasm_f32x4_splat(a)
#define add(a, b) wasm_f32x4_add(a, b)
#define sub(a, b) wasm_f32x4_sub(a, b)
#define mul(a, b) wasm_f32x4_mul(a, b)
#define div(a, b) wasm_f32x4_div(a, b)
#define neg(a) wasm_f32x4_neg(a)
#define vabs(a) wasm_f32x4_abs(a)
#define pmax(a, b) wasm_f32x4_pmax(a, b)
#define pmin(a, b) wasm_f32x4_pmin(a, b)
#define ieee_max(a, b) wasm_f32x4_max(a, b)
#define ieee_min(a, b) wasm_f32x4_min(a, b)
#define lt(a, b) wasm_f32x4_lt(a, b)
#define le(a, b) wasm_f32x4_le(a, b)
#define eq(a, b) wasm_f32x4_eq(a, b)
#define ne(a, b) wasm_f32x4_ne(a, b)
#define lane0(a) wasm_f32x4_extract_lane(a, 0)
#define all_true(m) wasm_i32x4_all_true(m)
#define all_lanes(m) (wasm_i32x4_bitmask(m) == 15)
#define any_lane(m) (wasm_i32x4_bitmask(m) != 0)

#else

typedef double real;
typedef long long word;
#define W 2
#define KERNEL(name) __attribute__((export_name(#name "_f64"))) void PASTE(name, _f64)
#define splat(a) wasm_f64x2_splat(a)
#define add(a, b) wasm_f64x2_add(a, b)
#define sub(a, b) wasm_f64x2_sub(a, b)
#define mul(a, b) wasm_f64x2_mul(a, b)
#define div(a, b) wasm_f64x2_div(a, b)
#define neg(a) wasm_f64x2_neg(a)
#define vabs(a) wasm_f64x2_abs(a)
#define pmax(a, b) wasm_f64x2_pmax(a, b)
#define pmin(a, b) wasm_f64x2_pmin(a, b)
#define ieee_max(a, b) wasm_f64x2_max(a, b)
#define ieee_min(a, b) wasm_f64x2_min(a, b)
#define lt(a, b) wasm_f64x2_lt(a, b)
#define le(a, b) wasm_f64x2_le(a, b)
#define eq(a, b) wasm_f64x2_eq(a, b)
#define ne(a, b) wasm_f64x2_ne(a, b)
#define lane0(a) wasm_f64x2_extract_lane(a, 0)
#define all_true(m) wasm_i64x2_all_true(m)
#define all_lanes(m) (wasm_i64x2_bitmask(m) == 3)
#define any_lane(m) (wasm_i64x2_bitmask(m) != 0)

#endif

#define load(p) wasm_v128_load(p)
#define store(p, v) wasm_v128_store(p, v)
#define and(a, b) wasm_v128_and(a, b)
#define andnot(a, b) wasm_v128_andnot(a, b)
#define or(a, b) wasm_v128_or(a, b)
#define xor(a, b) wasm_v128_xor(a, b)
#define select(mask, a, b) wasm_v128_bitselect(a, b, mask)
#define any_true(m) wasm_v128_any_true(m)

// −a, with a constant that engines keep in a register in loops, unlike that of `neg`.
#define minus(a) xor(a, splat((real)-0.0))

#if REAL == 32
// `a` where the mask is set, otherwise 0. As a minimum of unsigned integers, because clang makes a bitselect of `and` with a comparison, which takes
// engines three instructions.
#define where(mask, a) wasm_u32x4_min(mask, a)
#endif

#ifdef __wasm_relaxed_simd__
#if REAL == 32
#define fma(a, b, c) wasm_f32x4_relaxed_madd(a, b, c)
#define fnma(a, b, c) wasm_f32x4_relaxed_nmadd(a, b, c)
#else
#define fma(a, b, c) wasm_f64x2_relaxed_madd(a, b, c)
#define fnma(a, b, c) wasm_f64x2_relaxed_nmadd(a, b, c)
#endif
#else
#define fma(a, b, c) add(mul(a, b), c)
#define fnma(a, b, c) sub(c, mul(a, b))
#endif

// `EACH(n, statement)` repeats the statement for u = 0 … n−1. Kernels process several vectors stage by stage,
// because program order decides how much of an out-of-order core's window the long dependency chain of an exp occupies.
#define EACH(n, ...)                                                                                                   \
  _Pragma("clang loop unroll(full)") for (size_t u = 0; u < (n); u++) { __VA_ARGS__; }

INLINE V load_part(const real *p, size_t lanes) {
#if REAL == 32
  V v = wasm_f32x4_const(0, 0, 0, 0);
  if (lanes & 2) {
    v = wasm_v128_load64_zero(p);
    if (lanes & 1) v = wasm_v128_load32_lane(p + 2, v, 2);
  } else if (lanes & 1) {
    v = wasm_v128_load32_zero(p);
  }
  return v;
#else
  (void)lanes;
  return wasm_v128_load64_zero(p);
#endif
}

INLINE void store_part(real *p, V v, size_t lanes) {
#if REAL == 32
  if (lanes & 2) {
    wasm_v128_store64_lane(p, v, 0);
    if (lanes & 1) wasm_v128_store32_lane(p + 2, v, 2);
  } else if (lanes & 1) {
    wasm_v128_store32_lane(p, v, 0);
  }
#else
  (void)lanes;
  wasm_v128_store64_lane(p, v, 0);
#endif
}

INLINE V load_part_or_all(const real *p, size_t lanes) { return lanes == W ? load(p) : load_part(p, lanes); }

INLINE void store_part_or_all(real *p, V v, size_t lanes) {
  if (lanes == W)
    store(p, v);
  else
    store_part(p, v, lanes);
}

// All ones in the first `lanes` lanes.
INLINE V part_mask(size_t lanes) {
#if REAL == 32
  return wasm_i32x4_gt(wasm_i32x4_splat((int)lanes), wasm_i32x4_const(0, 1, 2, 3));
#else
  return wasm_i64x2_gt(wasm_i64x2_splat((long long)lanes), wasm_i64x2_const(0, 1));
#endif
}

// For a row whose last vector overlaps the one before: the lanes that do not overlap.
INLINE V last_lanes(size_t classes) {
  size_t shared = W - 1 - (classes - 1) % W;
#if REAL == 32
  return wasm_i32x4_ge(wasm_i32x4_const(0, 1, 2, 3), wasm_i32x4_splat((int)shared));
#else
  return wasm_i64x2_ge(wasm_i64x2_const(0, 1), wasm_i64x2_splat((long long)shared));
#endif
}

#if REAL == 32
#define swap_halves(a) wasm_i32x4_shuffle(a, a, 2, 3, 0, 1)
#define swap_pairs(a) wasm_i32x4_shuffle(a, a, 1, 0, 3, 2)
#else
#define swap_halves(a) wasm_i64x2_shuffle(a, a, 1, 0)
#define swap_pairs(a) (a)
#endif

INLINE real horizontal_max(V a) {
  a = pmax(a, swap_halves(a));
  a = pmax(a, swap_pairs(a));
  return lane0(a);
}

INLINE real horizontal_min(V a) {
  a = pmin(a, swap_halves(a));
  a = pmin(a, swap_pairs(a));
  return lane0(a);
}

#define absolute(a) ((real)__builtin_fabs(a))

// A number of smaller size can be subtracted from any finite one without overflow: less than half an ULP of the largest. False for NaN.
#define HARMLESS (REAL == 32 ? 0x1p100 : 0x1p960)
#define harmless(a) lt(vabs(a), splat((real)HARMLESS))

// `Sum` adds vectors of `real` accurately: float32 in float64; float64 with the error of every addition kept
// (Knuth's TwoSum), so that neither a long row nor one large term among small ones loses a bit of the result.
typedef struct {
  V high, low;
} Sum;

INLINE Sum sum_zero(void) { return (Sum){wasm_f64x2_const(0, 0), wasm_f64x2_const(0, 0)}; }

#if REAL == 32
INLINE V widen_low(V a) { return wasm_f64x2_promote_low_f32x4(a); }
INLINE V widen_high(V a) { return wasm_f64x2_promote_low_f32x4(swap_halves(a)); }
// Lanes 0 and 1 are summed in `high`, lanes 2 and 3 in `low`.
INLINE Sum sum_add(Sum s, V a) {
  return (Sum){wasm_f64x2_add(s.high, widen_low(a)), wasm_f64x2_add(s.low, widen_high(a))};
}
INLINE double sum_total(Sum s) {
  V t = wasm_f64x2_add(s.high, s.low);
  return wasm_f64x2_extract_lane(t, 0) + wasm_f64x2_extract_lane(t, 1);
}
#define narrow(low, high)                                                                                              \
  wasm_i32x4_shuffle(wasm_f32x4_demote_f64x2_zero(low), wasm_f32x4_demote_f64x2_zero(high), 0, 1, 4, 5)
INLINE V sum_rounded(Sum s) { return narrow(s.high, s.low); }
#else
// For an infinite sum the error terms are NaN: then the plain sum is the result.
INLINE V sum_rounded(Sum s) {
  V t = add(s.high, s.low);
  return select(eq(t, t), t, s.high);
}
INLINE Sum sum_add(Sum s, V a) {
  V t = add(s.high, a);
  V z = sub(t, s.high);
  return (Sum){t, add(s.low, add(sub(s.high, sub(t, z)), sub(a, z)))};
}
// The same for a sum and a term that are not negative: subtracting the larger from the total first gives the rounding error
// with fewer additions (Dekker's Fast2Sum).
INLINE Sum sum_add_positive(Sum s, V a) {
  V t = add(s.high, a);
  return (Sum){t, add(s.low, sub(pmin(s.high, a), sub(t, pmax(s.high, a))))};
}
INLINE double sum_total(Sum s) {
  double a = wasm_f64x2_extract_lane(s.high, 0), b = wasm_f64x2_extract_lane(s.high, 1);
  double t = a + b, z = t - a;
  double error = (a - (t - z)) + (b - z);
  return t + (error + (wasm_f64x2_extract_lane(s.low, 0) + wasm_f64x2_extract_lane(s.low, 1)));
}
#endif

// How many vectors are processed by one exp in parallel: as many as keep their intermediate values in registers.
#if REAL == 32
#define WIDE 4
#else
#define WIDE 2
#endif

// Sums of exponentials. They are positive and at most `GREATEST_TERM` if the row's maximum is the reference, so a
// float64 sum that starts at that value is never less than a term: then three additions give the rounding error
// (Dekker's Fast2Sum).
#if REAL == 32
INLINE Sum terms_zero(void) { return sum_zero(); }
INLINE Sum terms_add(Sum s, V a) { return sum_add(s, a); }
INLINE Sum terms_total(Sum s) { return s; }
#else
#define GREATEST_TERM wasm_f64x2_const_splat(0x1p65)
INLINE Sum terms_zero(void) { return (Sum){GREATEST_TERM, wasm_f64x2_const_splat(0)}; }
INLINE Sum terms_add(Sum s, V a) {
  V t = add(s.high, a);
  return (Sum){t, add(s.low, add(sub(s.high, t), a))};
}
INLINE Sum terms_total(Sum s) { return (Sum){sub(s.high, GREATEST_TERM), s.low}; }
#endif
