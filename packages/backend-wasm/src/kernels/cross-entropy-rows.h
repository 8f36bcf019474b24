// crossEntropy of contiguous float32 rows, one by one, with any target, mask and temperature.
#pragma once
#include "mask.h"
#include "single-rows.h"
#include "target.h"

#if REAL == 32
// The weights q of a row's target. Indices without class weights, or without smoothing, have the same weight everywhere but at the index: it takes no
// memory, and is not rounded.
typedef struct {
  const real *weights; // by class, or null if it is the same number everywhere but at the index
  double share; // that number
  double own; // what the index has more than that
  size_t index;
} RowTarget;

// Σ q (max − x) and Σ q, in float64, in which nothing overflows.
typedef struct {
  double dot, total;
} Dot;

INLINE double across(V low, V high) {
  V s = wasm_f64x2_add(low, high);
  return wasm_f64x2_extract_lane(s, 0) + wasm_f64x2_extract_lane(s, 1);
}

// Σ (max − x).
SHARED double row_gap(const real *x, size_t classes, V max) {
  V low = wasm_f64x2_const_splat(0), high = low, top = widen_low(max);
  size_t c = 0;
  for (; c + W <= classes; c += W) {
    low = wasm_f64x2_add(low, wasm_f64x2_sub(top, pair_at(x + c)));
    high = wasm_f64x2_add(high, wasm_f64x2_sub(top, pair_at(x + c + 2)));
  }
  double s = across(low, high);
  for (; c < classes; c++) s += (double)lane0(max) - x[c];
  return s;
}

// An infinite logarithm counts for nothing if its weight is 0.
#define weighted(q, gap) andnot(wasm_f64x2_mul(q, gap), wasm_f64x2_eq(q, wasm_f64x2_const_splat(0)))

SHARED Dot row_dot(const real *q, const real *x, size_t classes, V max) {
  V low = wasm_f64x2_const_splat(0), high = low, total = low, more = low, top = widen_low(max);
  size_t c = 0;
  for (; c + W <= classes; c += W) {
    V a = pair_at(q + c), b = pair_at(q + c + 2);
    total = wasm_f64x2_add(total, a), more = wasm_f64x2_add(more, b);
    low = wasm_f64x2_add(low, weighted(a, wasm_f64x2_sub(top, pair_at(x + c))));
    high = wasm_f64x2_add(high, weighted(b, wasm_f64x2_sub(top, pair_at(x + c + 2))));
  }
  Dot d = {across(low, high), across(total, more)};
  for (; c < classes; c++) {
    d.total += q[c];
    if (q[c] != 0) d.dot += q[c] * ((double)lane0(max) - x[c]);
  }
  return d;
}

COMPACT SHARED double row_others(const real *q, size_t classes, size_t but) {
  double s = 0;
  for (size_t c = 0; c < classes; c++)
    if (c != but) s += q[c];
  return s;
}

// The weights of a target by class: smoothed, then weighted, not yet 0 where masked. They are whole vectors: `q` has space for the last one.
COMPACT SHARED void put_weights(real *q, const Target *t, size_t row, size_t classes, double share) {
  // What the factor loses by rounding is added to the share.
  double factor = (real)(1 - t->smoothing);
  V by = splat((real)factor), lost = splat((real)(1 - factor - t->smoothing)), rest = splat((real)share);
  const real *p = t->probabilities ? t->probabilities + row * classes : 0;
  for (size_t c = 0; c < classes; c += W) {
    V v = p ? load(p + c) : splat(0);
    if (t->smoothing != 0) v = add(mul(v, by), add(mul(v, lost), rest));
    if (t->weight) v = mul(v, load(t->weight + c));
    store(q + c, v);
  }
  if (!p) {
    size_t index = (size_t)t->indices[row];
    real weight = t->weight ? t->weight[index] : 1;
    q[index] = ((real)factor + ((real)(1 - factor - t->smoothing) + (real)share)) * weight;
  }
}

// gradient = e k − q per.
SHARED void put_gradient(real *gradient, const real *e, size_t classes, const RowTarget *q, real k, real per) {
  real share = (real)(q->share * per);
  const real *w = q->weights;
  V by = splat(k), scale = splat(per), shares = splat(share);
  size_t c = 0;
#define LESS(weights)                                                                                                  \
  for (; c + 4 * W <= classes; c += 4 * W)                                                                             \
    EACH(4, store(gradient + c + u * W, sub(mul(load(e + c + u * W), by), weights)))
  if (w)
    LESS(mul(load(w + c + u * W), scale))
  else
    LESS(shares)
#undef LESS
  for (; c < classes; c++) gradient[c] = e[c] * k - (w ? w[c] * per : share);
}

// Elements of a row in scratch memory.
#define row_space(classes) (((classes) + 2 * W) & ~(size_t)(W - 1))
// Those before, for the exponentials.
#define ROW_SCRATCH (LOWESTS + STAGE * W)

// `per` is scale / T.
COMPACT SHARED void cross_entropy_row_of(real *loss, real *gradient, const real *logits, size_t classes, size_t row,
                                 const Target *target, const Temperature *t, real per, real *scratch) {
  int index = target->indices ? target->indices[row] : 0;
  const unsigned char *mask = target->mask ? target->mask + row % target->mask_outer * classes : 0;
  real *e = scratch + ROW_SCRATCH, *copy = e + row_space(classes), *q = copy + row_space(classes);
  const real *x = logits, *probabilities = target->probabilities ? target->probabilities + row * classes : 0;
  // The exponentials go to scratch memory if the gradient overwrites an operand that is still needed, or if there is no gradient.
  if (gradient && gradient != logits && gradient != probabilities) e = gradient;
  size_t count = classes;
  if (t->negative) {
    for (size_t c = 0; c < classes; c++) copy[c] = -x[c];
    x = copy;
  }
  if (mask) {
    V top = mask_row(copy, x, mask, classes);
    x = copy;
    if (target->smoothing != 0 || horizontal_max(top) == MASKED) count = kept_count(mask, classes);
  }
  if (count == 0 || (target->indices && index == target->ignore)) {
    if (loss) *loss = 0;
    for (size_t c = 0; gradient && c < classes; c++) gradient[c] = 0;
    return;
  }
  Partition p;
  Logarithm l;
  if (t->plain)
    row_partition(&p, e, x, classes, scratch);
  else
    row_partition_tempered(&p, e, x, classes, scratch, t);
  row_logarithm(&l, &p, x, classes, t);
  double share = target->smoothing / count, max = lane0(p.max);
  RowTarget of = {0, share, 0, (size_t)index};
  Dot dot;
  if (target->indices && (target->smoothing == 0 || (!target->weight && !mask))) {
    of.own = (1 - target->smoothing) * (target->weight ? target->weight[index] : 1);
    dot.total = of.own + share * classes;
    dot.dot = (share != 0 ? share * row_gap(x, classes, p.max) : 0) + (of.own != 0 ? of.own * (max - x[index]) : 0);
  } else {
    of.weights = q;
    if (probabilities && target->smoothing == 0 && !target->weight && !mask)
      of.weights = probabilities;
    else
      put_weights(q, target, row, classes, share);
    if (mask) fill(q, q, mask, classes, 0);
    dot = row_dot(of.weights, x, classes, p.max);
  }
  double log = wasm_f64x2_extract_lane(l.wide.high, 0);
  // A NaN row has a NaN loss, whatever the weights of its target.
  if (loss) *loss = log == log ? (real)((dot.dot / t->scale + dot.total * log) * target->scale) : (real)log;
  if (!gradient) return;
  double recip = 1 / sum_total(p.sum), remainder = lane0(l.remainder);
  size_t top = index;
  double at_index = 0, at_top = 0;
  int dominated = remainder < 0.5;
  if (dominated) {
    // Σ q without the class whose probability is above 1/2: Σ q − q would cancel.
    top = index_of(x, p.max);
    double rest;
    if (of.weights) {
      rest = dot.total - of.weights[top];
      if (__builtin_fabs(rest) < __builtin_fabs(dot.total) * 0x1p-20) rest = row_others(of.weights, classes, top);
    } else {
      rest = share * (classes - 1) + (top == of.index ? 0 : of.own);
    }
    at_top = (rest - remainder * dot.total) * per;
  }
  if (!of.weights) at_index = (e[index] * recip * dot.total - share - of.own) * per;
  double k = recip * dot.total * per;
  if (k == 0 || (__builtin_fabs(k) >= 0x1p-126 && __builtin_fabs(k) < 0x1p126))
    put_gradient(gradient, e, classes, &of, (real)k, per);
  else
    // In float64, in which no factor leaves the range.
    for (size_t c = 0; c < classes; c++)
      gradient[c] = (real)((e[c] * recip * dot.total - (of.weights ? of.weights[c] : share)) * per);
  if (!of.weights) gradient[index] = (real)at_index;
  if (dominated) gradient[top] = (real)at_top;
  if (mask) fill(gradient, gradient, mask, classes, 0);
}

COMPACT SHARED void cross_entropy_rows(size_t begin, size_t end, Rows r, real *loss, real *gradient, const real *logits,
                               real *scratch, const Target *target, const Temperature *t, real per) {
  size_t last = end * W < r.outer ? end * W : r.outer, classes = r.classes;
  // Logits of a negative temperature are negated before.
  Temperature size = *t;
  size.sign = splat(0);
  for (size_t row = begin * W; row < last; row++)
    cross_entropy_row_of(loss ? loss + row : 0, gradient ? gradient + row * classes : 0, logits + row * classes, classes,
                         row, target, &size, per, scratch);
}
#endif
