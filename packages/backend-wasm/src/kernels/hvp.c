// The derivative of each vjp along a tangent of the logits, in lanes. Directions are centred, v − ⟨p, v⟩, before they are
// multiplied by anything. A constant in a direction does not change the result, and is subtracted first: v at the entry of
// a probability above 1/2, because the difference would cancel otherwise; in other rows the rounded mean, so that what all
// entries have in common costs no digits of their differences.
#include "partition.h"

// The values that are subtracted from a direction: `shift`, and then the mean of the result.
typedef struct {
  V shift, mean;
} Center;

COMPACT SHARED V mean_of(Lanes p, Lanes v, size_t classes, V shift) {
  Sum sum = sum_zero();
  for (size_t c = 0; c < classes; c++) sum = sum_add(sum, mul(lanes_load(p, c), sub(lanes_load(v, c), shift)));
  return sum_rounded(sum);
}

COMPACT SHARED Center center_of(Lanes p, Lanes v, size_t classes) {
  V half = splat((real)0.5), shift = mean_of(p, v, classes, splat(0));
  for (size_t c = 0; c < classes; c++) shift = select(lt(half, lanes_load(p, c)), lanes_load(v, c), shift);
  return (Center){shift, mean_of(p, v, classes, shift)};
}

INLINE V centred(Lanes v, size_t c, Center at) { return sub(sub(lanes_load(v, c), at.shift), at.mean); }

// out = s ⊙ (a ⊙ b − ⟨s, a ⊙ b⟩) / T², a and b the centred cotangent and tangent.
COMPACT KERNEL(softmax_hvp)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out,
                            const real *s, const real *g, const real *t, real *scratch, double temperature) {
  Rows r = {outer, classes, inner};
  V scale = splat((real)(1 / temperature));
  for (size_t unit = begin; unit < end; unit++) {
    Group group = group_at(unit, r);
    real *third = scratch + 2 * classes * W;
    Lanes p = lanes_in(s, &group, classes, scratch), v = lanes_in(t, &group, classes, third);
    Lanes q = lanes_in(g, &group, classes, scratch + classes * W), products = {third, W};
    Center of_g = center_of(p, q, classes), of_t = center_of(p, v, classes);
    Sum sum = sum_zero();
    for (size_t c = 0; c < classes; c++) {
      V product = mul(centred(q, c, of_g), centred(v, c, of_t));
      lanes_store(products, c, product);
      sum = sum_add(sum, mul(lanes_load(p, c), product));
    }
    V mean = sum_rounded(sum);
    Lanes o = lanes_for(out, &group, scratch);
    for (size_t c = 0; c < classes; c++) {
      V d = mul(lanes_load(p, c), sub(lanes_load(products, c), mean));
      lanes_store(o, c, mul(mul(d, scale), scale));
    }
    lanes_out(out, &group, classes, o);
  }
}

// factor · p ⊙ (t − ⟨p, t⟩) / T² of a group; p is in scratch memory, where the result is written.
COMPACT SHARED void curvature_out(real *out, const Group *group, Lanes p, Lanes t, size_t classes, V factor, V scale) {
  Center at = center_of(p, t, classes);
  Lanes o = lanes_for(out, group, p.at);
  for (size_t c = 0; c < classes; c++) {
    V d = mul(factor, mul(lanes_load(p, c), centred(t, c, at)));
    lanes_store(o, c, mul(mul(d, scale), scale));
  }
  lanes_out(out, group, classes, o);
}

// out = −Σg · p ⊙ (t − ⟨p, t⟩) / T², p = exp(y).
COMPACT KERNEL(log_softmax_hvp)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out,
                                const real *y, const real *g, const real *t, real *scratch, double temperature) {
  Rows r = {outer, classes, inner};
  Reduction at = reduction_at(splat(0), 0, 0);
  V scale = splat((real)(1 / temperature));
  for (size_t unit = begin; unit < end; unit++) {
    Group group = group_at(unit, r);
    Lanes l = lanes_in(y, &group, classes, scratch), p = {scratch, W};
    Lanes q = lanes_in(g, &group, classes, scratch + classes * W);
    Sum sum = sum_zero();
    for (size_t c = 0; c < classes; c++) {
      lanes_store(p, c, exp_of_log(lanes_load(l, c), at));
      sum = sum_add(sum, lanes_load(q, c));
    }
    Lanes v = lanes_in(t, &group, classes, scratch + classes * W);
    curvature_out(out, &group, p, v, classes, neg(sum_rounded(sum)), scale);
  }
}

// out = g p ⊙ (t − ⟨p, t⟩) / T², p = softmax(x/T), with one g for each row.
COMPACT KERNEL(log_sum_exp_hvp)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out,
                                const real *logits, const real *g, const real *t, real *scratch, double temperature) {
  Rows r = {outer, classes, inner};
  Temperature tempered = temperature_of(temperature);
  V scale = splat((real)(1 / temperature));
  for (size_t unit = begin; unit < end; unit++) {
    Group group = group_at(unit, r);
    Lanes x = lanes_in(logits, &group, classes, scratch + classes * W), p = {scratch, W};
    Partition whole = partition(p, x, classes, &tempered);
    Factor share = reciprocal(whole.sum);
    for (size_t c = 0; c < classes; c++) lanes_store(p, c, scaled(lanes_load(p, c), share));
    Lanes v = lanes_in(t, &group, classes, scratch + classes * W);
    V factor = load_part_or_all(g + group.row, group.lanes);
    curvature_out(out, &group, p, v, classes, factor, scale);
  }
}
