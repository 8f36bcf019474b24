// Blocks of contiguous rows of a few classes. If all logits of a block are near each other, one reference is enough for
// all of them, so that their exponentials are computed as for one row. The reference only changes the exponents, so each
// row's result has the same bits as with its own reference. Threads always get whole blocks.
#pragma once
#include "single-rows.h"

// Rows of more classes are processed one by one. mostClassesInBlocks of src/rowwise.ts.
#define MOST_CLASSES (STRETCH / W)

// Groups of W rows in a block. groupsPerBlock of src/rowwise.ts.
#define block_groups(classes) (STRETCH / ((classes) * W))

// The exponentials of logits with at most this difference are all normal.
#if REAL == 32
#define NEAR 100
#else
#define NEAR 700
#endif

// Logits below this are so far below those near one that is REDUCIBLE that their exponentials are 0 in every row that has such a logit.
#define GONE (-2 * REDUCIBLE)

// Whether each row has an exponential above 0.
INLINE int all_positive(const real *e, size_t rows, size_t classes) {
  for (; rows; rows--, e += classes) {
    V any = splat(0);
    size_t c = 0;
    for (; c + W <= classes; c += W) any = or(any, load(e + c));
    for (; c < classes; c++) any = or(any, splat(e[c]));
    if (!any_true(any)) return 0;
  }
  return 1;
}

// exp of a block with the reference `at`, if its logits are near the largest but for those that a mask, or whoever made them, has left out by a number
// near −Infinity. `out` is not x.
COMPACT SHARED int block_near_but_gone(real *out, const real *x, size_t rows, size_t classes, real *scratch, real largest, const Reduction *at) {
  V least = splat((real)__builtin_inf()), gone = splat(GONE), unused = least;
  size_t n = rows * classes, c = 0;
  // With all bits set, a number is NaN, which pmin does not take.
  for (; c + W <= n; c += W) {
    V v = load(x + c);
    least = pmin(least, or(v, lt(v, gone)));
  }
  for (; c < n; c++) {
    V v = splat(x[c]);
    least = pmin(least, or(v, lt(v, gone)));
  }
  if (!(largest - horizontal_min(least) < NEAR)) return 0;
  exp_tracked(out, x, n, at, scratch, &unused);
  return all_positive(out, rows, classes);
}

// exp of all logits of a block with one reference, if they are near each other. NaN is not clamped, and makes its row
// NaN.
SHARED int block_near(real *out, const real *x, size_t rows, size_t classes, real *scratch, Reduction *at) {
  // No logit to start with: a NaN would stay in its lane, and hide the logits of other rows.
  V l = splat((real)__builtin_inf()), m = l, a = splat((real)-__builtin_inf()), b = a;
  size_t n = rows * classes, c = 0;
  for (; c + 4 * W <= n; c += 4 * W) {
    V v0 = load(x + c), v1 = load(x + c + W), v2 = load(x + c + 2 * W), v3 = load(x + c + 3 * W);
    a = pmax(pmax(a, v0), v1), b = pmax(pmax(b, v2), v3);
    l = pmin(pmin(l, v0), v1), m = pmin(pmin(m, v2), v3);
  }
  for (; c < n; c++) {
    V v = splat(x[c]);
    a = pmax(a, v), l = pmin(l, v);
  }
  real largest = horizontal_max(pmax(a, b)), least = horizontal_min(pmin(l, m));
  if (!(absolute(largest) < REDUCIBLE)) return 0;
  *at = reduction_at(splat(largest), 0, 0);
  if (!(largest - least < NEAR)) return out != x && block_near_but_gone(out, x, rows, classes, scratch, largest, at);
  exp_near(out, x, n, at, scratch);
  return 1;
}

INLINE V largest_of(const real *x, size_t classes, const Temperature *t) {
  V top = xor(splat(x[0]), t->sign);
  size_t c = 0;
  for (; c + W <= classes; c += W) top = pmax(top, xor(load(x + c), t->sign));
  for (; c < classes; c++) top = pmax(top, xor(splat(x[c]), t->sign));
  return splat(horizontal_max(top));
}

// The same with a reference for each row, and a temperature; not for rows that must be shifted first, or whose softmax
// is undefined.
COMPACT SHARED int block_apart(real *out, const real *x, size_t rows, size_t classes, real *scratch,
                               const Temperature *t) {
  real *references = scratch + REFERENCES;
  V fine = splat(0);
  fine = eq(fine, fine);
  for (size_t r = 0; r < rows; r++) {
    V top = largest_of(x + r * classes, classes, t);
    Reduction at = reduction_at(top, 1, t);
    fine = and(fine, reducible(top, 1, t));
    references[2 * r] = lane0(at.magic);
    references[2 * r + 1] = lane0(at.lowest);
  }
  if (!all_true(fine)) return 0;
  for (size_t r = 0; r < rows; r++) {
    V magic = splat(references[2 * r]), lowest = splat(references[2 * r + 1]);
    for (size_t c = 0; c < classes; c += W) {
      store(scratch + MAGICS + r * classes + c, magic);
      store(scratch + LOWESTS + r * classes + c, lowest);
    }
  }
  exp_apart(out, x, rows * classes, scratch, 1, t);
  return 1;
}

// The sums of rows, and then the factors of W rows, three vectors: each in its own loop, so that
// a division does not wait for the products of the previous one.
#define SUM_SIZE (REAL == 32 ? W : 2 * W)

INLINE void put_sums_of(real *sums, const real *e, size_t rows, size_t f, size_t pairs) {
  for (; rows; rows -= W)
    EACH(W, {
      Sum s = terms_of(e, f, pairs);
      store(sums, s.high);
      if (SUM_SIZE > W) store(sums + W, s.low);
      e += f, sums += SUM_SIZE;
    })
}

#define PUT_SUMS(pairs)                                                                                                \
  SHARED void put_sums_##pairs(real *sums, const real *e, size_t rows, size_t f) {                                     \
    put_sums_of(sums, e, rows, f, pairs);                                                                              \
  }

PUT_SUMS(0)

#if REAL == 32
PUT_SUMS(1)
PUT_SUMS(2)
PUT_SUMS(3)
PUT_SUMS(4)
PUT_SUMS(5)
PUT_SUMS(6)

INLINE void put_sums(real *sums, const real *e, size_t rows, size_t f) {
  void (*const by_pairs[])(real *, const real *, size_t, size_t) = {0,          put_sums_1, put_sums_2, put_sums_3,
                                                                    put_sums_4, put_sums_5, put_sums_6};
  (f / 2 < 7 ? by_pairs[f / 2] : put_sums_0)(sums, e, rows, f);
}

SHARED void put_sums_singly(real *sums, const real *e, size_t rows, size_t f) { put_sums_of(sums, e, rows, f, SINGLY); }

// Shorter rows do not have two vectors to pair.
SHARED void put_exact_sums(real *sums, const real *e, size_t rows, size_t f) {
  if (f < 16)
    put_sums(sums, e, rows, f);
  else
    put_sums_singly(sums, e, rows, f);
}
#else
#define put_sums put_sums_0
#endif

SHARED void put_shares(real *shares, const real *sums, size_t rows) {
  for (; rows; rows -= W, sums += W * SUM_SIZE, shares += 3 * W) {
#if REAL == 32
    V a = load(sums), b = load(sums + 4), c = load(sums + 8), d = load(sums + 12);
    Factor f = reciprocal_of((Sum){
        wasm_f64x2_add(wasm_i64x2_shuffle(a, b, 0, 2), wasm_i64x2_shuffle(a, b, 1, 3)),
        wasm_f64x2_add(wasm_i64x2_shuffle(c, d, 0, 2), wasm_i64x2_shuffle(c, d, 1, 3)),
    });
#else
    V a = load(sums), b = load(sums + 4), a_low = load(sums + 2), b_low = load(sums + 6);
    Sum s = {wasm_i64x2_shuffle(a, b, 0, 2),
             add(wasm_i64x2_shuffle(a_low, b_low, 0, 2), wasm_i64x2_shuffle(a_low, b_low, 1, 3))};
    Factor f = reciprocal_of(sum_add(s, wasm_i64x2_shuffle(a, b, 1, 3)));
#endif
    store(shares, f.whole);
    store(shares + W, f.first);
    store(shares + 2 * W, f.second);
  }
}

#if REAL == 32
#define lane_of(p) wasm_v128_load32_splat(p)
#else
#define lane_of(p) wasm_v128_load64_splat(p)
#endif
#define share_at(shares, l)                                                                                            \
  (Factor) { lane_of((shares) + (l)), lane_of((shares) + W + (l)), lane_of((shares) + 2 * W + (l)) }

// A row of `vectors` vectors, or of any number if that is 0. The last vector may overlap the one
// before.
INLINE void share_row(real *e, size_t classes, size_t vectors, Factor f) {
  V last = scaled(load(e + classes - W), f);
  if (vectors) {
    EACH(vectors - 1, store(e + u * W, scaled(load(e + u * W), f)))
  } else {
    size_t c = 0;
    for (; c + 2 * W < classes; c += 2 * W) EACH(2, store(e + c + u * W, scaled(load(e + c + u * W), f)))
    if (c + W < classes) store(e + c, scaled(load(e + c), f));
  }
  store(e + classes - W, last);
}

INLINE void share_rows_of(real *e, size_t rows, size_t f, size_t vectors, const real *shares) {
  for (; rows; rows -= W, e += W * f, shares += 3 * W) EACH(W, share_row(e + u * f, f, vectors, share_at(shares, u)))
}

#define SHARE_ROWS(vectors)                                                                                            \
  SHARED void share_rows_##vectors(real *e, size_t rows, size_t f, const real *shares) {                               \
    share_rows_of(e, rows, f, vectors, shares);                                                                        \
  }

SHARE_ROWS(0)

#if REAL == 32
SHARE_ROWS(1)
SHARE_ROWS(2)
SHARE_ROWS(3)

#define FACTOR_AT(f, a, b, c, d)                                                                                       \
  (Factor) {                                                                                                           \
    wasm_i32x4_shuffle((f).whole, (f).whole, a, b, c, d), wasm_i32x4_shuffle((f).first, (f).first, a, b, c, d),        \
        wasm_i32x4_shuffle((f).second, (f).second, a, b, c, d)                                                         \
  }

SHARED void share_rows_of_two(real *e, size_t rows, const real *shares) {
  for (; rows; rows -= 4, e += 8, shares += 12) {
    Factor f = {load(shares), load(shares + 4), load(shares + 8)};
    store(e, scaled(load(e), FACTOR_AT(f, 0, 0, 1, 1)));
    store(e + 4, scaled(load(e + 4), FACTOR_AT(f, 2, 2, 3, 3)));
  }
}

SHARED void share_rows_of_three(real *e, size_t rows, const real *shares) {
  for (; rows; rows -= 4, e += 12, shares += 12) {
    Factor f = {load(shares), load(shares + 4), load(shares + 8)};
    store(e, scaled(load(e), FACTOR_AT(f, 0, 0, 0, 1)));
    store(e + 4, scaled(load(e + 4), FACTOR_AT(f, 1, 1, 2, 2)));
    store(e + 8, scaled(load(e + 8), FACTOR_AT(f, 2, 3, 3, 3)));
  }
}

#ifndef __wasm_relaxed_simd__
// Without fused multiply-add the exact product takes seven operations. Long rows use three, with one more rounding.
SHARED void share_long_rows(real *e, size_t rows, size_t f, const real *shares) {
  for (; rows; rows -= 4, shares += 12)
    for (size_t u = 0; u < 4; u++, e += f) {
      Factor exact = share_at(shares, u);
      V whole = exact.whole, rest = add(sub(exact.first, whole), exact.second);
      V last = load(e + f - 4);
      last = add(mul(last, whole), mul(last, rest));
      size_t c = 0;
      for (; c + 16 < f; c += 16)
        EACH(4, {
          V a = load(e + c + 4 * u);
          store(e + c + 4 * u, add(mul(a, whole), mul(a, rest)));
        })
      for (; c + 4 < f; c += 4) {
        V a = load(e + c);
        store(e + c, add(mul(a, whole), mul(a, rest)));
      }
      store(e + f - 4, last);
    }
}
#define LONG_ROW 64
#endif
#endif

// Multiplies W rows, or a multiple of it, by their factors.
SHARED void scale_rows(real *e, size_t rows, size_t classes, const real *shares) {
#if REAL == 32
#ifdef LONG_ROW
  if (classes >= LONG_ROW) {
    share_long_rows(e, rows, classes, shares);
    return;
  }
#endif
  switch ((classes + 3) / 4) {
  case 1:
    if (classes == 2)
      share_rows_of_two(e, rows, shares);
    else if (classes == 3)
      share_rows_of_three(e, rows, shares);
    else
      share_rows_1(e, rows, classes, shares);
    return;
  case 2:
    share_rows_2(e, rows, classes, shares);
    return;
  case 3:
    share_rows_3(e, rows, classes, shares);
    return;
  }
#endif
  share_rows_0(e, rows, classes, shares);
}

// Turns exponentials into probabilities.
SHARED void share_rows(real *e, size_t rows, size_t classes, real *scratch) {
  size_t whole = rows - rows % W;
  put_sums(scratch + SUMS, e, whole, classes);
  put_shares(scratch + SHARES, scratch + SUMS, whole);
  scale_rows(e, whole, classes, scratch + SHARES);
  for (size_t r = whole; r < rows; r++) {
    Factor f = row_reciprocal(terms(e + r * classes, classes));
    row_scale(e + r * classes, classes, &f);
  }
}
