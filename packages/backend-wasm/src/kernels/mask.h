// Masks: one byte for each entry, 0 where the entry is left out.
#pragma once
#include "simd.h"

#define MASKED ((real)-__builtin_inf())

// Entries whose bytes are widened at once: four vectors.
#define BYTES (4 * W)

#define LOW_BYTES(a, b) wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH_BYTES(a, b) wasm_i8x16_shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define LOW_WORDS(a, b) wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH_WORDS(a, b) wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15)

// All ones in the lanes of entries that are left out.
INLINE void gone_at(V *gone, const unsigned char *mask) {
  V bytes = wasm_i8x16_eq(REAL == 32 ? load(mask) : wasm_v128_load64_zero(mask), wasm_i64x2_const_splat(0)), a = LOW_BYTES(bytes, bytes);
#if REAL == 32
  V b = HIGH_BYTES(bytes, bytes);
  gone[0] = LOW_WORDS(a, a), gone[1] = HIGH_WORDS(a, a);
  gone[2] = LOW_WORDS(b, b), gone[3] = HIGH_WORDS(b, b);
#else
  V b = HIGH_WORDS(a, a);
  a = LOW_WORDS(a, a);
  gone[0] = wasm_i32x4_shuffle(a, a, 0, 0, 1, 1), gone[1] = wasm_i32x4_shuffle(a, a, 2, 2, 3, 3);
  gone[2] = wasm_i32x4_shuffle(b, b, 0, 0, 1, 1), gone[3] = wasm_i32x4_shuffle(b, b, 2, 2, 3, 3);
#endif
}

// out = mask ? x : value. `out` may be x.
SHARED void fill(real *out, const real *x, const unsigned char *mask, size_t n, real value) {
  V other = splat(value), v[4];
  size_t c = 0;
#define FILL(a)                                                                                                        \
  for (; c + BYTES <= n; c += BYTES) {                                                                                 \
    gone_at(v, mask + c);                                                                                              \
    EACH(4, store(out + c + u * W, a))                                                                                 \
  }
  if (value == 0)
    FILL(andnot(load(x + c + u * W), v[u]))
  else
    FILL(or(andnot(load(x + c + u * W), v[u]), and(v[u], other)))
#undef FILL
  for (; c < n; c++) out[c] = mask[c] ? x[c] : value;
}

// Masks of up to so many entries are copied sixteen times, to a whole number of vectors: `fill` processes single entries at the end of each repetition.
#define SHORT_MASK 64

// The entries from `at` on of a mask that repeats after `period`; `out` and `x` begin with entry `at`.
COMPACT SHARED void fill_repeated(real *out, const real *x, const unsigned char *mask, size_t at, size_t n,
                                  size_t period, real value) {
  unsigned char copies[16 * SHORT_MASK + 16];
  if (period <= SHORT_MASK && n > 4 * period) {
    for (size_t c = 0; c < period; c++) copies[c] = mask[c];
    for (size_t k = period; k < 16 * period; k += period)
      for (size_t c = 0; c < period; c += 16) store(copies + k + c, load(copies + c));
    mask = copies, period *= 16;
  }
  for (size_t from = at % period, run; n; n -= run, out += run, x += run, from = 0) {
    run = period - from < n ? period - from : n;
    fill(out, x, mask + from, run, value);
  }
}

#if REAL == 32
// Infinity for entries that are kept, -Infinity for the others: with it a minimum takes the place of three instructions of a selection.
INLINE void bounds_at(V *bounds, const unsigned char *mask) {
  V zero = wasm_i64x2_const_splat(0), next = wasm_i8x16_const_splat((char)0x80);
  V top = or(wasm_i8x16_eq(load(mask), zero), wasm_i8x16_const_splat(0x7f));
  V a = LOW_BYTES(next, top), b = HIGH_BYTES(next, top);
  bounds[0] = LOW_WORDS(zero, a), bounds[1] = HIGH_WORDS(zero, a);
  bounds[2] = LOW_WORDS(zero, b), bounds[3] = HIGH_WORDS(zero, b);
}

// The logits that are kept, -Infinity elsewhere; NaN becomes Infinity, with which a row is NaN too. Returns the largest by lanes. `out` may be x.
SHARED V mask_row(real *out, const real *x, const unsigned char *mask, size_t n) {
  V a = splat(MASKED), b = a, v[4];
  size_t c = 0;
  for (; c + BYTES <= n; c += BYTES) {
    bounds_at(v, mask + c);
    EACH(4, v[u] = pmin(v[u], load(x + c + u * W)))
    EACH(4, store(out + c + u * W, v[u]))
    a = pmax(pmax(a, v[0]), v[1]), b = pmax(pmax(b, v[2]), v[3]);
  }
  for (; c < n; c++) {
    out[c] = !mask[c] ? MASKED : x[c] == x[c] ? x[c] : -MASKED;
    a = pmax(a, splat(out[c]));
  }
  return pmax(a, b);
}

// How many entries a mask keeps.
COMPACT SHARED size_t kept_count(const unsigned char *mask, size_t n) {
  V zero = wasm_i64x2_const_splat(0), sums = zero;
  size_t c = 0, count;
  for (; c + 16 <= n; c += 16) {
    V ones = andnot(wasm_i8x16_const_splat(1), wasm_i8x16_eq(load(mask + c), zero));
    sums = wasm_i32x4_add(sums, wasm_u32x4_extadd_pairwise_u16x8(wasm_u16x8_extadd_pairwise_u8x16(ones)));
  }
  sums = wasm_i32x4_add(sums, swap_halves(sums));
  count = (size_t)wasm_i32x4_extract_lane(wasm_i32x4_add(sums, swap_pairs(sums)), 0);
  for (; c < n; c++) count += mask[c] != 0;
  return count;
}
#endif
