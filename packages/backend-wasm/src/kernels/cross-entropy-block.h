// crossEntropy of class indices over a block of float32 rows, four at a time, from their exponentials.
#pragma once
#include "blocks.h"
#include "target.h"

#if REAL == 32
// An element of each of four rows.
INLINE V one_of_each(const real *p, size_t step, V at) {
  V v = wasm_v128_load32_zero(p + wasm_i32x4_extract_lane(at, 0));
  v = wasm_v128_load32_lane(p + step + wasm_i32x4_extract_lane(at, 1), v, 1);
  v = wasm_v128_load32_lane(p + 2 * step + wasm_i32x4_extract_lane(at, 2), v, 2);
  return wasm_v128_load32_lane(p + 3 * step + wasm_i32x4_extract_lane(at, 3), v, 3);
}

INLINE void put_one_of_each(real *p, size_t step, V at, V v) {
  wasm_v128_store32_lane(p + wasm_i32x4_extract_lane(at, 0), v, 0);
  wasm_v128_store32_lane(p + step + wasm_i32x4_extract_lane(at, 1), v, 1);
  wasm_v128_store32_lane(p + 2 * step + wasm_i32x4_extract_lane(at, 2), v, 2);
  wasm_v128_store32_lane(p + 3 * step + wasm_i32x4_extract_lane(at, 3), v, 3);
}

// The sum of a row without one entry, for rows where the difference would cancel.
COMPACT SHARED double others_of(const real *e, size_t classes, size_t but) {
  double s = 0;
  for (size_t c = 0; c < classes; c++)
    if (c != but) s += e[c];
  return s;
}

INLINE V weights_of(const Target *target, V index, V live) {
  return and(target->weight ? one_of_each(target->weight, 0, index) : splat(1), live);
}

// Shares below 2^-this are 0 or clamped: log Σ − x then.
#define FAR_OCTAVES 100

// log Σ − x/T of four rows, whose sums are relative to `base`.
COMPACT SHARED V far_logs(V low, V high, V base, V x, double per) {
  V ln2 = wasm_f64x2_const_splat(LN2), by = wasm_f64x2_splat(per);
  V x_low = wasm_f64x2_add(wasm_f64x2_mul(widen_low(base), ln2), wasm_f64x2_mul(widen_low(x), by));
  V x_high = wasm_f64x2_add(wasm_f64x2_mul(widen_high(base), ln2), wasm_f64x2_mul(widen_high(x), by));
  return narrow(wasm_f64x2_sub(log_f64x2(low), x_low), wasm_f64x2_sub(log_f64x2(high), x_high));
}

// The rows of a block, four at a time: `e` are the exponentials, relative to `magic`, or to each row's own reference if
// that is 0. They are overwritten by the gradient if it is `wanted`. The logarithms are in a separate loop, so that many
// are computed in parallel.
SHARED void cross_entropy_block(real *loss, int wanted, real *e, const real *x, size_t rows, size_t classes,
                                const int *indices, real *scratch, real magic, const Target *target) {
  real *sums = scratch + SUMS, *shares = scratch + SHARES, *references = scratch + REFERENCES;
  V ignored = wasm_i32x4_splat(target->ignore), one = wasm_f64x2_const_splat(1);
  V factor = wasm_f64x2_splat(target->scale / target->temperature);
  put_exact_sums(sums, e, rows, classes);
  for (size_t r = 0; r < rows; r += 4) {
    const real *row = e + r * classes;
    V index = load(indices + r), live = ne_index(index, ignored);
    index = and(index, live);
    V a = load(sums + 4 * r), b = load(sums + 4 * r + 4), c = load(sums + 4 * r + 8), d = load(sums + 4 * r + 12);
    V low = wasm_f64x2_add(wasm_i64x2_shuffle(a, b, 0, 2), wasm_i64x2_shuffle(a, b, 1, 3));
    V high = wasm_f64x2_add(wasm_i64x2_shuffle(c, d, 0, 2), wasm_i64x2_shuffle(c, d, 1, 3));
    V inverse_low = wasm_f64x2_div(one, low), inverse_high = wasm_f64x2_div(one, high);
    V top = one_of_each(row, classes, index);
    V p_low = wasm_f64x2_mul(widen_low(top), inverse_low), p_high = wasm_f64x2_mul(widen_high(top), inverse_high);
    V q_low = wasm_f64x2_sub(one, p_low), q_high = wasm_f64x2_sub(one, p_high), q = narrow(q_low, q_high);
    if (any_true(lt(q, splat(0x1p-26f)))) {
      double rest[4];
      int at[4];
      store(at, index);
      for (size_t u = 0; u < 4; u++) rest[u] = others_of(row + u * classes, classes, (size_t)at[u]);
      q_low = wasm_f64x2_mul(load(rest), inverse_low), q_high = wasm_f64x2_mul(load(rest + 2), inverse_high);
      q = narrow(q_low, q_high);
    }
    V weight = weights_of(target, index, live);
    Share share = share_of(p_low, p_high, q);
    V far = lt(splat(FAR_OCTAVES), share.octaves);
    real *own = references + 2 * r;
    if (any_true(far)) {
      V base = magic != 0 ? splat(magic) : wasm_f32x4_make(own[0], own[2], own[4], own[6]);
      V logit = one_of_each(x + r * classes, classes, index);
      V logs = far_logs(low, high, sub(base, splat(MAGIC + BIAS)), logit, 1 / target->temperature);
      // Weight 0: loss 0, even if the logarithm is infinite.
      share.rest = select(far, andnot(logs, eq(weight, splat(0))), share.rest);
    }
    V w_low = wasm_f64x2_mul(widen_low(weight), factor), w_high = wasm_f64x2_mul(widen_high(weight), factor);
    V scale_low = wasm_f64x2_mul(inverse_low, w_low), scale_high = wasm_f64x2_mul(inverse_high, w_high);
    V whole = narrow(scale_low, scale_high);
    store(shares + 3 * r, whole);
    store(shares + 3 * r + 4, whole);
    store(shares + 3 * r + 8,
          narrow(wasm_f64x2_sub(scale_low, widen_low(whole)), wasm_f64x2_sub(scale_high, widen_high(whole))));
    // From here on, the sums and the references of these rows are not needed.
    store(own, neg(narrow(wasm_f64x2_mul(q_low, w_low), wasm_f64x2_mul(q_high, w_high))));
    store(sums + 4 * r, share.octaves);
    store(sums + 4 * r + 4, share.rest);
  }
  if (loss) {
    V scale = splat((real)target->scale);
    for (size_t r = 0; r < rows; r += 4) {
      V index = load(indices + r), live = ne_index(index, ignored);
      Share share = {load(sums + 4 * r), load(sums + 4 * r + 4)};
      V log = select(lt(splat(FAR_OCTAVES), share.octaves), share.rest, minus_log(share));
      store(loss + r, and(live, mul(mul(weights_of(target, and(index, live), live), scale), log)));
    }
  }
  if (!wanted) return;
  scale_rows(e, rows, classes, shares);
  for (size_t r = 0; r < rows; r += 4) {
    real *row = e + r * classes;
    V index = load(indices + r), live = ne_index(index, ignored), value = load(references + 2 * r);
    put_one_of_each(row, classes, and(index, live), value);
    if (all_true(live)) continue;
    for (size_t u = 0; u < 4; u++)
      for (size_t c = 0; indices[r + u] == target->ignore && c < classes; c++) row[u * classes + c] = 0;
  }
}
#endif
