// crossEntropy of class indices over a block of float32 rows, four at a time, from their exponentials.
#pragma once
#include "blocks.h"
#include "target.h"

#if REAL == 32
// Two rows in float64 lanes. Inputs: their sums, the exponentials of their targets, the sums without these,
// the targets' x/T relative to the reference of the sums, and their weights. The loss is weight (log argument − shift);
// the gradient at the target and the factor of the other exponentials for the gradient are still to be divided by T.
typedef struct {
  V argument, shift, target, scale;
} Pair;

INLINE Pair pair_of(V sum, V rest, V e, V x, V weight) {
  V scale = wasm_f64x2_div(weight, sum);
  // log Σ − x, or, if the target is most of the sum, log(1 + rest/e), which does not cancel. The part of a small
  // ratio that 1 + ratio rounds off is added to the logarithm.
  V dominant = wasm_f64x2_lt(rest, e), one = wasm_f64x2_const_splat(1);
  V ratio = wasm_f64x2_div(rest, e), above = wasm_f64x2_add(one, ratio);
  V plain = wasm_f64x2_sub(wasm_f64x2_mul(e, scale), weight);
  return (Pair){
      .argument = select(dominant, above, sum),
      .shift = select(dominant, wasm_f64x2_sub(wasm_f64x2_sub(above, one), ratio), x),
      .target = select(dominant, wasm_f64x2_neg(wasm_f64x2_mul(rest, scale)), plain),
      .scale = scale,
  };
}

INLINE V loss_of(V argument, V shift, V weight) {
  V log = log_f64x2_inline(argument), nan = wasm_f64x2_sub(argument, argument); // the logarithm does not handle NaN
  shift = andnot(shift, wasm_f64x2_eq(weight, wasm_f64x2_const_splat(0))); // weight 0: loss 0, even if the shift is infinite
  return wasm_f64x2_mul(weight, wasm_f64x2_sub(wasm_f64x2_add(log, nan), shift));
}

// An element of each of four rows.
INLINE V one_of_each(const real *p, size_t step, V at) {
  V v = wasm_v128_load32_zero(p + wasm_i32x4_extract_lane(at, 0));
  v = wasm_v128_load32_lane(p + step + wasm_i32x4_extract_lane(at, 1), v, 1);
  v = wasm_v128_load32_lane(p + 2 * step + wasm_i32x4_extract_lane(at, 2), v, 2);
  return wasm_v128_load32_lane(p + 3 * step + wasm_i32x4_extract_lane(at, 3), v, 3);
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

// The rows of a block, four at a time: `e` are the exponentials, relative to `magic`, or to each row's own reference if
// that is 0. They are overwritten by the gradient if it is `wanted`. The logarithms are in a separate loop, so that many
// are computed in parallel.
SHARED void cross_entropy_block(real *loss, int wanted, real *e, const real *x, size_t rows, size_t classes,
                                const int *indices, real *scratch, real magic, const Target *target) {
  real *sums = scratch + SUMS, *shares = scratch + SHARES, *references = scratch + REFERENCES;
  V ignored = wasm_i32x4_splat(target->ignore), factor = wasm_f64x2_splat(target->scale),
    per = wasm_f64x2_splat(1 / target->temperature), least = wasm_f64x2_const_splat(0x1p-26);
  put_exact_sums(sums, e, rows, classes);
  for (size_t r = 0; r < rows; r += 4) {
    const real *row = e + r * classes;
    V index = load(indices + r), live = ne_index(index, ignored);
    index = and(index, live);
    V a = load(sums + 4 * r), b = load(sums + 4 * r + 4), c = load(sums + 4 * r + 8), d = load(sums + 4 * r + 12);
    V low = wasm_f64x2_add(wasm_i64x2_shuffle(a, b, 0, 2), wasm_i64x2_shuffle(a, b, 1, 3));
    V high = wasm_f64x2_add(wasm_i64x2_shuffle(c, d, 0, 2), wasm_i64x2_shuffle(c, d, 1, 3));
    V top = one_of_each(row, classes, index), logit = one_of_each(x + r * classes, classes, index);
    V top_low = widen_low(top), top_high = widen_high(top);
    V rest_low = wasm_f64x2_sub(low, top_low), rest_high = wasm_f64x2_sub(high, top_high);
    if (any_true(or (wasm_f64x2_lt(rest_low, wasm_f64x2_mul(low, least)),
                     wasm_f64x2_lt(rest_high, wasm_f64x2_mul(high, least))))) {
      double rest[4];
      int at[4];
      store(at, index);
      for (size_t u = 0; u < 4; u++) rest[u] = others_of(row + u * classes, classes, (size_t)at[u]);
      rest_low = load(rest), rest_high = load(rest + 2);
    }
    real *own = references + 2 * r;
    V base = magic != 0 ? splat(magic) : wasm_f32x4_make(own[0], own[2], own[4], own[6]);
    base = sub(base, splat(MAGIC + BIAS));
    V ln2 = wasm_f64x2_const_splat(LN2), weight = weights_of(target, index, live);
    Pair p = pair_of(low, rest_low, top_low,
                     wasm_f64x2_add(wasm_f64x2_mul(widen_low(base), ln2), wasm_f64x2_mul(widen_low(logit), per)),
                     wasm_f64x2_mul(widen_low(weight), factor));
    Pair q = pair_of(high, rest_high, top_high,
                     wasm_f64x2_add(wasm_f64x2_mul(widen_high(base), ln2), wasm_f64x2_mul(widen_high(logit), per)),
                     wasm_f64x2_mul(widen_high(weight), factor));
    V scale_low = wasm_f64x2_mul(p.scale, per), scale_high = wasm_f64x2_mul(q.scale, per);
    V whole = narrow(scale_low, scale_high);
    store(shares + 3 * r, whole);
    store(shares + 3 * r + 4, whole);
    store(shares + 3 * r + 8,
          narrow(wasm_f64x2_sub(scale_low, widen_low(whole)), wasm_f64x2_sub(scale_high, widen_high(whole))));
    // From here on, the sums and the references of these rows are not needed.
    store(own, narrow(wasm_f64x2_mul(p.target, per), wasm_f64x2_mul(q.target, per)));
    store(sums + 4 * r, p.argument);
    store(sums + 4 * r + 4, q.argument);
    store(sums + 4 * r + 8, p.shift);
    store(sums + 4 * r + 12, q.shift);
  }
  if (loss) {
    for (size_t r = 0; r < rows; r += 4) {
      V index = load(indices + r), live = ne_index(index, ignored);
      V weight = weights_of(target, and(index, live), live);
      const real *at = sums + 4 * r;
      V low = loss_of(load(at), load(at + 8), wasm_f64x2_mul(widen_low(weight), factor));
      V high = loss_of(load(at + 4), load(at + 12), wasm_f64x2_mul(widen_high(weight), factor));
      store(loss + r, and(live, narrow(low, high)));
    }
  }
  if (!wanted) return;
  scale_rows(e, rows, classes, shares);
  for (size_t r = 0; r < rows; r++, e += classes) {
    if (indices[r] != target->ignore)
      e[indices[r]] = references[r / 4 * 8 + r % 4];
    else
      for (size_t c = 0; c < classes; c++) e[c] = 0;
  }
}
#endif
