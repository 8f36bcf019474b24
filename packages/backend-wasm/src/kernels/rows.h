// Long rows, contiguous and without a temperature, one after the other: where softmax spends its time.
#pragma once
#include "partition.h"

// Measured crossovers: fewer classes go in lanes, rows longer than `LONG` are read once less.
#if REAL == 32
#define ROWS_FROM 48
#define LONG 6144
#define WINDOW 41
#else
#define ROWS_FROM 24
#define LONG 3072
#define WINDOW 400
#endif

// A row from class c on, one vector after the other, less `shift`.
COMPACT SHARED void row_rest(Sum *sum, real *out, const real *x, size_t c, size_t classes, const Reduction *at, V shift,
                             V *largest) {
  Sum s = *sum;
  V top = *largest;
  for (; c < classes; c += W) {
    size_t k = classes - c < W ? classes - c : W;
    V mask = part_mask(k), a = k == W ? load(x + c) : load_part(x + c, k);
    top = select(and(mask, lt(top, a)), a, top);
    a = and(exp_one(sub(a, shift), *at, 1, 0, 0), mask);
    if (k == W)
      store(out + c, a);
    else
      store_part(out + c, a, k);
    s = terms_add(s, a);
  }
  *sum = s;
  *largest = top;
}

// exp of a row into `out`, and its sum; where it is `clamped`, the row's maximum too. `out` may be the row.
INLINE Sum row_pass(real *out, const real *x, size_t classes, Reduction at, V *largest, int clamped) {
  Sum s = terms_zero();
  V v[4], e[4], top = *largest;
  size_t c = 0;
  for (; c + WIDE * W <= classes; c += WIDE * W) {
    EACH(WIDE, v[u] = load(x + c + u * W))
    if (clamped) EACH(WIDE, top = pmax(top, v[u]))
    exp_reduced(WIDE, e, v, at, clamped, 0, 0);
    EACH(WIDE, store(out + c + u * W, e[u]))
    s = terms_add_wide(s, e);
  }
  *largest = top;
  if (c < classes) row_rest(&s, out, x, c, classes, &at, splat(0), largest);
  return terms_total(s);
}

SHARED void row_pass_tracked(Sum *sum, real *out, const real *x, size_t classes, Reduction at, V *largest) {
  *sum = row_pass(out, x, classes, at, largest, 1);
}

SHARED real row_max(const real *x, size_t classes) {
  V a = load(x), b = a;
  size_t c = 0;
  for (; c + 2 * W <= classes; c += 2 * W) a = pmax(a, load(x + c)), b = pmax(b, load(x + c + W));
  for (; c < classes; c++) a = pmax(a, splat(x[c]));
  return horizontal_max(pmax(a, b));
}

#if REAL == 32
INLINE void row_extremes(const real *x, size_t classes, real *least, real *largest) {
  V a = load(x), b = a, l = a, m = a;
  size_t c = 0;
  for (; c + 4 * W <= classes; c += 4 * W) {
    V v0 = load(x + c), v1 = load(x + c + W), v2 = load(x + c + 2 * W), v3 = load(x + c + 3 * W);
    a = pmax(pmax(a, v0), v1), b = pmax(pmax(b, v2), v3);
    l = pmin(pmin(l, v0), v1), m = pmin(pmin(m, v2), v3);
  }
  for (; c + W <= classes; c += W) {
    V v = load(x + c);
    a = pmax(a, v), l = pmin(l, v);
  }
  for (; c < classes; c++) {
    V v = splat(x[c]);
    a = pmax(a, v), l = pmin(l, v);
  }
  *largest = horizontal_max(pmax(a, b));
  *least = horizontal_min(pmin(l, m));
}
#endif

// The sum over all lanes, in each lane.
INLINE Sum row_sum(Sum s) {
#if REAL == 32
  V total = wasm_f64x2_splat(sum_total(s));
  return (Sum){total, total};
#else
  double a = wasm_f64x2_extract_lane(s.high, 0), b = wasm_f64x2_extract_lane(s.high, 1);
  double t = a + b, z = t - a;
  double error = ((a - (t - z)) + (b - z)) + (wasm_f64x2_extract_lane(s.low, 0) + wasm_f64x2_extract_lane(s.low, 1));
  return (Sum){splat(t), splat(error)};
#endif
}

// float32 without fused multiply-add rounds the factor and the product: the one place where exactness is not free.
#if REAL == 32 && !defined(__wasm_relaxed_simd__)
#define row_scaled(a, f) mul(a, (f).whole)
#else
#define row_scaled(a, f) scaled(a, f)
#endif

INLINE Factor row_reciprocal(Sum s) {
#if REAL == 32
  double r = 1 / sum_total(s);
  float whole = (float)r;
  return (Factor){splat(whole), splat(whole), splat((float)(r - whole))};
#else
  return reciprocal(row_sum(s));
#endif
}

INLINE void row_scale(real *out, size_t classes, Factor f) {
  size_t c = 0;
  for (; c + WIDE * W <= classes; c += WIDE * W)
    EACH(WIDE, store(out + c + u * W, row_scaled(load(out + c + u * W), f)))
  for (; c < classes; c += W) {
    size_t k = classes - c < W ? classes - c : W;
    if (k == W)
      store(out + c, row_scaled(load(out + c), f));
    else
      store_part(out + c, row_scaled(load_part(out + c, k), f), k);
  }
}

// exp of a whole row relative to what suits it, and what the row is then known by: with the fewest operations its range
// allows.
SHARED void row_partition(Partition *p, real *out, const real *x, size_t classes) {
  p->shift = splat(0);
  if (classes >= LONG && out != x) {
    // The shift need not be the row's maximum. That of the first vectors serves unless one further on is far above it,
    // and then nothing of the row is lost yet.
    V first = pmax(pmax(load(x), load(x + W)), pmax(load(x + 2 * W), load(x + 3 * W)));
    real reference = horizontal_max(first);
    if (absolute(reference) < REDUCIBLE) {
      V top = splat(reference);
      p->at = reduction_at(top, 0, 0);
      row_pass_tracked(&p->sum, out, x, classes, p->at, &top);
      p->max = splat(horizontal_max(top));
      if (!any_true(lt(splat(reference + WINDOW), top))) return;
    }
  }
  real largest = row_max(x, classes);
  V top = p->max = splat(largest);
  p->at = reduction_at(top, 0, 0);
  if (!(absolute(largest) < REDUCIBLE)) {
    p->shift = top;
    p->at = reduction_at(splat(0), 0, 0);
    // Also where it is not finite: the sum is NaN then, and all of the row.
    p->sum = terms_zero();
    row_rest(&p->sum, out, x, 0, classes, &p->at, top, &top);
    p->sum = terms_total(p->sum);
  } else {
    row_pass_tracked(&p->sum, out, x, classes, p->at, &top);
  }
}

INLINE void softmax_rows(size_t begin, size_t end, size_t classes, real *out, const real *logits) {
  for (size_t row = begin; row < end; row++) {
    real *o = out + row * classes;
    const real *x = logits + row * classes;
#if REAL == 32
    // The ordinary row without a call: for a hundred classes that is worth a fifth of the time.
    if (classes < LONG) {
      real least, largest;
      row_extremes(x, classes, &least, &largest);
      if (absolute(largest) < REDUCIBLE && largest - least < 100) {
        V top = splat(largest);
        row_scale(o, classes, row_reciprocal(row_pass(o, x, classes, reduction_at(top, 0, 0), &top, 0)));
        continue;
      }
    }
#endif
    Partition p;
    row_partition(&p, o, x, classes);
    row_scale(o, classes, row_reciprocal(p.sum));
  }
}

// The logarithm of a row's sum. Where one term is more than half of it the others are added up on their own.
COMPACT SHARED void row_logarithm(Logarithm *l, const Partition *p, const real *x, size_t classes) {
  V largest = exp_call(sub(p->max, p->shift), p->at.magic, p->at.lowest);
  Sum sum = row_sum(p->sum);
#if REAL == 32
  V top = widen_low(largest);
#else
  V top = largest;
#endif
  Sum rest = {wasm_f64x2_sub(sum.high, top), REAL == 32 ? wasm_f64x2_sub(sum.low, top) : sum.low};
  if (any_true(wasm_f64x2_lt(rest.high, top))) {
    Sum s = sum_zero();
    for (size_t c = 0; c < classes; c += W) {
      size_t k = classes - c < W ? classes - c : W;
      V a = k == W ? load(x + c) : load_part(x + c, k);
      V e = exp_call(sub(a, p->shift), p->at.magic, p->at.lowest);
      s = sum_add(s, and(andnot(e, eq(a, p->max)), part_mask(k)));
    }
    rest = row_sum(s);
  }
  logarithm_from(l, sum, rest, largest);
}

#if REAL == 32
// Eight rows of three classes: two times three vectors, shuffled into lanes and back, side by side so that the chains
// of one fill the gaps of the other.
INLINE void triples_in(V *v, const float *x) {
  V a = load(x), b = load(x + 4), c = load(x + 8);
  v[0] = wasm_i32x4_shuffle(wasm_i32x4_shuffle(a, b, 0, 3, 6, 6), c, 0, 1, 2, 5);
  v[1] = wasm_i32x4_shuffle(wasm_i32x4_shuffle(a, b, 1, 4, 7, 7), c, 0, 1, 2, 6);
  v[2] = wasm_i32x4_shuffle(wasm_i32x4_shuffle(a, b, 2, 5, 5, 5), c, 0, 1, 4, 7);
}

INLINE void triples_out(float *out, const V *e) {
  V low = wasm_i32x4_shuffle(e[0], e[1], 0, 4, 1, 5), high = wasm_i32x4_shuffle(e[0], e[1], 2, 6, 3, 7);
  store(out, wasm_i32x4_shuffle(low, e[2], 0, 1, 4, 2));
  store(out + 4, wasm_i32x4_shuffle(wasm_i32x4_shuffle(low, e[2], 3, 5, 3, 3), high, 0, 1, 4, 5));
  store(out + 8, wasm_i32x4_shuffle(e[2], high, 2, 6, 7, 3));
}

INLINE int softmax_triples(float *out, const float *x) {
  V v[6], e[6];
  triples_in(v, x), triples_in(v + 3, x + 12);
  V first = pmax(pmax(v[0], v[1]), v[2]), second = pmax(pmax(v[3], v[4]), v[5]);
  if (!all_true(and(reducible(first, 0, 0), reducible(second, 0, 0)))) return 0;
  Reduction at[2] = {reduction_at(first, 0, 0), reduction_at(second, 0, 0)};
  exp_reduced_by(6, 3, e, v, at, 1, 0, 0);
  Factor f = reciprocal_of(sum_add(sum_add(sum_add(sum_zero(), e[0]), e[1]), e[2]));
  Factor g = reciprocal_of(sum_add(sum_add(sum_add(sum_zero(), e[3]), e[4]), e[5]));
  EACH(3, e[u] = scaled(e[u], f))
  EACH(3, e[u + 3] = scaled(e[u + 3], g))
  triples_out(out, e), triples_out(out + 12, e + 3);
  return 1;
}
#endif
