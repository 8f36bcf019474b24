// The quantities that the softmax family needs of a group of rows in lanes: the maximum, the sum of the exponentials,
// and, if one entry is nearly all of it, the sum of the others separately, so that log p and p − 1 do not cancel.
#pragma once
#include "exp.h"
#include "lanes.h"
#include "log.h"

typedef struct {
  V shift; // subtracted from the logits before they are reduced
  V max; // of the logits, negated if T is negative
  Reduction at;
  Sum sum; // of exp(x/T), with the scale of the reduction
} Partition;

INLINE V logit(Lanes x, size_t c, int tempered, const Temperature *t) {
  V v = lanes_load(x, c);
  return tempered ? xor(v, t->sign) : v;
}

INLINE V lanes_max(Lanes x, size_t classes, int tempered, const Temperature *t) {
  V a = logit(x, 0, tempered, t), b = a;
  size_t c = 1;
  for (; c + 2 <= classes; c += 2) {
    a = pmax(a, logit(x, c, tempered, t));
    b = pmax(b, logit(x, c + 1, tempered, t));
  }
  if (c < classes) a = pmax(a, logit(x, c, tempered, t));
  return pmax(a, b);
}

// From class c on, for any temperature and shift. The exponentials go to `e`, which may be x itself.
COMPACT SHARED void partition_rest(Partition *p, Lanes e, Lanes x, size_t c, size_t classes, const Temperature *t) {
  Sum s = p->sum;
  for (; c < classes; c++) {
    V a = exp_one(sub(logit(x, c, 1, t), p->shift), p->at, 1, 1, t);
    lanes_store(e, c, a);
    s = terms_add(s, a);
  }
  p->sum = terms_total(s);
}

COMPACT SHARED void partition_tempered(Partition *p, Lanes e, Lanes x, size_t classes, const Temperature *t) {
  p->max = lanes_max(x, classes, 1, t);
  p->shift = andnot(p->max, reducible(p->max, 1, t));
  p->at = reduction_at(sub(p->max, p->shift), 1, t);
  p->sum = terms_zero();
  partition_rest(p, e, x, 0, classes, t);
}

// No temperature, and no row that needs a shift: the case that has its own loop for speed.
SHARED void partition_plain(Partition *p, Lanes e, Lanes x, size_t classes, const Temperature *t) {
  p->max = lanes_max(x, classes, 0, 0);
  p->shift = splat(0);
  if (!all_true(reducible(p->max, 0, 0))) {
    partition_tempered(p, e, x, classes, t);
    return;
  }
  Reduction at = p->at = reduction_at(p->max, 0, 0);
  V v[4], y[4];
  Sum s = terms_zero();
  size_t c = 0;
  for (; c + WIDE <= classes; c += WIDE) {
    EACH(WIDE, v[u] = lanes_load(x, c + u))
    exp_reduced(WIDE, y, v, at, 1, 0, 0);
    EACH(WIDE, lanes_store(e, c + u, y[u]))
    EACH(WIDE, s = terms_add(s, y[u]))
  }
  p->sum = s;
  partition_rest(p, e, x, c, classes, t);
}

INLINE Partition partition(Lanes e, Lanes x, size_t classes, const Temperature *t) {
  Partition p;
  if (t->plain)
    partition_plain(&p, e, x, classes, t);
  else
    partition_tempered(&p, e, x, classes, t);
  return p;
}

// A factor with more precision than `real`: `first` has half the bits, so that its product with half of another number
// is exact; `first + second` is the factor, and `whole` is its rounded value.
typedef struct {
  V whole, first, second;
} Factor;

#if REAL == 32
#define UPPER_HALF wasm_i32x4_const_splat(~0xfff)
#else
#define UPPER_HALF wasm_i64x2_const_splat(~0x7ffffffll)
#endif

// 1 / sum.
INLINE Factor reciprocal_of(Sum s) {
  Factor f;
#if REAL == 32
  V one = wasm_f64x2_const_splat(1);
  V low = wasm_f64x2_div(one, s.high), high = wasm_f64x2_div(one, s.low);
  f.whole = narrow(low, high);
#ifdef __wasm_relaxed_simd__
  f.first = f.whole;
#else
  f.first = and(f.whole, UPPER_HALF);
#endif
  f.second = narrow(wasm_f64x2_sub(low, widen_low(f.first)), wasm_f64x2_sub(high, widen_high(f.first)));
#else
  V total = add(s.high, s.low), error = add(sub(s.high, total), s.low);
  V r = div(splat(1), total);
  // 1 − r · total, exact except for the last products (Dekker, 1971), gives the bits beyond the precision of r.
  V r1 = and(r, UPPER_HALF), r2 = sub(r, r1), t1 = and(total, UPPER_HALF), t2 = sub(total, t1);
  V product = mul(r, total);
  V rest = add(add(add(sub(mul(r1, t1), product), mul(r1, t2)), mul(r2, t1)), mul(r2, t2));
  V correction = mul(r, sub(sub(sub(splat(1), product), rest), mul(r, error)));
  f.whole = add(r, correction);
#ifdef __wasm_relaxed_simd__
  f.first = r;
  f.second = correction;
#else
  f.first = r1;
  f.second = add(r2, correction);
#endif
#endif
  return f;
}

SHARED Factor reciprocal(Sum s) { return reciprocal_of(s); }

INLINE Factor factor_of(V whole) {
#ifdef __wasm_relaxed_simd__
  return (Factor){whole, whole, splat(0)};
#else
  V first = and(whole, UPPER_HALF);
  return (Factor){whole, first, sub(whole, first)};
#endif
}

// a times a factor, rounded once.
INLINE V scaled(V a, Factor f) {
#ifdef __wasm_relaxed_simd__
  return fma(a, f.first, mul(a, f.second));
#else
  V a1 = and(a, UPPER_HALF), a2 = sub(a, a1);
  return add(mul(a1, f.first), add(mul(a1, f.second), mul(a2, f.whole)));
#endif
}

typedef struct {
  V log; // log(Σ exp(x/T) / exp(max/T)) ≥ 0
  V remainder; // the share of all entries except the largest, computed without 1 − p
  Sum wide; // `log` in float64: lanes 0 and 1, lanes 2 and 3; for float64 unrounded, as high + low
} Logarithm;

// The sum of the exponentials without the largest one.
COMPACT SHARED Sum others(const Partition *p, Lanes x, size_t classes, const Temperature *t) {
  Sum s = sum_zero();
  for (size_t c = 0; c < classes; c++) {
    V a = logit(x, c, 1, t);
    s = sum_add(s, andnot(exp_one(sub(a, p->shift), p->at, 1, 1, t), eq(a, p->max)));
  }
  return s;
}

// log(1 + rest/top), float64 lanes; if rest/top is so small that the sum loses digits, by log1p (HP-15C handbook,
// 1982).
#if REAL == 32
INLINE V log_ratio(V rest, V top) {
  V r = wasm_f64x2_div(rest, top), one = wasm_f64x2_const_splat(1);
  V u = wasm_f64x2_add(one, r);
  return log_f64x2_of_sum(u, wasm_f64x2_sub(r, wasm_f64x2_sub(u, one)));
}
#else
// n / d − q, q being the quotient as rounded; NaN where it is infinite (Dekker, 1971).
SHARED V quotient_error(V n, V q, V d) {
  V q1 = and(q, UPPER_HALF), q2 = sub(q, q1), d1 = and(d, UPPER_HALF), d2 = sub(d, d1);
  return div(sub(sub(sub(sub(n, mul(q1, d1)), mul(q1, d2)), mul(q2, d1)), mul(q2, d2)), d);
}

INLINE V log_ratio(V rest, V error, V top, V *low) {
  V r = div(rest, top), u = add(splat(1), r);
  error = add(div(error, top), quotient_error(rest, r, top));
  return log_f64x2_pair_of_sum(u, add(sub(r, sub(u, splat(1))), error), low);
}

// a + b − sum, exactly.
INLINE V sum_error(V a, V b, V sum) {
  V z = sub(sum, a);
  return add(sub(a, sub(sum, z)), sub(b, z));
}
#endif

SHARED V largest_term(const Partition *p, const Temperature *t) {
  return exp_one(sub(p->max, p->shift), p->at, 0, 1, t);
}

// From the sum and the sum of all terms except the largest.
COMPACT SHARED void logarithm_from(Logarithm *l, Sum sum, Sum rest, V largest) {
#if REAL == 32
  l->wide.high = log_ratio(rest.high, widen_low(largest));
  l->wide.low = log_ratio(rest.low, widen_high(largest));
  l->log = narrow(l->wide.high, l->wide.low);
  l->remainder = narrow(wasm_f64x2_div(rest.high, sum.high), wasm_f64x2_div(rest.low, sum.low));
#else
  V left = add(rest.high, rest.low);
  l->wide.high = log_ratio(left, add(sub(rest.high, left), rest.low), largest, &l->wide.low);
  l->log = add(l->wide.high, l->wide.low);
  l->remainder = div(left, add(sum.high, sum.low));
#endif
}

COMPACT SHARED void logarithm(Logarithm *l, const Partition *p, Lanes x, size_t classes, const Temperature *t) {
  V largest = largest_term(p, t);
  // The sum has twice the bits of its terms, so the largest can be subtracted again unless it is nearly everything: for
  // float64 the errors of many small terms are themselves summed in float64.
#if REAL == 32
  Sum rest = {wasm_f64x2_sub(p->sum.high, widen_low(largest)), wasm_f64x2_sub(p->sum.low, widen_high(largest))};
  V least = wasm_f64x2_const_splat(0x1p-26);
  V few_high = wasm_f64x2_lt(rest.high, wasm_f64x2_mul(p->sum.high, least));
  V few_low = wasm_f64x2_lt(rest.low, wasm_f64x2_mul(p->sum.low, least));
#else
  Sum rest = {sub(p->sum.high, largest), p->sum.low};
  V few_high = lt(add(rest.high, rest.low), mul(p->sum.high, splat(0x1p-32))), few_low = few_high;
#endif
  // Not in the adjacent rows, which may have several largest entries.
  if (any_true(or (few_high, few_low))) {
    Sum s = others(p, x, classes, t);
    rest = (Sum){select(few_high, s.high, rest.high), select(few_low, s.low, rest.low)};
  }
  logarithm_from(l, p->sum, rest, largest);
}

// x/T − max/T − log Σ from d, the difference, and what rounding took off it.
INLINE V log_probability(V d, V error, const Logarithm *l) {
#if REAL == 32
  (void)error;
  return sub(d, l->log);
#else
  V minus = xor(l->wide.high, splat(-0.0)), y = add(d, minus);
  V precise = add(y, sub(add(error, sum_error(d, minus, y)), l->wide.low));
  // The errors of an infinity are NaN; the low part of a logarithm that is NaN is too.
  return select(eq(precise, precise), precise, sub(y, l->wide.low));
#endif
}

INLINE V shifted_by(V x, V max, V *error) {
  V minus = xor(max, splat(-0.0)), d = add(x, minus);
#if REAL == 64
  *error = sum_error(x, minus, d);
#else
  *error = d;
#endif
  return d;
}

// d / T, and the error of d with that of the division.
INLINE V divided(V d, double temperature, V *error) {
  V scale = splat((real)temperature), q = div(d, scale);
#if REAL == 64
  *error = add(div(*error, scale), quotient_error(d, q, scale));
#else
  (void)error;
#endif
  return q;
}
