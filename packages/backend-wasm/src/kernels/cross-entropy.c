// loss = −scale Σ q log p and gradient = scale/T (p Σ q − q), p = softmax(x/T), over each row; either may be null.
#include "cross-entropy-block.h"
#include "cross-entropy-rows.h"
#include "single-rows.h"
#include "target.h"

INLINE V index_lanes(const int *indices, const Group *g) {
#if REAL == 32
  int v[4];
  for (int l = 0; l < 4; l++) v[l] = indices[g->row + ((size_t)l < g->lanes ? (size_t)l : g->lanes - 1)];
  return wasm_v128_load(v);
#else
  return wasm_i64x2_make(indices[g->row], indices[g->row + (g->lanes > 1)]);
#endif
}

// All ones in the lanes whose row keeps a class, which is `step` elements after `at`, those of the first class in the mask.
INLINE V kept_at(const unsigned char *mask, const size_t *at, size_t step) {
#if REAL == 32
  int v[4];
#else
  long long v[2];
#endif
  for (int l = 0; l < W; l++) v[l] = mask[at[l] + step] ? -1 : 0;
  return load(v);
}

// The weights of a class, in which masked ones are not yet 0.
INLINE V target_weight(const Target *t, size_t c, V index, Lanes q, V share) {
  V v = t->indices ? and(same_index(index, index_splat(c)), splat(1)) : lanes_load(q, c);
  if (t->smoothing != 0) {
    // What the factor loses by rounding is added to the share.
    double factor = (real)(1 - t->smoothing);
    v = add(mul(v, splat((real)factor)), add(mul(v, splat((real)(1 - factor - t->smoothing))), share));
  }
  return t->weight ? mul(v, splat(t->weight[c])) : v;
}

#define FAR 0x1p64

#if REAL == 64
// (a − b) / T in units of FAR, from a quarter of each, so that the difference is finite. No weight is large enough to make the unit overflow.
INLINE V far_gap(V a, V b, const Temperature *t) {
  return div(sub(mul(a, splat(0.25)), mul(b, splat(0.25))), splat(t->scale * (FAR / 4)));
}
#endif

// weight (log + (a − b) / T) if the difference overflows.
COMPACT SHARED real far_loss(real weight, real log, real a, real b, double temperature) {
  real gap = (real)((a * (real)0.25 - b * (real)0.25) * (4 / FAR) / temperature);
  return weight * (gap + log * (real)(1 / FAR)) * (real)FAR;
}

// scale / T as two factors: the second is 1 unless the quotient overflows.
typedef struct {
  real first, second;
} Slope;

#define GREATEST_FACTOR (REAL == 32 ? 0x1p127 : 0x1p1023)

COMPACT SHARED Slope slope_of(const Target *t) {
  double per = t->scale / t->temperature;
  if (__builtin_fabs(per) < GREATEST_FACTOR) return (Slope){(real)per, 1};
  return (Slope){(real)GREATEST_FACTOR, (real)(t->scale / GREATEST_FACTOR / t->temperature)};
}

// The gradient of a group from `e`, times a second factor by row.
COMPACT SHARED void gradient_out(real *gradient, const Group *g, size_t classes, Lanes e, V second) {
  if (any_true(ne(second, splat(1))))
    for (size_t c = 0; c < classes; c++) lanes_store(e, c, mul(lanes_load(e, c), second));
  if (g->contiguous)
    for (size_t c = 0; c < classes; c++) store(gradient + g->base[0] + c * g->step, lanes_load(e, c));
  else
    lanes_out(gradient, g, classes, e);
}

// Scratch memory: of each class a vector of logits, exponentials, weights, and, with a mask, which lanes it keeps.
COMPACT SHARED void cross_entropy_lanes(size_t begin, size_t end, Rows r, real *loss, real *gradient,
                                        const real *logits, real *scratch, const Target *target, const Temperature *t) {
  size_t size = r.classes * W;
  Slope per = slope_of(target);
  V first = splat(per.first), half = splat((real)0.5);
  for (size_t unit = begin; unit < end; unit++) {
    Group g = group_at(unit, r);
    Lanes x = lanes_in(logits, &g, r.classes, scratch), e = {scratch + size, W}, q = {0, 0};
    Lanes weights = {scratch + 2 * size, W}, keep = {scratch + 3 * size, W};
    if (target->probabilities) q = lanes_in(target->probabilities, &g, r.classes, scratch + 2 * size);
    V index = splat(0), ignored = splat(0), share = splat((real)(target->smoothing / r.classes));
    if (target->indices) {
      index = index_lanes(target->indices, &g);
      ignored = same_index(index, index_splat(target->ignore));
    }
    if (target->mask) {
      V count = splat(0), gone = splat((real)-__builtin_inf());
      Lanes all = {scratch, W};
      size_t starts[W];
      for (int l = 0; l < W; l++) starts[l] = g.base[l] % (target->mask_outer * r.classes * r.inner);
      for (size_t c = 0; c < r.classes; c++) {
        V is_kept = kept_at(target->mask, starts, c * g.step);
        count = add(count, and(is_kept, splat(1)));
        lanes_store(keep, c, is_kept);
        lanes_store(all, c, select(is_kept, lanes_load(x, c), xor(gone, t->sign)));
      }
      x = all;
      share = div(splat((real)target->smoothing), count);
    }
    Partition p = partition(e, x, r.classes, t);
    Logarithm l;
    logarithm(&l, &p, x, r.classes, t);
    Sum total = sum_zero(), dot = sum_zero();
    for (size_t c = 0; c < r.classes; c++) {
      V w = target_weight(target, c, index, q, share);
      if (target->mask) w = and(w, lanes_load(keep, c));
      lanes_store(weights, c, w);
      total = sum_add(total, w);
#if REAL == 32
      // In float64, in which nothing overflows. An infinite logarithm counts for nothing if its weight is 0.
      V a = select(eq(w, splat(0)), p.max, logit(x, c, 1, t)), by = wasm_f64x2_splat(t->scale);
      V low = wasm_f64x2_div(wasm_f64x2_sub(widen_low(p.max), widen_low(a)), by);
      V high = wasm_f64x2_div(wasm_f64x2_sub(widen_high(p.max), widen_high(a)), by);
      low = wasm_f64x2_mul(widen_low(w), wasm_f64x2_add(low, l.wide.high));
      high = wasm_f64x2_mul(widen_high(w), wasm_f64x2_add(high, l.wide.low));
      dot = (Sum){wasm_f64x2_add(dot.high, low), wasm_f64x2_add(dot.low, high)};
#else
      V error, d = shifted_by(logit(x, c, 1, t), p.max, &error);
      if (!t->plain) d = divided(d, t->scale, &error);
      V minus = xor(log_probability(d, error, &l), splat(-0.0));
      dot = sum_add(dot, andnot(mul(w, minus), eq(w, splat(0))));
#endif
    }
    V sum = sum_rounded(total), scale = wasm_f64x2_splat(target->scale);
#if REAL == 32
    V value = narrow(wasm_f64x2_mul(dot.high, scale), wasm_f64x2_mul(dot.low, scale));
#else
    V value = mul(sum_rounded(dot), scale), far = eq(vabs(value), splat(__builtin_inf()));
    if (loss && any_true(far)) {
      // Again for rows where x/T − max overflows but its product with w may not.
      Sum small = sum_zero();
      for (size_t c = 0; c < r.classes; c++) {
        V w = lanes_load(weights, c);
        V d = add(far_gap(p.max, logit(x, c, 1, t), t), mul(l.log, splat(1 / FAR)));
        small = sum_add(small, andnot(mul(w, d), eq(w, splat(0))));
      }
      value = select(far, mul(mul(sum_rounded(small), scale), splat(FAR)), value);
    }
#endif
    // A NaN row has a NaN loss, whatever the weights of its target.
    value = select(eq(l.log, l.log), value, l.log);
    if (loss) {
      V v = andnot(value, ignored);
      // A fully masked row has no weights and a loss of 0: its share is a quotient by 0.
      if (target->mask) v = and(v, lt(share, splat((real)__builtin_inf())));
      store_row_values(loss, &g, v);
    }
    if (!gradient) continue;
    Factor recip = reciprocal(p.sum);
    // Σ q without the class whose probability is above 1/2: Σ q − q would cancel. A remainder may be rounded to 1/2 where the probability is rounded
    // to a number above it: such a row has no digits to lose.
    V others = splat(0), dominated = lt(l.remainder, half);
    if (any_true(dominated)) {
      Sum rest = sum_zero();
      for (size_t c = 0; c < r.classes; c++) {
        V w = lanes_load(weights, c);
        rest = sum_add(rest, andnot(w, lt(half, mul(lanes_load(e, c), recip.whole))));
      }
      others = sum_rounded(rest);
    }
    for (size_t c = 0; c < r.classes; c++) {
      V w = lanes_load(weights, c), probability = mul(lanes_load(e, c), recip.whole);
      V plain = sub(mul(probability, sum), w);
      V near = sub(others, mul(l.remainder, sum));
      V d = andnot(mul(select(and(dominated, lt(half, probability)), near, plain), first), ignored);
      if (target->mask) d = and(d, lanes_load(keep, c));
      lanes_store(e, c, d);
    }
    gradient_out(gradient, &g, r.classes, e, splat(per.second));
  }
}

// Only class indices and class weights: the softmax of each row, then a correction at its target.
COMPACT SHARED void cross_entropy_of_indices(size_t begin, size_t end, Rows r, real *loss, real *gradient,
                                             const real *logits, real *scratch, const Target *target,
                                             const Temperature *t) {
  Slope per = slope_of(target);
  for (size_t unit = begin; unit < end; unit++) {
    Group g = group_at(unit, r);
    Lanes x = lanes_in(logits, &g, r.classes, scratch), e = {scratch + r.classes * W, W};
    Partition p = partition(e, x, r.classes, t);
    Logarithm l;
    logarithm(&l, &p, x, r.classes, t);
    real weight[W], logits_of[W], live[W], share[W], top[W], remainder[W];
    size_t at[W];
    store(top, p.max);
    store(remainder, l.remainder);
    store(share, reciprocal(p.sum).whole);
    for (size_t k = 0; k < W; k++) {
      int index = target->indices[g.row + (k < g.lanes ? k : g.lanes - 1)];
      live[k] = index != target->ignore;
      at[k] = live[k] ? (size_t)index : 0;
      weight[k] = live[k] ? target->weight ? target->weight[index] : 1 : 0;
      real logit = x.at[at[k] * x.step + k];
      logits_of[k] = t->negative ? -logit : logit;
    }
    V alive = ne(load(live), splat(0));
    V w = load(weight);
    if (loss) {
      // A weight of 0 turns an infinite loss into 0.
      V error, d = shifted_by(load(logits_of), p.max, &error), none = eq(w, splat(0));
#if REAL == 32
      // T has more bits than a float32.
      if (!t->plain) d = narrow(wasm_f64x2_div(widen_low(d), wasm_f64x2_splat(t->scale)), wasm_f64x2_div(widen_high(d), wasm_f64x2_splat(t->scale)));
#else
      if (!t->plain) d = divided(d, t->scale, &error);
#endif
      V minus = xor(log_probability(andnot(d, none), andnot(error, none), &l), splat(-0.0));
      V value = and(alive, mul(mul(w, minus), splat((real)target->scale)));
      if (any_true(eq(vabs(value), splat((real)__builtin_inf())))) {
        real values[W], logs[W];
        store(values, value), store(logs, l.log);
        for (size_t k = 0; k < W; k++)
          if (absolute(values[k]) == (real)__builtin_inf())
            values[k] = far_loss(weight[k] * (real)target->scale, logs[k], top[k], logits_of[k], t->scale);
        value = load(values);
      }
      store_row_values(loss, &g, value);
    }
    if (!gradient) continue;
    V factor = mul(w, splat(per.first)), second = splat(per.second), recip = load(share);
    V far = eq(vabs(factor), splat((real)__builtin_inf()));
    // Two factors where one would overflow, because its product with 0 would be NaN.
    factor = select(far, w, factor), second = select(far, splat(per.first), second);
    real probability[W], factors[W];
    store(factors, factor);
    for (size_t k = 0; k < W; k++) probability[k] = e.at[at[k] * W + k] * share[k];
    for (size_t c = 0; c < r.classes; c++) lanes_store(e, c, and(alive, mul(mul(lanes_load(e, c), recip), factor)));
    for (size_t k = 0; k < W; k++)
      if (live[k])
        e.at[at[k] * W + k] = (probability[k] > (real)0.5 ? -remainder[k] : probability[k] - 1) * factors[k];
    gradient_out(gradient, &g, r.classes, e, second);
  }
}

#if REAL == 64
#define LEAST_NORMAL 0x1p-1022

COMPACT SHARED void cross_entropy_row(real *loss, real *gradient, const real *x, size_t classes, int index,
                                      const Target *t, const Temperature *by, real *scratch) {
  if (index == t->ignore) {
    if (loss) *loss = 0;
    for (size_t c = 0; gradient && c < classes; c++) gradient[c] = 0;
    return;
  }
  Partition p;
  Logarithm l;
  // The exponentials go to scratch memory if the gradient overwrites the logits, which are still needed, or if there is no gradient.
  real *e = gradient && gradient != x ? gradient : scratch + PASS_SCRATCH;
  row_partition(&p, e, x, classes, scratch);
  row_logarithm(&l, &p, x, classes, by);
  real weight = (t->weight ? t->weight[index] : 1) * (real)t->scale;
  if (loss) {
    *loss = weight * (lane0(l.log) - (weight != 0 ? x[index] - lane0(p.max) : 0));
    if (absolute(*loss) == (real)__builtin_inf()) *loss = far_loss(weight, lane0(l.log), lane0(p.max), x[index], 1);
  }
  if (!gradient) return;
  real share = lane0(reciprocal(row_sum(p.sum)).whole), probability = e[index] * share, both = share * weight;
  // Below the normal numbers the product of both factors has lost digits that the gradient may have.
  int apart = absolute(both) < LEAST_NORMAL && weight != 0;
  Factor factor = row_factor(splat(apart ? share : both));
  row_scale(e, classes, &factor);
  if (apart) {
    factor = row_factor(splat(weight));
    row_scale(e, classes, &factor);
  }
  e[index] = (probability > (real)0.5 ? -lane0(l.remainder) : probability - 1) * weight;
  if (e != gradient) __builtin_memcpy(gradient, e, classes * sizeof(real));
}
#else
// Whether weight · scale / T is so far from the ends of the range that a block may divide it by the sum of a row, which is up to
// 2^OFFSET · MOST_CLASSES, and at least 2^(OFFSET - 1) or, where rows share a reference (T = 1), 2^OFFSET · exp(-NEAR).
SHARED int is_for_blocks(const Target *t, size_t classes) {
  double factor = __builtin_fabs(t->scale / t->temperature), least = factor, most = factor;
  for (size_t c = 0; t->weight && c < classes; c++) {
    double weight = __builtin_fabs(t->weight[c]) * factor;
    if (weight != 0 && weight < least) least = weight;
    if (weight > most) most = weight;
  }
  return least >= 0x1p-80 && most < (t->temperature == 1 ? 0x1p13 : 0x1p100);
}

// Whole groups of rows; all others are processed in lanes.
INLINE void cross_entropy_blocks(size_t begin, size_t end, Rows r, real *loss, real *gradient, const real *logits,
                                 real *scratch, const Target *target, const Temperature *t) {
  size_t groups = block_groups(r.classes), whole = r.outer / W < end ? r.outer / W : end;
  for (size_t unit = begin, next; unit < whole; unit = next) {
    next = whole - unit < groups ? whole : unit + groups;
    size_t first = unit * W, rows = (next - unit) * W, from = first * r.classes;
    real *e = gradient && gradient != logits ? gradient + from : scratch + EXPONENTIALS;
    Reduction at;
    real magic = 0;
    if (t->plain && block_near(e, logits + from, rows, r.classes, scratch, &at))
      magic = lane0(at.magic);
    else if (!block_apart(e, logits + from, rows, r.classes, scratch, t)) {
      cross_entropy_of_indices(unit, next, r, loss, gradient, logits, scratch, target, t);
      continue;
    }
    cross_entropy_block(loss ? loss + first : 0, gradient != 0, e, logits + from, rows, r.classes,
                        target->indices + first, scratch, magic, target);
    if (gradient == logits) __builtin_memcpy(gradient + from, e, rows * r.classes * sizeof(real));
  }
  if (whole < end) cross_entropy_of_indices(whole, end, r, loss, gradient, logits, scratch, target, t);
}
#endif

COMPACT KERNEL(cross_entropy)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *loss,
                              real *gradient, const real *logits, real *scratch, const int *indices,
                              const real *probabilities, const real *weight, const unsigned char *mask,
                              size_t mask_outer, double smoothing, double scale, double temperature, int ignore) {
  Rows r = {outer, classes, inner};
  Target target = {indices, probabilities, weight, mask, mask_outer, smoothing, scale, temperature, ignore};
  Temperature t = temperature_of(temperature);
  int plain_target = indices && !mask && smoothing == 0;
#if REAL == 32
  Slope per = slope_of(&target);
  if (plain_target && inner == 1 && classes > 1 && classes <= MOST_CLASSES && is_for_blocks(&target, classes)) {
    cross_entropy_blocks(begin, end, r, loss, gradient, logits, scratch, &target, &t);
    return;
  }
  if (inner == 1 && classes >= ROWS_FROM && per.second == 1) {
    cross_entropy_rows(begin, end, r, loss, gradient, logits, scratch, &target, &t, per.first);
    return;
  }
#else
  if (plain_target && inner == 1 && t.plain && classes >= ROWS_FROM) {
    size_t last = end * W < outer ? end * W : outer;
    for (size_t row = begin * W; row < last; row++)
      cross_entropy_row(loss ? loss + row : 0, gradient ? gradient + row * classes : 0, logits + row * classes, classes,
                        indices[row], &target, &t, scratch);
    return;
  }
#endif
  if (plain_target)
    cross_entropy_of_indices(begin, end, r, loss, gradient, logits, scratch, &target, &t);
  else
    cross_entropy_lanes(begin, end, r, loss, gradient, logits, scratch, &target, &t);
}
