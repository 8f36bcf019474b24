// The derivative of each vjp along a tangent of the logits, in lanes. Directions are centred, v − ⟨p, v⟩, before they are
// multiplied by anything. A constant in a direction does not change the result, and is subtracted first: v at the entry of
// a probability above 1/2, because the difference would cancel otherwise; in other rows the rounded mean, so that what all
// entries have in common costs no digits of their differences.
#include "partition.h"

// All of it is float64 for both dtypes: of float32, pairs of a group's rows, one after the other. No difference and no product of float32 leaves the range of
// float64; directions of float64 are brought to a size at which theirs do not, and the results back.
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
#define masks_of(a) {wasm_i64x2_extend_low_i32x4(a), wasm_i64x2_extend_high_i32x4(a)}
#define pairs_of_sum(s) {(s).high, (s).low}
#define pair_add(s, a) ((Sum){ADD((s).high, a), (s).low})
#define pair_sum(s) (s).high
#else
#define pair_load(m, c, k) lanes_load(m, c)
#define pair_store(m, c, k, v) lanes_store(m, c, v)
#define pairs_of(a) {a}
#define masks_of(a) {a}
#define pairs_of_sum(s) {sum_rounded(s)}
#define pair_add(s, a) sum_add(s, a)
#define pair_sum(s) sum_rounded(s)
#endif

// The values that are subtracted from a direction: `shift`, and then the mean of the result.
typedef struct {
  V shift[PAIRS], mean[PAIRS];
} Center;

#if REAL == 64
// Directions whose largest entry is between 2^-ORDINARY and 2^ORDINARY have products, also with probabilities and 1 / T², in the range of float64.
#define ORDINARY 400
#define power_of(n) wasm_i64x2_shl(wasm_i64x2_add(n, wasm_i64x2_const_splat(1023)), 52)
#define is_finite(a) lt(a, splat(__builtin_inf()))
#define is_ordinary(size) all_true(or(and(le(splat(0x1p-400), size), le(size, splat(0x1p400))), eq(size, splat(0))))

// Multiplies a direction by the power of 2 by which its largest entry is about 2^ORDINARY, in `to`, and adds the exponent that restores it to `power`. If
// there are weights, finite entries of weight 0, which may be far larger, do not count and become 0.
COMPACT SHARED Lanes normalised(Lanes v, const Lanes *weights, size_t classes, real *to, V *power) {
  V top = splat(0);
  for (size_t c = 0; c < classes; c++) {
    V a = vabs(lanes_load(v, c)), is_nothing = and(is_finite(a), weights ? eq(lanes_load(*weights, c), splat(0)) : splat(0));
    top = pmax(top, and(andnot(a, is_nothing), is_finite(a)));
    store(to + c * W, andnot(lanes_load(v, c), is_nothing));
  }
  V by = wasm_i64x2_sub(wasm_i64x2_const_splat(1023 + ORDINARY), wasm_u64x2_shr(top, 52)), part = wasm_i64x2_shr(by, 1);
  for (size_t c = 0; c < classes; c++)
    store(to + c * W, mul(mul(load(to + c * W), power_of(part)), power_of(wasm_i64x2_sub(by, part))));
  *power = wasm_i64x2_sub(*power, by);
  return (Lanes){to, W};
}

// Results times 2^power.
COMPACT SHARED void restored(Lanes o, size_t classes, V power) {
  if (!any_true(power)) return;
  V part = wasm_i64x2_shr(power, 2), rest = wasm_i64x2_sub(power, wasm_i64x2_shl(part, 2));
  for (size_t c = 0; c < classes; c++) {
    V a = mul(lanes_load(o, c), power_of(rest));
    EACH(4, a = mul(a, power_of(part)))
    lanes_store(o, c, a);
  }
}
#else
#define is_ordinary(size) 1
#define normalised(v, weights, classes, to, power) ((void)(to), (void)(power), v)
#define restored(o, classes, power)
#endif

// ⟨p, v − shift⟩, and of float64 the largest |v|.
COMPACT SHARED Sum mean_of(Lanes p, Lanes v, size_t classes, const V *shift, V *size) {
  Sum sum = sum_zero();
  V top = splat(0);
  for (size_t c = 0; c < classes; c++) {
    V a = lanes_load(p, c), b = lanes_load(v, c);
#if REAL == 32
    sum.high = ADD(sum.high, MUL(widen_low(a), SUB(widen_low(b), shift[0])));
    sum.low = ADD(sum.low, MUL(widen_high(a), SUB(widen_high(b), shift[1])));
#else
    top = pmax(top, vabs(b));
    sum = sum_add(sum, mul(a, sub(b, *shift)));
#endif
  }
  *size = top;
  return sum;
}

// A direction that is not ordinary is normalised in `to`.
COMPACT SHARED Center center_of(Lanes p, Lanes *v, size_t classes, real *to, V *power) {
  Center at;
  V half = splat((real)0.5), size, largest = splat(0), has_largest = largest;
  EACH(PAIRS, at.shift[u] = wasm_f64x2_const_splat(0))
  Sum sum = mean_of(p, *v, classes, at.shift, &size);
  if (!is_ordinary(size)) {
    *v = normalised(*v, &p, classes, to, power);
    sum = mean_of(p, *v, classes, at.shift, &size);
  }
  for (size_t c = 0; c < classes; c++) {
    V is_largest = lt(half, lanes_load(p, c));
    largest = select(is_largest, lanes_load(*v, c), largest), has_largest = or(has_largest, is_largest);
  }
  V means[PAIRS] = pairs_of_sum(sum), shifts[PAIRS] = pairs_of(largest), chosen[PAIRS] = masks_of(has_largest);
  EACH(PAIRS, at.shift[u] = select(chosen[u], shifts[u], means[u]))
  sum = mean_of(p, *v, classes, at.shift, &size);
  V rests[PAIRS] = pairs_of_sum(sum);
  EACH(PAIRS, at.mean[u] = rests[u])
  return at;
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

// −Σv; directions with infinities are normalised once, too.
COMPACT SHARED Sum minus_sum(Lanes *v, size_t classes, real *to, V *power) {
  for (int is_last = 0;; is_last = 1) {
    Sum sum = sum_zero();
    V size = splat(0);
    for (size_t c = 0; c < classes; c++) {
      V a = lanes_load(*v, c);
      sum = sum_add(sum, neg(a)), size = pmax(size, vabs(a));
    }
    if (is_last || is_ordinary(size)) return sum;
    *v = normalised(*v, 0, classes, to, power);
  }
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
    V power = splat(0);
    (void)power;
    if (of == LOG_SUM_EXP) {
      Partition whole = partition(p, l, classes, &tempered);
      Factor share = reciprocal(whole.sum);
      for (size_t c = 0; c < classes; c++) lanes_store(p, c, scaled(lanes_load(p, c), share));
      store(second, load_part_or_all(g + group.row, group.lanes));
      q.at = second;
      if (!is_ordinary(vabs(load(second)))) q = normalised(q, 0, 1, second, &power);
      sum = sum_add(sum, load(second));
    } else {
      q = lanes_in(g, &group, classes, second);
      if (of == LOG_SOFTMAX) {
        for (size_t c = 0; c < classes; c++) lanes_store(p, c, exp_of_log(lanes_load(l, c), at_0));
        sum = minus_sum(&q, classes, second, &power);
      } else {
        p = l;
        sum = sum_add(sum, splat(1));
      }
    }
    Lanes v = lanes_in(t, &group, classes, last);
    Center at = center_of(p, &v, classes, last, &power), of_g = at;
    if (of == SOFTMAX) of_g = center_of(p, &q, classes, second, &power);
    V factors[PAIRS] = pairs_of_sum(sum);
    Lanes o = lanes_for(out, &group, scratch);
    for (size_t k = 0; k < PAIRS; k++) {
#define ENTRY(c) (of == SOFTMAX ? MUL(centred(q, c, k, of_g), centred(v, c, k, at)) : centred(v, c, k, at))
      V factor = over_square(factors[k], temperature), mean = splat(0);
      if (of == SOFTMAX) {
        Sum total = sum_zero();
        for (size_t c = 0; c < classes; c++) total = pair_add(total, MUL(pair_load(p, c, k), ENTRY(c)));
        mean = pair_sum(total);
      }
      for (size_t c = 0; c < classes; c++)
        pair_store(o, c, k, MUL(MUL(SUB(ENTRY(c), mean), factor), pair_load(p, c, k)));
#undef ENTRY
    }
    restored(o, classes, power);
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
