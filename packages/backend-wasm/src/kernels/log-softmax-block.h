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

INLINE V fours_largest(const real *x, size_t f) {
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

#define LARGEST SHARES // of each row, in scratch memory

SHARED void put_largest(real *scratch, const real *x, size_t rows, size_t classes) {
  for (size_t r = 0; r < rows; r += 4) store(scratch + LARGEST + r, fours_largest(x + r * classes, classes));
}

// The sum of a row's exponentials without the largest.
COMPACT SHARED double less_largest(const real *e, const real *x, size_t classes, real largest) {
  double s = 0;
  for (size_t c = 0; c < classes; c++)
    if (x[c] != largest) s += e[c];
  return s;
}

// Four rows: the largest logits, their exponentials, and the sums of all.
typedef struct {
  V top, largest, low, high;
} Fours;

// From `put_exact_sums` and `put_largest`. The rows have the reference `magic`, or each its own.
INLINE Fours fours_at(size_t r, const real *scratch, const real *magic, const Temperature *t) {
  const real *sums = scratch + SUMS + 4 * r, *own = scratch + REFERENCES + 2 * r;
  V a = load(sums), b = load(sums + 4), c = load(sums + 8), d = load(sums + 12);
  V magics = splat(magic ? *magic : 0);
  if (!magic) magics = wasm_f32x4_make(own[0], own[2], own[4], own[6]);
  V top = load(scratch + LARGEST + r);
  return (Fours){top, exp_one(top, (Reduction){magics, top}, 0, 1, t),
                 wasm_f64x2_add(wasm_i64x2_shuffle(a, b, 0, 2), wasm_i64x2_shuffle(a, b, 1, 3)),
                 wasm_f64x2_add(wasm_i64x2_shuffle(c, d, 0, 2), wasm_i64x2_shuffle(c, d, 1, 3))};
}

COMPACT SHARED void put_rest(double *rest, const real *e, const real *x, size_t classes, V top) {
  for (size_t u = 0; u < 4; u++) rest[u] = less_largest(e + u * classes, x + u * classes, classes, ((const real *)&top)[u]);
}

// Entries of the rows a, b, c and d.
#define LESS_ROWS(x, a, b, c, d)                                                                                       \
  sub(sub(x, wasm_i32x4_shuffle(top, top, a, b, c, d)), wasm_i32x4_shuffle(log, log, a, b, c, d))

// In separate loops, so that many logarithms are computed in parallel.
SHARED void log_softmax_block(real *out, const real *x, size_t rows, size_t classes, real *scratch, const real *magic,
                              const Temperature *t) {
  real *e = scratch + EXPONENTIALS, *sums = scratch + SUMS, *largests = scratch + LARGEST;
  V one = wasm_f64x2_const_splat(1);
  put_exact_sums(sums, e, rows, classes);
  put_largest(scratch, x, rows, classes);
  for (size_t r = 0; r < rows; r += 4) {
    Fours f = fours_at(r, scratch, magic, t);
    V p_low = wasm_f64x2_div(widen_low(f.largest), f.low), p_high = wasm_f64x2_div(widen_high(f.largest), f.high);
    V q = narrow(wasm_f64x2_sub(one, p_low), wasm_f64x2_sub(one, p_high)), few = lt(q, splat(0x1p-26f));
    if (any_true(few)) {
      double rest[4];
      put_rest(rest, e + r * classes, x + r * classes, classes, f.top);
      // Not in the adjacent rows, which may have several largest entries.
      q = select(few, narrow(wasm_f64x2_div(load(rest), f.low), wasm_f64x2_div(load(rest + 2), f.high)), q);
    }
    Share share = share_of(p_low, p_high, q);
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

// log Σ exp of the rows: the largest logit and the logarithm are added in float64, since they may cancel.
SHARED void log_sum_exp_block(real *out, const real *x, size_t rows, size_t classes, real *scratch, const real *magic,
                              const Temperature *t) {
  const real *e = scratch + EXPONENTIALS;
  V least = wasm_f64x2_const_splat(0x1p-26);
  put_exact_sums(scratch + SUMS, e, rows, classes);
  put_largest(scratch, x, rows, classes);
  for (size_t r = 0; r < rows; r += 4) {
    Fours f = fours_at(r, scratch, magic, t);
    V low = widen_low(f.largest), high = widen_high(f.largest);
    V rest_low = wasm_f64x2_sub(f.low, low), rest_high = wasm_f64x2_sub(f.high, high);
    V few_low = wasm_f64x2_lt(rest_low, wasm_f64x2_mul(f.low, least));
    V few_high = wasm_f64x2_lt(rest_high, wasm_f64x2_mul(f.high, least));
    if (any_true(or(few_low, few_high))) {
      double rest[4];
      put_rest(rest, e + r * classes, x + r * classes, classes, f.top);
      rest_low = select(few_low, load(rest), rest_low), rest_high = select(few_high, load(rest + 2), rest_high);
    }
    store(out + r, narrow(wasm_f64x2_add(widen_low(f.top), log_ratio(rest_low, low)),
                          wasm_f64x2_add(widen_high(f.top), log_ratio(rest_high, high))));
  }
}

#endif
