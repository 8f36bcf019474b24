// out = x/T − log Σ exp(x/T), and its derivatives, which take the output.
#include "blocks.h"

INLINE void log_softmax_row(real *out, const real *x, size_t classes, real *scratch) {
  Partition p;
  Logarithm l;
  row_partition(&p, out, x, classes, scratch);
  row_logarithm(&l, &p, x, classes);
  for (size_t c = 0; c < classes; c += W) {
    size_t k = classes - c < W ? classes - c : W;
    if (k == W)
      store(out + c, sub(sub(load(x + c), p.max), l.log));
    else
      store_part(out + c, sub(sub(load_part(x + c, k), p.max), l.log), k);
  }
}

#if REAL == 32
// The largest logit of each of four rows.
INLINE V row_largest(const real *x, size_t classes) {
  V a = load(x + classes - W);
  for (size_t c = 0; c + W < classes; c += W) a = pmax(a, load(x + c));
  return a;
}

SHARED V fours_largest(const real *x, size_t f) {
  if (f < W) {
    V top = wasm_f32x4_make(x[0], x[f], x[2 * f], x[3 * f]);
    for (size_t c = 1; c < f; c++) top = pmax(top, wasm_f32x4_make(x[c], x[f + c], x[2 * f + c], x[3 * f + c]));
    return top;
  }
  V a = row_largest(x, f), b = row_largest(x + f, f), c = row_largest(x + 2 * f, f), d = row_largest(x + 3 * f, f);
  transpose(&a, &b, &c, &d);
  return pmax(pmax(a, b), pmax(c, d));
}

// The sum of a row's exponentials without the largest.
COMPACT SHARED double less_largest(const real *e, const real *x, size_t classes, real largest) {
  double s = 0;
  for (size_t c = 0; c < classes; c++)
    if (x[c] != largest) s += e[c];
  return s;
}

// In loops of their own, so that many logarithms are under way.
SHARED void log_softmax_block(real *out, const real *x, size_t rows, size_t classes, real *scratch, const real *magic,
                              const Temperature *t) {
  real *e = scratch + EXPONENTIALS, *sums = scratch + SUMS, *largests = scratch + SHARES, *own = scratch + REFERENCES;
  V least = wasm_f64x2_const_splat(0x1p-26);
  put_exact_sums(sums, e, rows, classes);
  for (size_t r = 0; r < rows; r += 4) {
    V top = fours_largest(x + r * classes, classes), magics = splat(magic ? *magic : 0);
    if (!magic) magics = wasm_f32x4_make(own[2 * r], own[2 * r + 2], own[2 * r + 4], own[2 * r + 6]);
    V largest = exp_one(top, (Reduction){magics, top}, 0, 1, t);
    V low = widen_low(largest), high = widen_high(largest);
    V a = load(sums + 4 * r), b = load(sums + 4 * r + 4), c = load(sums + 4 * r + 8), d = load(sums + 4 * r + 12);
    V sum_low = wasm_f64x2_add(wasm_i64x2_shuffle(a, b, 0, 2), wasm_i64x2_shuffle(a, b, 1, 3));
    V sum_high = wasm_f64x2_add(wasm_i64x2_shuffle(c, d, 0, 2), wasm_i64x2_shuffle(c, d, 1, 3));
    V rest_low = wasm_f64x2_sub(sum_low, low), rest_high = wasm_f64x2_sub(sum_high, high);
    V few_low = wasm_f64x2_lt(rest_low, wasm_f64x2_mul(sum_low, least));
    V few_high = wasm_f64x2_lt(rest_high, wasm_f64x2_mul(sum_high, least));
    if (any_true(or (few_low, few_high))) {
      double rest[4];
      for (size_t u = 0; u < 4; u++)
        rest[u] = less_largest(e + (r + u) * classes, x + (r + u) * classes, classes, ((const real *)&top)[u]);
      // Not in the rows beside it: the largest of those may be several.
      rest_low = select(few_low, load(rest), rest_low), rest_high = select(few_high, load(rest + 2), rest_high);
    }
    store(largests + r, top);
    store(sums + 4 * r, wasm_f64x2_div(rest_low, low));
    store(sums + 4 * r + 4, wasm_f64x2_div(rest_high, high));
  }
  for (size_t r = 0; r < rows; r += 4)
    store(sums + 4 * r, narrow(log_1p(load(sums + 4 * r)), log_1p(load(sums + 4 * r + 4))));
  for (size_t r = 0; r < rows; r++, out += classes, x += classes) {
    V top = splat(largests[r]), log = splat(sums[r / 4 * 16 + r % 4]);
    if (classes < W) {
      for (size_t c = 0; c < classes; c++) out[c] = x[c] - lane0(top) - lane0(log);
      continue;
    }
    V last = sub(sub(load(x + classes - W), top), log);
    for (size_t c = 0; c + W < classes; c += W) store(out + c, sub(sub(load(x + c), top), log));
    store(out + classes - W, last);
  }
}

#endif

COMPACT SHARED void log_softmax_lanes(size_t begin, size_t end, Rows r, real *out, const real *logits, real *scratch,
                                      const Temperature *t) {
  for (size_t unit = begin; unit < end; unit++) {
    Group g = group_at(unit, r);
    Lanes x = lanes_in(logits, &g, r.classes, scratch), o = lanes_for(out, &g, scratch);
    Partition p = partition((Lanes){scratch + r.classes * W, W}, x, r.classes, t);
    Logarithm l;
    logarithm(&l, &p, x, r.classes, t);
    for (size_t c = 0; c < r.classes; c++) {
      V d = sub(logit(x, c, 1, t), p.max);
      if (!t->plain) d = div(d, splat((real)t->scale));
      lanes_store(o, c, sub(d, l.log));
    }
    lanes_out(out, &g, r.classes, o);
  }
}

#if REAL == 32
// Whole groups of rows without a temperature; what is not for blocks is left to lanes.
INLINE void log_softmax_blocks(size_t begin, size_t end, Rows r, real *out, const real *logits, real *scratch,
                               const Temperature *t) {
  size_t groups = block_groups(r.classes), whole = r.outer / W < end ? r.outer / W : end;
  for (size_t unit = begin, next; unit < whole; unit = next) {
    next = whole - unit < groups ? whole : unit + groups;
    size_t rows = (next - unit) * W, from = unit * W * r.classes;
    real *e = scratch + EXPONENTIALS;
    const real *x = logits + from;
    Reduction at;
    if (block_near(e, x, rows * r.classes, scratch, &at)) {
      real magic = lane0(at.magic);
      log_softmax_block(out + from, x, rows, r.classes, scratch, &magic, t);
    } else if (block_apart(e, x, rows, r.classes, scratch, t)) {
      log_softmax_block(out + from, x, rows, r.classes, scratch, 0, t);
    } else {
      log_softmax_lanes(unit, next, r, out, logits, scratch, t);
    }
  }
  if (whole < end) log_softmax_lanes(whole, end, r, out, logits, scratch, t);
}
#endif

COMPACT KERNEL(log_softmax)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out,
                            const real *logits, real *scratch, double temperature) {
  Rows r = {outer, classes, inner};
  Temperature t = temperature_of(temperature);
#if REAL == 32
  if (inner == 1 && t.plain && classes > 1 && classes <= MOST_CLASSES) {
    log_softmax_blocks(begin, end, r, out, logits, scratch, &t);
    return;
  }
#endif
  if (inner == 1 && t.plain && classes >= ROWS_FROM && out != logits) {
    size_t last = end * W < outer ? end * W : outer;
    for (size_t row = begin * W; row < last; row++)
      log_softmax_row(out + row * classes, logits + row * classes, classes, scratch);
    return;
  }
  log_softmax_lanes(begin, end, r, out, logits, scratch, &t);
}

// out[o, i] = log Σ exp(x/T): max/T + log of the ratio, added in float64.
COMPACT KERNEL(log_sum_exp)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out,
                            const real *logits, real *scratch, double temperature) {
  Rows r = {outer, classes, inner};
  Temperature t = temperature_of(temperature);
  for (size_t unit = begin; unit < end; unit++) {
    Group g = group_at(unit, r);
    Lanes x = lanes_in(logits, &g, r.classes, scratch);
    Partition p = partition((Lanes){scratch + classes * W, W}, x, classes, &t);
    Logarithm l;
    logarithm(&l, &p, x, classes, &t);
    V scale = wasm_f64x2_splat(t.scale);
#if REAL == 32
    V value = narrow(wasm_f64x2_add(wasm_f64x2_div(widen_low(p.max), scale), l.wide.high),
                     wasm_f64x2_add(wasm_f64x2_div(widen_high(p.max), scale), l.wide.low));
#else
    V value = add(div(p.max, scale), l.log);
#endif
    // A row of nothing but −Infinity has log 0, one with +Infinity is that, unless there is a NaN.
    V infinite = eq(vabs(p.max), splat((real)__builtin_inf())), nan = splat(0);
    if (any_true(infinite)) {
      for (size_t c = 0; c < r.classes; c++) nan = or (nan, ne(lanes_load(x, c), lanes_load(x, c)));
      value = select(andnot(infinite, nan), p.max, value);
    }
    store_row_values(out, &g, value);
  }
}

// exp(y) of log-probabilities: 0 for −Infinity.
SHARED V exp_of_log(V y, Reduction at) {
  return mul(exp_call(y, at.magic, at.lowest), splat((real)(1.0 / (1ull << OFFSET / 2) / (1ull << OFFSET / 2))));
}

COMPACT SHARED void log_softmax_derivative(size_t begin, size_t end, Rows r, real *out, const real *y, const real *v,
                                           real *scratch, double temperature, int forward) {
  Reduction at = reduction_at(splat(0), 0, 0);
  V scale = splat((real)temperature);
  for (size_t unit = begin; unit < end; unit++) {
    Group g = group_at(unit, r);
    Lanes l = lanes_in(y, &g, r.classes, scratch), q = lanes_in(v, &g, r.classes, scratch + r.classes * W);
    Sum sum = sum_zero();
    for (size_t c = 0; c < r.classes; c++) {
      V b = lanes_load(q, c);
      if (forward) b = mul(exp_of_log(lanes_load(l, c), at), b);
      sum = sum_add(sum, b);
    }
    V total = sum_rounded(sum);
    Lanes o = lanes_for(out, &g, scratch);
    for (size_t c = 0; c < r.classes; c++) {
      V d = sub(lanes_load(q, c), forward ? total : mul(exp_of_log(lanes_load(l, c), at), total));
      if (temperature != 1) d = div(d, scale);
      lanes_store(o, c, d);
    }
    lanes_out(out, &g, r.classes, o);
  }
}

// out = (g − exp(y) Σ g) / T.
KERNEL(log_softmax_vjp)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out, const real *y,
                        const real *g, real *scratch, double temperature) {
  log_softmax_derivative(begin, end, (Rows){outer, classes, inner}, out, y, g, scratch, temperature, 0);
}

// out = (t − ⟨exp(y), t⟩) / T.
KERNEL(log_softmax_jvp)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out, const real *y,
                        const real *t, real *scratch, double temperature) {
  log_softmax_derivative(begin, end, (Rows){outer, classes, inner}, out, y, t, scratch, temperature, 1);
}
