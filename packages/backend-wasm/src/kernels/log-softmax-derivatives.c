// The vjp and jvp of log-softmax, which take the output y. Where exp(y) is above 1/2, they would cancel. For the vjp, that entry's own result is
// g (1 − exp(y)) − exp(y) Σ_others g. For the jvp, its tangent is subtracted from all: J maps constants to 0. If the tangents have a large constant in
// common, their mean is, as in vjp.c.
#include "blocks.h"

#define LOG_HALF ((real)-0.6931471805599453) // log(1/2)

// 1 − exp(y) for −log 2 ≤ y ≤ 0 by its Taylor series: the terms alternate, and none is larger than the sum.
INLINE V complement_of_log(V y) {
  V sum = splat(0);
  for (int k = REAL == 32 ? 10 : 17; k >= 1; k--) sum = mul(mul(add(splat(1), sum), y), splat((real)(1.0 / k)));
  return sub(splat(0), sum);
}

COMPACT SHARED void derivative_in_lanes(size_t begin, size_t end, Rows r, real *out, const real *y, const real *v,
                                           real *scratch, double temperature, int forward) {
  Reduction at = reduction_at(splat(0), 0, 0);
  V scale = splat((real)temperature);
  for (size_t unit = begin; unit < end; unit++) {
    Group g = group_at(unit, r);
    Lanes l = lanes_in(y, &g, r.classes, scratch), q = lanes_in(v, &g, r.classes, scratch + r.classes * W);
    V half = splat(LOG_HALF), share = splat(1), shift = splat(0), total, rest;
    for (int is_shifted = !forward;;) {
      Sum sum = sum_zero(), others = sum_zero();
      if (!is_shifted)
        for (size_t c = 0; c < r.classes; c++)
          shift = select(lt(half, lanes_load(l, c)), mul(lanes_load(q, c), share), shift);
      for (size_t c = 0; c < r.classes; c++) {
        V a = lanes_load(l, c), b = sub(mul(lanes_load(q, c), share), shift);
        if (forward)
          b = mul(exp_of_log(a, at), b);
        else
          others = sum_add(others, andnot(b, lt(half, a)));
        sum = sum_add(sum, b);
      }
      total = sum_rounded(sum), rest = sum_rounded(others);
      V fine = harmless(total);
      if (!all_true(fine) && all_true(eq(share, splat(1)))) {
        // No row has 2^32 entries.
        share = select(fine, splat(1), splat((real)0x1p-34));
        shift = splat(0), is_shifted = !forward;
        continue;
      }
      if (is_shifted) break;
      is_shifted = 1;
      V near = eq(shift, splat(0));
      for (size_t c = 0; c < SAMPLE && c < r.classes && any_lane(near); c++) {
        V possible = and(splat(1), ne(lanes_load(l, c), splat((real)-__builtin_inf())));
        near = and(near, near_mean(possible, sub(mul(lanes_load(q, c), share), total), total));
      }
      if (!any_lane(near)) break;
      shift = select(near, total, shift);
    }
    Lanes o = lanes_for(out, &g, scratch);
    V divisor = mul(scale, share);
    int is_one = all_true(eq(divisor, splat(1)));
    for (size_t c = 0; c < r.classes; c++) {
      V a = lanes_load(l, c), b = sub(mul(lanes_load(q, c), share), shift), d;
      if (forward) {
        d = sub(b, total);
      } else {
        V p = exp_of_log(a, at), top = lt(half, a);
        d = sub(b, mul(p, total));
        if (any_true(top)) d = select(top, sub(mul(b, complement_of_log(a)), mul(p, rest)), d);
      }
      lanes_store(o, c, is_one ? d : div(d, divisor));
    }
    lanes_out(out, &g, r.classes, o);
  }
}

// Contiguous rows: first the sums of some rows, from which it is known which of them are ordinary, and then their results, since those may overwrite the
// operands.
typedef struct {
  const real *y, *v; // v: cotangents or tangents
  real *out;
  size_t rows, classes;
  real *scratch;
  Reduction at;
  unsigned short *special; // rows that are computed in lanes afterwards
  unsigned specials;
} Block;

// Of each row, in scratch memory; `EXPONENTIALS` are those of y times 2^OFFSET, of a whole block or of a part of a long row.
#define ROW_TOTALS SUMS
#define ROW_RESTS (ROW_TOTALS + STRETCH / 2) // Σ_others g, or what is subtracted from tangents
#define ROW_TOPS (ROW_RESTS + STRETCH / 2) // the class whose exp(y) is above 1/2, or the number of classes if there is none, or LEFT_OUT: integers
#define LEFT_OUT (~0u)
#define tops_of(b) ((unsigned *)((b)->scratch + ROW_TOPS))

// A row that has huge cotangents, or several classes above 1/2, which no log-softmax has.
INLINE void leave_out(Block *b, size_t r) {
  tops_of(b)[r] = LEFT_OUT;
  b->special[b->specials++] = (unsigned short)r;
}

SHARED void put_exponentials(const Block *b, const real *y, size_t n) {
  V unused = splat(0);
  exp_tracked(b->scratch + EXPONENTIALS, y, n, &b->at, b->scratch, &unused);
}

INLINE Sum joined(Sum a, Sum b) {
#if REAL == 32
  return (Sum){wasm_f64x2_add(a.high, b.high), wasm_f64x2_add(a.low, b.low)};
#else
  return terms_join(a, b);
#endif
}

// How many classes of the rest of a long row are processed at once: no part is shorter than a vector.
INLINE size_t part_of(size_t left) { return left <= STRETCH ? left : left < STRETCH + W ? STRETCH - W : STRETCH; }

// Rows have at least W classes; the last vector may overlap the one before, in which `last` are the lanes that do not.
#if REAL == 32
#define counted(count, above) wasm_i32x4_sub(count, above)
#else
#define counted(count, above) wasm_i64x2_sub(count, above)
#endif

// The number in all lanes.
INLINE int count_of(V count) {
  count = wasm_i32x4_add(count, swap_halves(count));
  return wasm_i32x4_extract_lane(count, 0) + (REAL == 32 ? wasm_i32x4_extract_lane(count, 1) : 0);
}

// The class above 1/2, or `classes`.
INLINE size_t top_of(const real *y, size_t classes) {
  size_t c = 0;
  while (c + W < classes && !any_true(lt(splat(LOG_HALF), load(y + c)))) c += W;
  while (c < classes && !(y[c] > LOG_HALF)) c++;
  return c;
}

// Σ g but for the classes above 1/2, and the number of those.
SHARED double cotangents_but_top(const real *y, const real *g, size_t classes, V last, int *count) {
  Sum a = sum_zero(), b = a;
  V half = splat(LOG_HALF), above = and(last, lt(half, load(y + classes - W))), tops = counted(splat(0), above);
  a = sum_add(a, andnot(and(last, load(g + classes - W)), above));
  size_t c = 0;
  for (; c + 2 * W < classes; c += 2 * W) {
    V first = lt(half, load(y + c)), second = lt(half, load(y + c + W));
    tops = counted(counted(tops, first), second);
    a = sum_add(a, andnot(load(g + c), first));
    b = sum_add(b, andnot(load(g + c + W), second));
  }
  if (c + W < classes) {
    above = lt(half, load(y + c)), tops = counted(tops, above);
    b = sum_add(b, andnot(load(g + c), above));
  }
  *count = count_of(tops);
  return sum_total(joined(a, b));
}

COMPACT SHARED void put_cotangent_sums(Block *b) {
  real *totals = b->scratch + ROW_TOTALS, *rests = b->scratch + ROW_RESTS;
  size_t classes = b->classes;
  const real *y = b->y, *g = b->v;
  V last = last_lanes(classes);
  for (size_t r = 0; r < b->rows; r++, y += classes, g += classes) {
    int count;
    double rest = cotangents_but_top(y, g, classes, last, &count), total = rest;
    size_t top = count ? top_of(y, classes) : classes;
    if (count) total += g[top];
    totals[r] = (real)total, rests[r] = (real)rest, tops_of(b)[r] = (unsigned)top;
    if (count > 1 || !(__builtin_fabs(total) < HARMLESS && __builtin_fabs(rest) < HARMLESS)) leave_out(b, r);
  }
}

// out = g − exp(y) Σ g of a row, or of a part of a long one, in which `top` is the class above 1/2 if it is less than n.
SHARED void cotangents_out(real *out, const real *e, const real *y, const real *g, size_t n, V total, real rest, size_t top) {
  V unit = ONE_UNIT;
#define RESULT(c) fnma(mul(load(e + (c)), unit), total, load(g + (c)))
  real of_top = 0;
  if (top < n) {
    V p = mul(splat(e[top]), unit);
    of_top = lane0(sub(mul(splat(g[top]), complement_of_log(splat(y[top]))), mul(p, splat(rest))));
  }
  V last = RESULT(n - W);
  size_t c = 0;
  for (; c + 4 * W < n; c += 4 * W) EACH(4, store(out + c + u * W, RESULT(c + u * W)))
  for (; c + W < n; c += W) store(out + c, RESULT(c));
  store(out + n - W, last);
#undef RESULT
  if (top < n) out[top] = of_top;
}

COMPACT SHARED void log_vjp_block(const Block *b) {
  real *e = b->scratch + EXPONENTIALS;
  const real *totals = b->scratch + ROW_TOTALS, *rests = b->scratch + ROW_RESTS;
  const unsigned *tops = tops_of(b);
  size_t classes = b->classes;
  if (classes <= MOST_CLASSES) {
    const real *y = b->y, *g = b->v;
    real *out = b->out;
    put_exponentials(b, y, b->rows * classes);
    for (size_t r = 0; r < b->rows; r++, out += classes, e += classes, y += classes, g += classes)
      if (tops[r] != LEFT_OUT) cotangents_out(out, e, y, g, classes, splat(totals[r]), rests[r], tops[r]);
    return;
  }
  for (size_t r = 0; r < b->rows; r++)
    for (size_t c = 0, n; c < classes && tops[r] != LEFT_OUT; c += n) {
      n = part_of(classes - c);
      size_t at = r * classes + c;
      put_exponentials(b, b->y + at, n);
      cotangents_out(b->out + at, e, b->y + at, b->v + at, n, splat(totals[r]), rests[r], tops[r] - c);
    }
}

// Σ exp(y) (t − shift) of a part of a row, added to `sum`, and the number of classes above 1/2.
INLINE int add_products(Sum *sum, const real *e, const real *t, size_t n, V shift, V last) {
  Sum a = sum_zero(), b = a;
  V unit = ONE_UNIT, half = splat((real)(1ull << (OFFSET - 1)));
#define TERM(e, t) mul(mul(e, unit), sub(t, shift))
  V e0 = load(e + n - W), tops = counted(splat(0), and(last, lt(half, e0)));
  a = sum_add(a, and(last, TERM(e0, load(t + n - W))));
  size_t c = 0;
  for (; c + 2 * W < n; c += 2 * W) {
    V e1 = load(e + c), e2 = load(e + c + W);
    tops = counted(counted(tops, lt(half, e1)), lt(half, e2));
    a = sum_add(a, TERM(e1, load(t + c)));
    b = sum_add(b, TERM(e2, load(t + c + W)));
  }
  if (c + W < n) {
    e0 = load(e + c), tops = counted(tops, lt(half, e0));
    b = sum_add(b, TERM(e0, load(t + c)));
  }
#undef TERM
  *sum = joined(*sum, joined(a, b));
  return count_of(tops);
}

SHARED double products_of_short(const real *e, const real *t, size_t classes, V shift, V last, int *count) {
  Sum sum = sum_zero();
  *count = add_products(&sum, e, t, classes, shift, last);
  return sum_total(sum);
}

COMPACT SHARED double products_of_long(const Block *b, const real *y, const real *t, V shift, int *count) {
  const real *e = b->scratch + EXPONENTIALS;
  Sum sum = sum_zero();
  *count = 0;
  for (size_t c = 0, n; c < b->classes; c += n) {
    n = part_of(b->classes - c);
    put_exponentials(b, y + c, n);
    *count += add_products(&sum, e, t + c, n, shift, last_lanes(n));
  }
  return sum_total(sum);
}

// Whether the first entries of a row are near its mean.
INLINE int is_near_mean(const real *y, const real *t, size_t classes, V mean) {
  V near = ne(mean, splat(0));
  for (size_t c = 0; c < SAMPLE && c < classes && any_lane(near); c++)
    near = and(near, near_mean(splat((real)(y[c] > (real)-__builtin_inf())), sub(splat(t[c]), mean), mean));
  return any_lane(near);
}

SHARED void put_tangent_sums(Block *b) {
  real *totals = b->scratch + ROW_TOTALS, *shifts = b->scratch + ROW_RESTS;
  size_t classes = b->classes;
  int is_short = classes <= MOST_CLASSES;
  const real *y = b->y, *t = b->v, *e = b->scratch + EXPONENTIALS;
  V last = last_lanes(classes);
  if (is_short) put_exponentials(b, y, b->rows * classes);
#define PRODUCTS(shift) (is_short ? products_of_short(e, t, classes, splat(shift), last, &count) : products_of_long(b, y, t, splat(shift), &count))
  for (size_t r = 0; r < b->rows; r++, y += classes, t += classes, e += classes) {
    int count;
    real shift = 0;
    double total = PRODUCTS(0);
    size_t top = count ? top_of(y, classes) : classes;
    if (top < classes) shift = t[top];
    if (shift == 0 && is_near_mean(y, t, classes, splat((real)total))) shift = (real)total;
    if (shift != 0) total = PRODUCTS(shift);
    totals[r] = (real)total, shifts[r] = shift, tops_of(b)[r] = (unsigned)top;
    if (count > 1 || !(__builtin_fabs(total) < HARMLESS)) leave_out(b, r);
  }
#undef PRODUCTS
}

SHARED void log_jvp_block(const Block *b) {
  for (size_t r = 0; r < b->rows; r++) {
    if (tops_of(b)[r] == LEFT_OUT) continue;
    V shift = splat(b->scratch[ROW_RESTS + r]), total = splat(b->scratch[ROW_TOTALS + r]);
    const real *t = b->v + r * b->classes;
    real *out = b->out + r * b->classes;
    size_t n = b->classes, c = 0;
#define RESULT(c) sub(sub(load(t + (c)), shift), total)
    V last = RESULT(n - W);
    for (; c + 4 * W < n; c += 4 * W) EACH(4, store(out + c + u * W, RESULT(c + u * W)))
    for (; c + W < n; c += W) store(out + c, RESULT(c));
    store(out + n - W, last);
#undef RESULT
  }
}

COMPACT SHARED void divide_rows(const Block *b, real temperature) {
  for (size_t r = 0; r < b->rows; r++)
    for (size_t c = 0, n = b->classes; c < n && tops_of(b)[r] != LEFT_OUT; c += W) {
      real *at = b->out + r * n + c;
      size_t k = n - c < W ? n - c : W;
      store_part_or_all(at, div(load_part_or_all(at, k), splat(temperature)), k);
    }
}

COMPACT SHARED void log_softmax_derivative(size_t begin, size_t end, Rows r, real *out, const real *y, const real *v,
                                           real *scratch, double temperature, int forward) {
  if (r.inner != 1 || r.classes < W) {
    derivative_in_lanes(begin, end, r, out, y, v, scratch, temperature, forward);
    return;
  }
  size_t most = r.classes <= MOST_CLASSES ? block_groups(r.classes) : 1;
  for (size_t unit = begin, next; unit < end; unit = next) {
    next = end - unit < most ? end : unit + most;
    size_t first = unit * W, last = next * W < r.outer ? next * W : r.outer, at = first * r.classes;
    unsigned short special[STRETCH / 2];
    Block b = {y + at, v + at, out + at, last - first, r.classes, scratch, reduction_at(splat(0), 0, 0), special, 0};
    if (forward)
      put_tangent_sums(&b), log_jvp_block(&b);
    else
      put_cotangent_sums(&b), log_vjp_block(&b);
    if (temperature != 1) divide_rows(&b, (real)temperature);
    for (unsigned k = 0; k < b.specials; k++) {
      size_t i = at + special[k] * r.classes;
      derivative_in_lanes(0, 1, (Rows){1, r.classes, 1}, out + i, y + i, v + i, scratch, temperature, forward);
    }
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
