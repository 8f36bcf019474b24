// out = x/T − log Σ exp(x/T), and log Σ exp(x/T).
#include "log-softmax-block.h"
#include "masked-parts.h"

INLINE void log_softmax_row(real *out, const real *x, size_t classes, real *scratch, const Temperature *t) {
  Partition p;
  Logarithm l;
  row_partition(&p, out == x ? scratch + PASS_SCRATCH : out, x, classes, scratch);
  row_logarithm(&l, &p, x, classes, t);
  for (size_t c = 0; c < classes; c += W) {
    size_t k = classes - c < W ? classes - c : W;
    V error, d = shifted_by(load_part_or_all(x + c, k), p.max, &error);
    store_part_or_all(out + c, log_probability(d, error, &l), k);
  }
}

COMPACT SHARED void log_softmax_lanes(size_t begin, size_t end, Rows r, real *out, const real *logits, real *scratch,
                                      const Temperature *t) {
  for (size_t unit = begin; unit < end; unit++) {
    Group g = group_at(unit, r);
    Lanes x = lanes_in(logits, &g, r.classes, scratch), o = lanes_for(out, &g, scratch);
    Partition p = partition((Lanes){scratch + r.classes * W, W}, x, r.classes, t);
    Logarithm l;
    logarithm(&l, &p, x, r.classes, t);
    // Halves if T is large: the difference may overflow although the quotient does not.
    double share = t->scale > 1 ? 0.5 : 1;
    V part = splat((real)share), max = mul(p.max, part);
    for (size_t c = 0; c < r.classes; c++) {
      V error, d = shifted_by(mul(logit(x, c, 1, t), part), max, &error);
      if (!t->plain) d = divided(d, t->scale * share, &error);
      lanes_store(o, c, log_probability(d, error, &l));
    }
    lanes_out(out, &g, r.classes, o);
  }
}

#if REAL == 32
typedef void OfBlock(real *, const real *, size_t, size_t, real *, const real *, const Temperature *);
typedef void OfLanes(size_t, size_t, Rows, real *, const real *, real *, const Temperature *);

// Whole groups of rows without a temperature; all others are processed in lanes. A row has `width` results.
COMPACT SHARED void in_blocks(size_t begin, size_t end, Rows r, real *out, size_t width, const real *logits, real *scratch,
                      const Temperature *t, OfBlock *of_block, OfLanes *of_lanes) {
  size_t groups = block_groups(r.classes), whole = r.outer / W < end ? r.outer / W : end;
  for (size_t unit = begin, next; unit < whole; unit = next) {
    next = whole - unit < groups ? whole : unit + groups;
    size_t first = unit * W, rows = next * W - first;
    real *e = scratch + EXPONENTIALS;
    const real *x = logits + first * r.classes;
    Reduction at;
    if (block_near(e, x, rows, r.classes, scratch, &at)) {
      real magic = lane0(at.magic);
      of_block(out + first * width, x, rows, r.classes, scratch, &magic, t);
    } else if (block_apart(e, x, rows, r.classes, scratch, t)) {
      of_block(out + first * width, x, rows, r.classes, scratch, 0, t);
    } else {
      of_lanes(unit, next, r, out, logits, scratch, t);
    }
  }
  if (whole < end) of_lanes(whole, end, r, out, logits, scratch, t);
}
#endif

COMPACT SHARED void log_softmax_units(size_t begin, size_t end, Rows r, real *out, const real *logits, real *scratch,
                                      const Temperature *t) {
  int plain = r.inner == 1 && t->plain;
#if REAL == 32
  if (plain && r.classes > 1 && r.classes <= MOST_CLASSES) {
    in_blocks(begin, end, r, out, r.classes, logits, scratch, t, log_softmax_block, log_softmax_lanes);
    return;
  }
#endif
  if (plain && r.classes >= ROWS_FROM) {
    size_t last = end * W < r.outer ? end * W : r.outer;
    for (size_t row = begin * W; row < last; row++)
      log_softmax_row(out + row * r.classes, logits + row * r.classes, r.classes, scratch, t);
    return;
  }
  log_softmax_lanes(begin, end, r, out, logits, scratch, t);
}

COMPACT KERNEL(log_softmax)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out,
                            const real *logits, real *scratch, double temperature, const unsigned char *mask,
                            size_t mask_outer) {
  Rows r = {outer, classes, inner};
  Temperature t = temperature_of(temperature);
  if (mask)
    in_masked_parts(begin, end, r, out, logits, scratch, &t, mask, mask_outer, MASKED, log_softmax_units, 0);
  else
    log_softmax_units(begin, end, r, out, logits, scratch, &t);
}

// out[o, i] = log Σ exp(x/T): max/T + log of the ratio, added in float64.
COMPACT SHARED void log_sum_exp_lanes(size_t begin, size_t end, Rows r, real *out, const real *logits, real *scratch,
                                      const Temperature *t) {
  for (size_t unit = begin; unit < end; unit++) {
    Group g = group_at(unit, r);
    Lanes x = lanes_in(logits, &g, r.classes, scratch);
    Partition p = partition((Lanes){scratch + r.classes * W, W}, x, r.classes, t);
    Logarithm l;
    logarithm(&l, &p, x, r.classes, t);
#if REAL == 32
    V scale = wasm_f64x2_splat(t->scale);
    V value = narrow(wasm_f64x2_add(wasm_f64x2_div(widen_low(p.max), scale), l.wide.high),
                     wasm_f64x2_add(wasm_f64x2_div(widen_high(p.max), scale), l.wide.low));
#else
    V error = splat(0), max = divided(p.max, t->scale, &error), sum = add(max, l.wide.high);
    V precise = add(sum, add(sum_error(max, l.wide.high, sum), add(error, l.wide.low)));
    V value = select(eq(precise, precise), precise, add(sum, l.wide.low));
#endif
    // A row that has only −Infinity has log 0; a row with +Infinity gives +Infinity, unless it has a NaN.
    V infinite = eq(vabs(p.max), splat((real)__builtin_inf())), nan = splat(0);
    if (any_true(infinite)) {
      for (size_t c = 0; c < r.classes; c++) nan = or (nan, ne(lanes_load(x, c), lanes_load(x, c)));
      value = select(andnot(infinite, nan), p.max, value);
    }
    store_row_values(out, &g, value);
  }
}

COMPACT KERNEL(log_sum_exp)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out,
                            const real *logits, real *scratch, double temperature) {
  Rows r = {outer, classes, inner};
  Temperature t = temperature_of(temperature);
#if REAL == 32
  if (inner == 1 && t.plain && classes > 1 && classes <= MOST_CLASSES) {
    in_blocks(begin, end, r, out, 1, logits, scratch, &t, log_sum_exp_block, log_sum_exp_lanes);
    return;
  }
#endif
  log_sum_exp_lanes(begin, end, r, out, logits, scratch, &t);
}
