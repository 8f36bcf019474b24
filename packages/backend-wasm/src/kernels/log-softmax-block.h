// logSoftmax over a block of float32 rows, four at a time, from their exponentials.
#pragma once
#include "blocks.h"

#if REAL == 32
// The largest logit of each of four rows.
INLINE V row_largest(const real *x, size_t classes) {
  V a = load(x + classes - W);
  for (size_t c = 0; c + W < classes; c += W) a = pmax(a, load(x + c));
  return a;
}

SHARED V fours_largest(const real *x, size_t f) {
  if (f == 2) {
    V a = load(x), b = load(x + 4);
    return pmax(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
  }
  if (f == 3) {
    V v[3];
    triples_in(v, x);
    return pmax(pmax(v[0], v[1]), v[2]);
  }
  V a = row_largest(x, f), b = row_largest(x + f, f), c = row_largest(x + 2 * f, f), d = row_largest(x + 3 * f, f);
  transpose(&a, &b, &c, &d);
  return pmax(pmax(a, b), pmax(c, d));
}

// The sum of a row's exponentials without the largest.
COMPACT SHARED double less_largest(const real *e, const real *x, size_t classes, real largest) {
  double s = 0;
  for (size_t c = 0; c < classes; c++)
    if (x[c] != largest) s += e[c];
  return s;
}

// Entries of the rows a, b, c and d.
#define LESS_ROWS(x, a, b, c, d)                                                                                       \
  sub(sub(x, wasm_i32x4_shuffle(top, top, a, b, c, d)), wasm_i32x4_shuffle(log, log, a, b, c, d))

// In separate loops, so that many logarithms are computed in parallel.
SHARED void log_softmax_block(real *out, const real *x, size_t rows, size_t classes, real *scratch, const real *magic,
                              const Temperature *t) {
  real *e = scratch + EXPONENTIALS, *sums = scratch + SUMS, *largests = scratch + SHARES, *own = scratch + REFERENCES;
  V one = wasm_f64x2_const_splat(1);
  put_exact_sums(sums, e, rows, classes);
  for (size_t r = 0; r < rows; r += 4) {
    V top = fours_largest(x + r * classes, classes), magics = splat(magic ? *magic : 0);
    if (!magic) magics = wasm_f32x4_make(own[2 * r], own[2 * r + 2], own[2 * r + 4], own[2 * r + 6]);
    V largest = exp_one(top, (Reduction){magics, top}, 0, 1, t);
    V a = load(sums + 4 * r), b = load(sums + 4 * r + 4), c = load(sums + 4 * r + 8), d = load(sums + 4 * r + 12);
    V low = wasm_f64x2_add(wasm_i64x2_shuffle(a, b, 0, 2), wasm_i64x2_shuffle(a, b, 1, 3));
    V high = wasm_f64x2_add(wasm_i64x2_shuffle(c, d, 0, 2), wasm_i64x2_shuffle(c, d, 1, 3));
    V p_low = wasm_f64x2_div(widen_low(largest), low), p_high = wasm_f64x2_div(widen_high(largest), high);
    V q = narrow(wasm_f64x2_sub(one, p_low), wasm_f64x2_sub(one, p_high)), few = lt(q, splat(0x1p-26f));
    if (any_true(few)) {
      double rest[4];
      for (size_t u = 0; u < 4; u++)
        rest[u] = less_largest(e + (r + u) * classes, x + (r + u) * classes, classes, ((const real *)&top)[u]);
      // Not in the adjacent rows, which may have several largest entries.
      q = select(few, narrow(wasm_f64x2_div(load(rest), low), wasm_f64x2_div(load(rest + 2), high)), q);
    }
    Share share = share_of(p_low, p_high, q);
    store(largests + r, top);
    store(sums + 4 * r, share.octaves);
    store(sums + 4 * r + 4, share.rest);
  }
  for (size_t r = 0; r < rows; r += 4)
    store(sums + 4 * r, minus_log((Share){load(sums + 4 * r), load(sums + 4 * r + 4)}));
  if (classes < W) {
    for (size_t r = 0; r < rows; r += 4, out += 4 * classes, x += 4 * classes) {
      V top = load(largests + r), log = load(sums + 4 * r);
      if (classes == 2) {
        store(out, LESS_ROWS(load(x), 0, 0, 1, 1));
        store(out + 4, LESS_ROWS(load(x + 4), 2, 2, 3, 3));
      } else {
        store(out, LESS_ROWS(load(x), 0, 0, 0, 1));
        store(out + 4, LESS_ROWS(load(x + 4), 1, 1, 2, 2));
        store(out + 8, LESS_ROWS(load(x + 8), 2, 3, 3, 3));
      }
    }
    return;
  }
  for (size_t r = 0; r < rows; r++, out += classes, x += classes) {
    V top = splat(largests[r]), log = splat(sums[r / 4 * 16 + r % 4]);
    V last = sub(sub(load(x + classes - W), top), log);
    for (size_t c = 0; c + W < classes; c += W) store(out + c, sub(sub(load(x + c), top), log));
    store(out + classes - W, last);
  }
}

#endif
