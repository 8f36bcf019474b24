// Exponentials of contiguous logits in stretches: the logits, the intermediate values between the two stages of exp, and
// the results stay in the first-level cache. Without fused multiply-add, two loops of half the length have a higher
// throughput than one, because an out-of-order core then holds more of their chains: 0.51 ns for an element instead of
// 0.59. With it one loop keeps the multipliers busy: 0.41 instead of 0.43.
#pragma once
#include "partition.h"

#if REAL == 32
#define STRETCH 1024
#else
#define STRETCH 512
#endif

// Vectors that are processed by one stage in parallel: as many as keep their intermediate values in registers.
#define STAGE 4

#if defined(__wasm_relaxed_simd__) && !defined(NO_ONE_LOOP)
#define ONE_LOOP
#endif

// Scratch memory, in elements; stores of vectors may write beyond the end of a part, into the next one.
#define REST 0 // a stretch, between the stages
#define MAGICS (STRETCH + 16) // `Reduction` by element
#define LOWESTS (2 * (STRETCH + 16))
#define SUMS MAGICS // of rows, after the two parts above are no longer needed
#define SHARES (3 * (STRETCH + 16)) // the factors of rows: three vectors for W rows
#define REFERENCES (SHARES + 3 * STRETCH / 2 + 16) // `Reduction` by row
#define EXPONENTIALS (REFERENCES + STRETCH + 16) // a stretch, unless they go to the output
#define SCRATCH (EXPONENTIALS + STRETCH + 16) // total: at most residentScratch of src/run.ts

_Static_assert(SCRATCH * sizeof(real) <= 32 * 1024, "scratch");

// Sums of exponentials, not yet across lanes. In float32 they are float64, two of them in `high`; long runs add
// pairs of vectors before they are widened: one more rounding, but half the conversions.
#if REAL == 32

INLINE V widened(V a) { return wasm_f64x2_add(widen_low(a), widen_high(a)); }
#define pair_at(p) wasm_f64x2_promote_low_f32x4(wasm_v128_load64_zero(p))

// `pairs` is the number for a short row, known at compile time, or 0, or SINGLY if there must be no rounding: an entry
// that is nearly all of the sum can then be subtracted again.
#define SINGLY 99

// With fewer classes one term is often most of the sum, and the rounding of its pair is visible: one probability in
// some millions was 3.2 ULP off.
#define PAIRS_FROM 128

INLINE Sum terms_of(const real *e, size_t n, size_t pairs) {
  V z = wasm_f64x2_const(0, 0), s = z;
  if (n & 1) s = wasm_f64x2_promote_low_f32x4(wasm_v128_load32_zero(e + n - 1));
  if (pairs == SINGLY || (!pairs && n < PAIRS_FROM)) {
    size_t c = 0;
    for (; c + 4 <= n; c += 4) {
      s = wasm_f64x2_add(s, pair_at(e + c));
      z = wasm_f64x2_add(z, pair_at(e + c + 2));
    }
    if (c + 2 <= n) s = wasm_f64x2_add(s, pair_at(e + c));
    return (Sum){wasm_f64x2_add(s, z), wasm_f64x2_const(0, 0)};
  }
  if (pairs) {
    EACH(pairs, s = wasm_f64x2_add(s, pair_at(e + 2 * u)))
    return (Sum){s, z};
  }
  size_t c = 0;
  for (; c + 16 <= n; c += 16) {
    s = wasm_f64x2_add(s, widened(add(load(e + c), load(e + c + 4))));
    z = wasm_f64x2_add(z, widened(add(load(e + c + 8), load(e + c + 12))));
  }
  for (; c + 4 <= n; c += 4) s = wasm_f64x2_add(s, widened(load(e + c)));
  if (c + 2 <= n) s = wasm_f64x2_add(s, pair_at(e + c));
  return (Sum){wasm_f64x2_add(s, z), wasm_f64x2_const(0, 0)};
}

INLINE Sum terms_join(Sum a, Sum b) { return (Sum){wasm_f64x2_add(a.high, b.high), a.low}; }

#else

INLINE Sum terms_join(Sum a, Sum b) {
  Sum s = sum_add(a, b.high);
  return (Sum){s.high, add(s.low, b.low)};
}

INLINE Sum terms_of(const real *e, size_t n, size_t pairs) {
  Sum s = sum_zero(), z = s;
  size_t c = 0;
  (void)pairs;
  for (; c + 4 <= n; c += 4) s = sum_add_positive(s, load(e + c)), z = sum_add_positive(z, load(e + c + 2));
  for (; c < n; c += 2) s = sum_add_positive(s, load_part_or_all(e + c, n - c < 2 ? 1 : 2));
  return terms_join(s, z);
}

#endif

// The same as a function call.
SHARED Sum terms(const real *e, size_t n) { return terms_of(e, n, 0); }

// exp of n ≤ STRETCH logits. Three cases: all of them are near the reference; `tracked`, in which they are clamped and
// the largest is kept; `apart`, in which each has its own reference, from MAGICS and LOWESTS, and there may be a
// temperature. With a `step` of 0 they have the references of the first STAGE vectors.
INLINE void exp_stretch_as(real *out, const real *x, size_t n, const Reduction *at, real *scratch, V *largest,
                           int tracked, int apart, size_t step, const Temperature *t) {
  V v[STAGE], a[STAGE], m[STAGE], top = tracked ? *largest : splat(0);
  Reduction by[STAGE];
  size_t c, whole = n - n % (STAGE * W);
  for (c = 0; c < whole; c += STAGE * W) {
    EACH(STAGE, v[u] = load(x + c + u * W))
    if (tracked) EACH(STAGE, top = pmax(top, v[u]))
    if (apart) {
      EACH(STAGE, v[u] = xor(v[u], t->sign))
      EACH(STAGE, by[u] = (Reduction){load(scratch + MAGICS + c * step + u * W), load(scratch + LOWESTS + c * step + u * W)})
    }
    exp_reduction(STAGE, apart ? 1 : STAGE, a, m, v, apart ? by : at, tracked || apart, apart, t);
#ifndef ONE_LOOP
    EACH(STAGE, store(out + c + u * W, m[u]))
    EACH(STAGE, store(scratch + REST + c + u * W, a[u]))
  }
  for (c = 0; c < whole; c += STAGE * W) {
    EACH(STAGE, a[u] = load(scratch + REST + c + u * W))
    EACH(STAGE, m[u] = load(out + c + u * W))
    exp_power(STAGE, v, a, m, (const unsigned *)(out + c));
#else
    exp_power(STAGE, v, a, m, 0);
#endif
    EACH(STAGE, store(out + c + u * W, v[u]))
  }
  for (; c < n; c += W) {
    size_t k = n - c < W ? n - c : W;
    V x1 = load_part_or_all(x + c, k);
    if (tracked) top = select(and(part_mask(k), lt(top, x1)), x1, top);
    if (apart) x1 = xor(x1, t->sign);
    Reduction r = apart ? (Reduction){load(scratch + MAGICS + c * step), load(scratch + LOWESTS + c * step)} : *at;
    store_part_or_all(out + c, exp_one(x1, r, tracked || apart, apart, t), k);
  }
  if (tracked) *largest = top;
}

SHARED void exp_near(real *out, const real *x, size_t n, const Reduction *at, real *scratch) {
  exp_stretch_as(out, x, n, at, scratch, 0, 0, 0, 0, 0);
}

SHARED void exp_tracked(real *out, const real *x, size_t n, const Reduction *at, real *scratch, V *largest) {
  exp_stretch_as(out, x, n, at, scratch, largest, 1, 0, 0, 0);
}

SHARED void exp_apart(real *out, const real *x, size_t n, real *scratch, size_t step, const Temperature *t) {
  exp_stretch_as(out, x, n, 0, scratch, 0, 0, 1, step, t);
}
