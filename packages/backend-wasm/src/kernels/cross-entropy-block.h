// crossEntropy of class indices over a block of float32 rows, four at a time, from their exponentials.
#pragma once
#include "blocks.h"
#include "target.h"

#if REAL == 32
// Elements of an array. The positions are read from memory, which is faster than to take them from a vector.
INLINE V elements(const real *p, const int *at) {
  V v = wasm_v128_load32_zero(p + at[0]);
  v = wasm_v128_load32_lane(p + at[1], v, 1);
  v = wasm_v128_load32_lane(p + at[2], v, 2);
  return wasm_v128_load32_lane(p + at[3], v, 3);
}

// The sum of a row without one entry, for rows where the difference would cancel; of all if there is no such entry.
COMPACT SHARED double others_of(const real *e, size_t classes, size_t but) {
  double s = 0;
  for (size_t c = 0; c < classes; c++)
    if (c != but) s += e[c];
  return s;
}

// Shares below 2^-FAR_OCTAVES are 0 or clamped: log Σ − x then. Those with less than LEAST_REST to 1 take the sum of the others.
#define FAR_OCTAVES 100
#define LEAST_REST 0x1p-26f

// What replaces the sums of four rows, in vectors: first their inverses in float64, then the targets' shares, and the gradient at the targets.
#define inverse_at(sums) (sums)
#define octaves_at(sums) (sums)
#define rest_at(sums) ((sums) + 4)
#define own_at(sums) ((sums) + 8)
#define weights_at(sums) ((sums) + 12)

// Four rows: `at` is where `e` and `x` have the classes of their targets.
typedef struct {
  const real *e, *x, *magics;
  const int *at;
  real *sums;
  size_t classes;
  int apart;
  const Target *target;
} FourRows;

// The rows whose share is nearly 1, again. Returns whether there are any whose share is too small.
COMPACT SHARED int near_rows(const FourRows *f) {
  int far = 0;
  for (size_t u = 0; u < 4; u++) {
    real *sums = f->sums + u;
    far |= *octaves_at(sums) > FAR_OCTAVES;
    if (*octaves_at(sums) != 0 || !(*rest_at(sums) > -LEAST_REST)) continue;
    double q = others_of(f->e + u * f->classes, f->classes, (size_t)f->at[u] - u * f->classes);
    q /= q + f->e[f->at[u]];
    *rest_at(sums) = (real)-q;
    *own_at(sums) = (real)-(q * (*weights_at(sums) * (f->target->scale / f->target->temperature)));
  }
  return far;
}

// The losses of rows whose share is too small.
COMPACT SHARED void far_losses(const FourRows *f, real *loss) {
  for (size_t u = 0; u < 4; u++) {
    real *sums = f->sums + u, weight = *weights_at(sums);
    if (!(*octaves_at(sums) > FAR_OCTAVES)) continue;
    V sum = wasm_f64x2_splat(others_of(f->e + u * f->classes, f->classes, f->classes));
    double log = wasm_f64x2_extract_lane(log_f64x2(sum), 0);
    log -= (f->magics[2 * u * f->apart] - (MAGIC + BIAS)) * LN2 + f->x[f->at[u]] * (1 / f->target->temperature);
    // Weight 0: loss 0, even if the logarithm is infinite.
    loss[u] = weight == 0 ? 0 : weight * (real)f->target->scale * (real)log;
  }
}

#define FOUR_ROWS(r)                                                                                                   \
  {e + (r) * classes, x + (r) * classes, magic != 0 ? &magic : scratch + REFERENCES + 2 * (r), at + (r),               \
   sums + 4 * (r),    classes,           magic == 0, target}

// The rows of a block, four at a time: `e` are the exponentials, relative to `magic`, or to each row's own reference if
// that is 0. They are overwritten by the gradient if it is `wanted`. Divisions, shares and logarithms have their own loops, so that many of each are
// computed in parallel. Rare rows are listed and computed again afterwards: a branch on them in the loop would keep no value in registers.
SHARED void cross_entropy_block(real *loss, int wanted, real *e, const real *x, size_t rows, size_t classes,
                                const int *indices, real *scratch, real magic, const Target *target) {
  real *sums = scratch + SUMS, *shares = scratch + SHARES;
  const real *weights = target->weight;
  // The first of four rows that are rare, and where rows have the class of their target: in the place of what was between the stages of exp.
  unsigned *rare = (unsigned *)scratch, count = 0;
  int *at = (int *)scratch + STRETCH / 8, step = (int)classes;
  V ignored = wasm_i32x4_splat(target->ignore), starts = wasm_i32x4_make(0, step, 2 * step, 3 * step);
  V kept = wasm_i32x4_splat(0), one = wasm_f64x2_const_splat(1), factor = wasm_f64x2_splat(target->scale / target->temperature);
  for (size_t r = 0; r < rows; r += 4) {
    V index = load(indices + r), live = ne_index(index, ignored);
    index = where(live, index);
    kept = wasm_i32x4_sub(kept, live);
    store(at + r, wasm_i32x4_add(index, starts));
    store(shares + 3 * r, weights ? elements(weights, (const int *)&index) : splat(1));
  }
  put_exact_sums(sums, e, rows, classes);
  for (size_t r = 0; r < rows; r += 4) {
    real *s = sums + 4 * r, *f = shares + 3 * r;
    V a = load(s), b = load(s + 4), c = load(s + 8), d = load(s + 12), w = load(f);
    store(weights_at(s), w);
    V low = wasm_f64x2_div(one, wasm_f64x2_add(wasm_i64x2_shuffle(a, b, 0, 2), wasm_i64x2_shuffle(a, b, 1, 3)));
    V high = wasm_f64x2_div(one, wasm_f64x2_add(wasm_i64x2_shuffle(c, d, 0, 2), wasm_i64x2_shuffle(c, d, 1, 3)));
    store(inverse_at(s), low);
    store(inverse_at(s) + 4, high);
    low = wasm_f64x2_mul(low, wasm_f64x2_mul(widen_low(w), factor));
    high = wasm_f64x2_mul(high, wasm_f64x2_mul(widen_high(w), factor));
    V whole_low = wasm_f32x4_demote_f64x2_zero(low), whole_high = wasm_f32x4_demote_f64x2_zero(high);
    V whole = wasm_i64x2_shuffle(whole_low, whole_high, 0, 2);
    store(f, whole);
    store(f + 4, whole);
    store(f + 8, narrow(wasm_f64x2_sub(low, widen_low(whole_low)), wasm_f64x2_sub(high, widen_low(whole_high))));
  }
  for (size_t r = 0; r < rows; r += 4) {
    real *s = sums + 4 * r;
    V top = elements(e + r * classes, at + r), w = load(weights_at(s));
    V p_low = wasm_f64x2_mul(widen_low(top), load(inverse_at(s)));
    V p_high = wasm_f64x2_mul(widen_high(top), load(inverse_at(s) + 4));
    V q_low = wasm_f64x2_sub(one, p_low), q_high = wasm_f64x2_sub(one, p_high), q = narrow(q_low, q_high);
    Share share = share_of(p_low, p_high, q);
    rare[count] = r;
    count += any_lane(or(lt(q, splat(LEAST_REST)), lt(splat(FAR_OCTAVES), share.octaves)));
    q_low = wasm_f64x2_mul(q_low, wasm_f64x2_mul(widen_low(w), factor));
    q_high = wasm_f64x2_mul(q_high, wasm_f64x2_mul(widen_high(w), factor));
    store(octaves_at(s), share.octaves);
    store(rest_at(s), share.rest);
    store(own_at(s), minus(narrow(q_low, q_high)));
  }
  unsigned far = 0;
  for (unsigned k = 0; k < count; k++) {
    size_t r = rare[far] = rare[k];
    FourRows four = FOUR_ROWS(r);
    far += near_rows(&four);
  }
  if (loss) {
    V scale = splat((real)target->scale);
    for (size_t r = 0; r < rows; r += 4) {
      real *s = sums + 4 * r;
      V log = minus_log((Share){load(octaves_at(s)), load(rest_at(s))});
      store(loss + r, mul(mul(load(weights_at(s)), scale), log));
    }
    for (unsigned k = 0; k < far; k++) {
      size_t r = rare[k];
      FourRows four = FOUR_ROWS(r);
      far_losses(&four, loss + r);
    }
  }
  if (wanted) {
    scale_rows(e, rows, classes, shares);
    for (size_t r = 0; r < rows; r += 4)
      EACH(4, e[r * classes + at[r + u]] = own_at(sums + 4 * r)[u])
  }
  if (all_true(wasm_i32x4_eq(kept, wasm_i32x4_splat((int)rows / 4)))) return;
  for (size_t r = 0; r < rows; r++) {
    if (indices[r] != target->ignore) continue;
    if (loss) loss[r] = 0;
    for (size_t c = 0; wanted && c < classes; c++) e[r * classes + c] = 0;
  }
}
#endif
