// The derivative of each vjp along a tangent of the logits, in lanes. Directions are centred, v − ⟨p, v⟩, before they are
// multiplied by anything. A constant in a direction does not change the result, and is subtracted first: v at the entry of
// a probability above 1/2, because the difference would cancel otherwise; in other rows the rounded mean, so that what all
// entries have in common costs no digits of their differences.
#include "partition.h"

// Means and products are float64 for both dtypes: of float32, pairs of a group's rows, one after the other.
#define PAIRS (W / 2)
#define ADD wasm_f64x2_add
#define SUB wasm_f64x2_sub
#define MUL wasm_f64x2_mul
#define DIV wasm_f64x2_div

// `pairs_of` and `pairs_of_sum` are a number for each row, in pairs.
#if REAL == 32
#define pair_load(m, c, k) wasm_f64x2_promote_low_f32x4(wasm_v128_load64_zero((m).at + 2 * (k) + (c) * (m).step))
#define pair_store(m, c, k, v)                                                                                         \
  wasm_v128_store64_lane((m).at + 2 * (k) + (c) * (m).step, wasm_f32x4_demote_f64x2_zero(v), 0)
#define pairs_of(a) {widen_low(a), widen_high(a)}
#define pairs_of_sum(s) {(s).high, (s).low}
#define pair_add(s, a) ((Sum){ADD((s).high, a), (s).low})
#define pair_sum(s) (s).high
#else
#define pair_load(m, c, k) lanes_load(m, c)
#define pair_store(m, c, k, v) lanes_store(m, c, v)
#define pairs_of(a) {a}
#define pairs_of_sum(s) {sum_rounded(s)}
#define pair_add(s, a) sum_add(s, a)
#define pair_sum(s) sum_rounded(s)
#endif

// The values that are subtracted from a direction: `shift`, and then the mean of the result.
typedef struct {
  V shift[PAIRS], mean[PAIRS];
} Center;

// ⟨p, v − shift⟩
COMPACT SHARED Sum mean_of(Lanes p, Lanes v, size_t classes, V shift) {
  Sum sum = sum_zero();
  for (size_t c = 0; c < classes; c++) {
    V a = lanes_load(p, c), d = sub(lanes_load(v, c), shift);
#if REAL == 32
    sum.high = ADD(sum.high, MUL(widen_low(a), widen_low(d)));
    sum.low = ADD(sum.low, MUL(widen_high(a), widen_high(d)));
#else
    sum = sum_add(sum, mul(a, d));
#endif
  }
  return sum;
}

COMPACT SHARED Center center_of(Lanes p, Lanes v, size_t classes) {
  V half = splat((real)0.5), shift = sum_rounded(mean_of(p, v, classes, splat(0)));
  for (size_t c = 0; c < classes; c++) shift = select(lt(half, lanes_load(p, c)), lanes_load(v, c), shift);
  Sum mean = mean_of(p, v, classes, shift);
  return (Center){pairs_of(shift), pairs_of_sum(mean)};
}

#define centred(v, c, k, at) SUB(SUB(pair_load(v, c, k), (at).shift[k]), (at).mean[k])

// a / T², of float64 rounded once.
INLINE V over_square(V a, double temperature) {
#if REAL == 32
  V scale = wasm_f64x2_splat(temperature);
  return DIV(DIV(a, scale), scale);
#else
  V error = splat(0), quotient = divided(divided(a, temperature, &error), temperature, &error);
  V precise = add(quotient, error);
  // The errors of an infinity are NaN.
  return select(eq(precise, precise), precise, quotient);
#endif
}

enum { SOFTMAX, LOG_SOFTMAX, LOG_SUM_EXP };

// out = factor · p ⊙ (v − ⟨p, v⟩) / T², of softmax with p = s, factor 1 and as v the product of the centred cotangent and tangent; of the others with v = t,
// of logSoftmax with p = exp(x) and factor −Σg, of logSumExp with p = softmax(x/T) and as factor the row's g.
COMPACT SHARED void hvp(int of, size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out,
                        const real *x, const real *g, const real *t, real *scratch, double temperature) {
  Rows r = {outer, classes, inner};
  Temperature tempered = temperature_of(temperature);
  Reduction at_0 = reduction_at(splat(0), 0, 0);
  size_t size = classes * W;
  real *second = scratch + size, *last = of == SOFTMAX ? second + size : second;
  for (size_t unit = begin; unit < end; unit++) {
    Group group = group_at(unit, r);
    Lanes l = lanes_in(x, &group, classes, scratch), p = {scratch, W}, q = l;
    Sum sum = sum_zero();
    if (of == LOG_SUM_EXP) {
      Partition whole = partition(p, l, classes, &tempered);
      Factor share = reciprocal(whole.sum);
      for (size_t c = 0; c < classes; c++) lanes_store(p, c, scaled(lanes_load(p, c), share));
      sum = sum_add(sum, load_part_or_all(g + group.row, group.lanes));
    } else {
      q = lanes_in(g, &group, classes, second);
      if (of == LOG_SOFTMAX) {
        for (size_t c = 0; c < classes; c++) {
          lanes_store(p, c, exp_of_log(lanes_load(l, c), at_0));
          sum = sum_add(sum, neg(lanes_load(q, c)));
        }
      } else {
        p = l;
        sum = sum_add(sum, splat(1));
      }
    }
    Lanes v = lanes_in(t, &group, classes, last);
    Center at = center_of(p, v, classes);
    if (of == SOFTMAX) {
      Center of_g = center_of(p, q, classes);
      Lanes products = {last, W};
      for (size_t k = 0; k < PAIRS; k++) {
        Sum mean = sum_zero();
        for (size_t c = 0; c < classes; c++) {
          V product = MUL(centred(q, c, k, of_g), centred(v, c, k, at));
          pair_store(products, c, k, product);
          mean = pair_add(mean, MUL(pair_load(p, c, k), product));
        }
        at.shift[k] = splat(0), at.mean[k] = pair_sum(mean);
      }
      v = products;
    }
    V factors[PAIRS] = pairs_of_sum(sum);
    Lanes o = lanes_for(out, &group, scratch);
    for (size_t k = 0; k < PAIRS; k++) {
      V factor = over_square(factors[k], temperature);
      for (size_t c = 0; c < classes; c++)
        pair_store(o, c, k, MUL(MUL(pair_load(p, c, k), centred(v, c, k, at)), factor));
    }
    lanes_out(out, &group, classes, o);
  }
}

#define HVP(name, of)                                                                                                  \
  KERNEL(name)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out, const real *x,         \
               const real *g, const real *t, real *scratch, double temperature) {                                      \
    hvp(of, begin, end, outer, classes, inner, out, x, g, t, scratch, temperature);                                    \
  }

HVP(softmax_hvp, SOFTMAX)
HVP(log_softmax_hvp, LOG_SOFTMAX)
HVP(log_sum_exp_hvp, LOG_SUM_EXP)

#undef ADD
#undef SUB
#undef MUL
#undef DIV
