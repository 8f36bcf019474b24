// Rows one by one, contiguous and without a temperature: long rows, and rows that blocks do not handle.
#pragma once
#include "stretch.h"

// Rows of fewer classes are processed in lanes, which measured faster. A row has at least four vectors.
#if REAL == 32
#define ROWS_FROM 16
#define WINDOW 41
#else
#define ROWS_FROM 8
#define WINDOW 400
#endif

// A row from class c on, one vector after the other, less `shift`.
COMPACT SHARED void row_shifted(Sum *sum, real *out, const real *x, size_t classes, const Reduction *at, V shift) {
  Sum s = terms_zero();
  for (size_t c = 0; c < classes; c += W) {
    size_t k = classes - c < W ? classes - c : W;
    V a = and(exp_one(sub(load_part_or_all(x + c, k), shift), *at, 1, 0, 0), part_mask(k));
    store_part_or_all(out + c, a, k);
    s = terms_add(s, a);
  }
  *sum = terms_total(s);
}

// exp of a row into `out` and its sum; without a temperature, its maximum too. `out` may be the row.
SHARED void row_pass(Sum *sum, real *out, const real *x, size_t classes, const Reduction *at, real *scratch,
                     V *largest, const Temperature *t) {
  Sum s = sum_zero();
  for (size_t c = 0; c < classes; c += STRETCH) {
    size_t n = classes - c < STRETCH ? classes - c : STRETCH;
    if (!t)
      exp_tracked(out + c, x + c, n, at, scratch, largest);
    else
      exp_apart(out + c, x + c, n, scratch, 0, t);
    s = terms_join(s, terms(out + c, n));
  }
  *sum = s;
}

SHARED real row_max(const real *x, size_t classes) {
  V a = load(x), b = a;
  size_t c = 0;
  for (; c + 2 * W <= classes; c += 2 * W) a = pmax(a, load(x + c)), b = pmax(b, load(x + c + W));
  for (; c < classes; c++) a = pmax(a, splat(x[c]));
  return horizontal_max(pmax(a, b));
}

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

// float32 without fused multiply-add rounds the products twice: here exactness would cost time.
#if REAL == 32 && !defined(__wasm_relaxed_simd__)
#define row_scaled(a, f) add(mul(a, (f).whole), mul(a, (f).second))
#define row_factor(a)                                                                                                  \
  (Factor) { a, a, splat(0) }
#else
#define row_factor(a) factor_of(a)
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

SHARED void row_scale(real *out, size_t classes, const Factor *by) {
  Factor f = *by;
  size_t c = 0;
  for (; c + 4 * W <= classes; c += 4 * W) EACH(4, store(out + c + u * W, row_scaled(load(out + c + u * W), f)))
  for (; c < classes; c += W) {
    size_t k = classes - c < W ? classes - c : W;
    store_part_or_all(out + c, row_scaled(load_part_or_all(out + c, k), f), k);
  }
}

// Elements of scratch memory before the exponentials of a row, if they are stored there.
#define PASS_SCRATCH (STRETCH + 16)

// exp of a whole row whose largest logit is known, and its sum and reference. `out` may be the row.
SHARED void row_partition_below(Partition *p, real *out, const real *x, size_t classes, real *scratch, real largest) {
  V top = p->max = splat(largest);
  p->shift = splat(0);
  p->at = reduction_at(top, 0, 0);
  if (!(absolute(largest) < REDUCIBLE)) {
    p->shift = top;
    p->at = reduction_at(splat(0), 0, 0);
    // Also if it is not finite: then the sum is NaN, and so is the whole row.
    row_shifted(&p->sum, out, x, classes, &p->at, top);
  } else {
    row_pass(&p->sum, out, x, classes, &p->at, scratch, &top, 0);
  }
}

// The same with a suitable reference: with the fewest operations that the row's range allows.
SHARED void row_partition(Partition *p, real *out, const real *x, size_t classes, real *scratch) {
  if (out != x) {
    // The shift does not have to be the row's maximum. That of the first vectors is used unless a later one is far above
    // it, in which case nothing of the row has been overwritten yet.
    V first = pmax(pmax(load(x), load(x + W)), pmax(load(x + 2 * W), load(x + 3 * W)));
    real reference = horizontal_max(first);
    if (absolute(reference) < REDUCIBLE) {
      V top = splat(reference);
      p->shift = splat(0);
      p->at = reduction_at(top, 0, 0);
      row_pass(&p->sum, out, x, classes, &p->at, scratch, &top, 0);
      real most = horizontal_max(top);
      p->max = splat(most);
      if (most <= reference + WINDOW && absolute(most) < REDUCIBLE) return;
    }
  }
  row_partition_below(p, out, x, classes, scratch, row_max(x, classes));
}

// Where a row has its largest entry.
INLINE size_t index_of(const real *x, V largest) {
  size_t c = 0;
  while (!any_true(eq(load(x + c), largest))) c += W;
  while (x[c] != lane0(largest)) c++;
  return c;
}

#if REAL == 32
// The same for any temperature, of logits that are negated if it is negative. Those that are too large are shifted first, in `out`.
COMPACT SHARED void row_partition_tempered(Partition *p, real *out, const real *x, size_t classes, real *scratch,
                                           const Temperature *t) {
  V top = p->max = splat(row_max(x, classes)), shift = p->shift = andnot(top, reducible(top, 1, t));
  Reduction at = p->at = reduction_at(sub(top, shift), 1, t);
  if (any_true(ne(shift, splat(0)))) {
    for (size_t c = 0; c < classes; c++) out[c] = x[c] - lane0(shift);
    x = out;
  }
  for (size_t c = 0; c < STAGE * W; c += W) store(scratch + MAGICS + c, at.magic), store(scratch + LOWESTS + c, at.lowest);
  row_pass(&p->sum, out, x, classes, &at, scratch, 0, t);
}
#endif

// The logarithm of a row's sum. If one term is more than half of it, the others are summed separately.
COMPACT SHARED void row_logarithm(Logarithm *l, const Partition *p, const real *x, size_t classes,
                                  const Temperature *t) {
  V largest = largest_term(p, t);
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
      V e = exp_one(sub(a, p->shift), p->at, 1, 1, t);
      s = sum_add(s, and(andnot(e, eq(a, p->max)), part_mask(k)));
    }
    rest = row_sum(s);
  }
#if REAL == 32
  // The same in all lanes.
  V log = log_ratio(rest.high, top), share = wasm_f64x2_div(rest.high, sum.high);
  *l = (Logarithm){narrow(log, log), narrow(share, share), {log, log}};
#else
  logarithm_from(l, sum, rest, largest);
#endif
}
