// out[o, i, r, c] = s_r (δ_rc − s_c) / T: limited by its stores, with one matrix as the unit of work.
#include "exp.h"
#include "lanes.h"

#define PAIRS_TO 64

// `count` adjacent rows at once, of at least one vector. The last vector ends with the row, so it may overlap
// the one before.
INLINE void matrix_rows(size_t count, real *out, const real *p, const real *scaled, size_t classes) {
  V minus[2], v;
  EACH(count, minus[u] = splat(-scaled[u]))
  size_t c = 0;
  for (; c + 4 * W < classes; c += 4 * W)
    EACH(4, {
      v = load(p + c + u * W);
      store(out + c + u * W, mul(minus[0], v));
      if (count > 1) store(out + classes + c + u * W, mul(minus[1], v));
    })
  for (; c + W < classes; c += W) {
    v = load(p + c);
    EACH(count, store(out + u * classes + c, mul(minus[u], v)))
  }
  v = load(p + classes - W);
  EACH(count, store(out + u * classes + classes - W, mul(minus[u], v)))
}

// s_r Σ_others s / T on the diagonal, for a probability above 1/2, where 1 − s_r would cancel. The sum is compensated.
COMPACT SHARED void dominant_diagonal(real *out, const real *p, const real *scaled, size_t classes) {
  for (size_t r = 0; r < classes; r++) {
    if (!(p[r] > (real)0.5)) continue;
    double sum = 0, low = 0;
    for (size_t c = 0; c < classes; c++) {
      double a = c == r ? 0 : p[c], t = sum + a, z = t - sum;
      low += (sum - (t - z)) + (a - z);
      sum = t;
    }
    out[r * (classes + 1)] = (real)(scaled[r] * (sum + low));
  }
}

#define DIAGONAL(r) out[(r) * (classes + 1)] = scaled[r] * (1 - p[r])

// Pairs of rows share the loads and the loop; for long rows this would only occupy more cache lines.
SHARED void matrix_of(real *out, const real *p, const real *scaled, size_t classes) {
  size_t r = 0;
  if (classes < PAIRS_TO)
    for (; r + 2 <= classes; r += 2) {
      matrix_rows(2, out + r * classes, p, scaled + r, classes);
      DIAGONAL(r);
      DIAGONAL(r + 1);
    }
  for (; r < classes; r++) {
    matrix_rows(1, out + r * classes, p, scaled + r, classes);
    DIAGONAL(r);
  }
}

#if REAL == 32
// Rows of up to twelve classes stay in registers. `scaled` are the probabilities over T. δ is read from an array of −0
// with one 1 in it: −0 so that a probability of 0 gives the same signed zero as −s_r s_c.
#define O -0.0f
static const float strip[28] = {O, O, O, O, O, O, O, O, O, O, O, O, 1, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O};
#undef O

// The same as `dominant_diagonal` for a row in registers: `lanes` are the lanes of its last vector that do not overlap.
INLINE void dominant_in_registers(real *out, const real *scaled, size_t classes, const V *v,
                                  size_t vectors, V lanes) {
  V half = splat(0.5f), sum = splat(0);
  unsigned hits = 0;
  EACH(vectors, {
    V a = u + 1 < vectors ? v[u] : and(v[u], lanes), top = lt(half, a);
    hits |= (unsigned)wasm_i32x4_bitmask(top) << (W * u);
    sum = add(sum, andnot(a, top));
  })
  if (!hits) return;
  size_t r = (size_t)__builtin_ctz(hits);
  sum = add(sum, swap_halves(sum));
  out[r * (classes + 1)] = scaled[r] * lane0(add(sum, swap_pairs(sum)));
}

INLINE void short_matrix(real *out, const real *p, const real *scaled, size_t classes, size_t vectors, size_t last) {
  V v[3], lanes = part_mask(classes - (vectors - 1) * W);
  EACH(vectors, v[u] = load(p + u * W))
  const float *delta = strip + 12;
  size_t whole = classes - last;
  real *first = out;
  for (size_t r = 0; r < whole; r++, out += classes, delta--) {
    V factor = wasm_v128_load32_splat(scaled + r);
    EACH(vectors, store(out + u * W, mul(factor, sub(load(delta + u * W), v[u]))))
  }
  if (last)
    for (size_t c = 0; c < classes; c++) out[c] = scaled[whole] * (delta[c] - p[c]);
  dominant_in_registers(first, scaled, classes, v, vectors, lanes);
}
#endif

#if REAL == 32
// Two rows of six or ten classes are three or five whole vectors: the middle one has the end of one row and the
// beginning of the other. `delta` points to the first of two ones, classes + 1 apart in an array of −0.
INLINE void even_matrix(real *out, const real *p, const real *scaled, size_t vectors, const real *delta) {
  size_t classes = 2 * vectors, middle = vectors / 2;
  V v[5], f[5];
  real *first_row = out;
  EACH(middle, v[u] = load(p + u * W))
  v[middle] = wasm_v128_load64_lane(p, wasm_v128_load64_zero(p + classes - 2), 1);
  EACH(middle, v[middle + 1 + u] = load(p + 2 + u * W))
  for (size_t r = 0; r < classes; r += 2, out += 2 * classes, delta -= 2) {
    V first = wasm_v128_load32_splat(scaled + r), second = wasm_v128_load32_splat(scaled + r + 1);
    EACH(middle, f[u] = first)
    f[middle] = wasm_i64x2_shuffle(first, second, 0, 2);
    EACH(middle, f[middle + 1 + u] = second)
    EACH(vectors, store(out + u * W, mul(f[u], sub(load(delta + u * W), v[u]))))
  }
  dominant_in_registers(first_row, scaled, classes, v, middle + 1, wasm_i32x4_const(-1, -1, 0, 0));
}

SHARED void even_matrices(size_t begin, size_t end, real *out, const real *s, size_t classes) {
  float strip[32];
  for (size_t c = 0; c < 32; c++) strip[c] = c == 10 || c == 11 + classes ? 1 : -0.0f;
  for (size_t row = begin; row < end; row++) {
    const real *p = s + row * classes;
    if (classes == 6)
      even_matrix(out + row * 36, p, p, 3, strip + 10);
    else
      even_matrix(out + row * 100, p, p, 5, strip + 10);
  }
}
#endif

#if REAL == 32
// Four matrices of three classes are nine whole vectors, each shuffled from twelve probabilities: s_r times −s_c, or on
// the diagonal times the sum of the two others.
INLINE void four_of_three(float *out, const float *p) {
  const V v[3] = {load(p), load(p + 4), load(p + 8)};
  // The two other probabilities of each row.
  const V next[3] = {wasm_i32x4_shuffle(v[0], v[1], 1, 2, 0, 4),
                     wasm_i32x4_shuffle(wasm_i32x4_shuffle(v[1], v[0], 1, 7, 3, 3), v[2], 0, 1, 2, 4),
                     wasm_i32x4_shuffle(v[1], v[2], 2, 6, 7, 5)};
  const V before[3] = {wasm_i32x4_shuffle(v[0], v[1], 2, 0, 1, 5),
                       wasm_i32x4_shuffle(wasm_i32x4_shuffle(v[0], v[1], 3, 4, 4, 6), v[2], 0, 1, 4, 3),
                       wasm_i32x4_shuffle(v[1], v[2], 3, 7, 5, 6)};
  V others[3], minus[3];
  EACH(3, others[u] = add(next[u], before[u]), minus[u] = wasm_f32x4_neg(v[u]))
  store(out, mul(wasm_i32x4_shuffle(v[0], v[0], 0, 0, 0, 1), wasm_i32x4_shuffle(others[0], minus[0], 0, 5, 6, 4)));
  store(out + 4, mul(wasm_i32x4_shuffle(v[0], v[0], 1, 1, 2, 2), wasm_i32x4_shuffle(others[0], minus[0], 1, 6, 4, 5)));
  store(out + 8, mul(wasm_i32x4_shuffle(v[0], v[1], 2, 3, 3, 3), wasm_i32x4_shuffle(others[0], minus[1], 2, 3, 4, 5)));
  V rest = wasm_i32x4_shuffle(minus[0], minus[1], 3, 4, 5, 3);
  store(out + 12, mul(wasm_i32x4_shuffle(v[0], v[1], 4, 4, 4, 5), wasm_i32x4_shuffle(rest, others[1], 0, 4, 2, 3)));
  store(out + 16,
        mul(wasm_i32x4_shuffle(v[1], v[1], 1, 1, 2, 2), wasm_i32x4_shuffle(minus[1], others[1], 0, 5, 6, 3)));
  rest = wasm_i32x4_shuffle(minus[1], minus[2], 4, 2, 3, 4);
  store(out + 20, mul(wasm_i32x4_shuffle(v[1], v[2], 2, 3, 3, 3), wasm_i32x4_shuffle(rest, others[1], 0, 1, 7, 3)));
  store(out + 24,
        mul(wasm_i32x4_shuffle(v[1], v[2], 4, 4, 4, 5), wasm_i32x4_shuffle(minus[1], others[2], 2, 3, 4, 5)));
  store(out + 28,
        mul(wasm_i32x4_shuffle(v[2], v[2], 1, 1, 2, 2), wasm_i32x4_shuffle(minus[2], others[2], 2, 3, 1, 6)));
  store(out + 32,
        mul(wasm_i32x4_shuffle(v[2], v[2], 2, 3, 3, 3), wasm_i32x4_shuffle(minus[2], others[2], 3, 1, 2, 7)));
}
#endif

INLINE void matrix(real *out, const real *p, const real *scaled, size_t classes, size_t last) {
  (void)last;
#if REAL == 32
  // These handle the diagonal themselves.
  switch ((classes + W - 1) / W) {
  case 1:
    short_matrix(out, p, scaled, classes, 1, last);
    // The same bits as four at a time.
    if (classes == 3) out[0] = p[1] + p[2], out[4] = p[0] + p[2], out[8] = p[0] + p[1];
    if (classes == 3) EACH(3, out[4 * u] *= scaled[u])
    return;
  case 2:
    short_matrix(out, p, scaled, classes, 2, last);
    return;
  case 3:
    short_matrix(out, p, scaled, classes, 3, last);
    return;
  }
#endif
  matrix_of(out, p, scaled, classes);
  dominant_diagonal(out, p, scaled, classes);
}

// The probabilities of one row, copied if they are not contiguous.
INLINE const real *row_of(const real *p, size_t row, Rows r, real *scratch) {
  if (r.inner == 1) return p + row * r.classes;
  const real *from = p + row / r.inner * r.classes * r.inner + row % r.inner;
  for (size_t c = 0; c < r.classes; c++) scratch[c] = from[c * r.inner];
  return scratch;
}

KERNEL(jacobian)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out, const real *s,
                 real *scratch, double temperature) {
  Rows r = {outer, classes, inner};
#if REAL == 32
  if (inner == 1 && classes == 3 && temperature == 1)
    for (; begin + 4 <= end; begin += 4) four_of_three(out + begin * 9, s + begin * 3);
  if (inner == 1 && (classes == 6 || classes == 10) && temperature == 1) {
    even_matrices(begin, end, out, s, classes);
    return;
  }
#endif
  if (classes == 1) {
    for (size_t row = begin; row < end; row++) out[row] = (real)(s[row] * (1 - s[row]) / temperature);
    return;
  }
  for (size_t row = begin; row < end; row++) {
    const real *p = row_of(s, row, r, scratch), *scaled = p;
    if (temperature != 1) {
      scaled = scratch + classes;
      for (size_t c = 0; c < classes; c++) scratch[classes + c] = (real)(p[c] / temperature);
    }
    matrix(out + row * classes * classes, p, scaled, classes, row + 1 == end);
  }
}

// 1 − exp(y) for y ≤ 0, without cancellation where exp(y) is nearly 1: there by its Taylor series.
static double one_minus_exp(double y, double p) {
  if (y < -0.35) return 1 - p;
  double sum = 0;
  for (int k = 16; k >= 1; k--) sum = (1 + sum) * y / k;
  return -sum;
}

// out[o, i, r, c] = (δ_rc − exp(y_c)) / T.
COMPACT KERNEL(log_softmax_jacobian)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out,
                                     const real *y, real *scratch, double temperature) {
  Rows rows = {outer, classes, inner};
  V unscale = splat((real)(1.0 / (1ull << OFFSET / 2) / (1ull << OFFSET / 2)));
  Reduction at = reduction_at(splat(0), 0, 0);
  real *p = scratch + classes;
  for (size_t row = begin; row < end; row++) {
    const real *l = row_of(y, row, rows, scratch);
    real *o = out + row * classes * classes;
    for (size_t c = 0; c < classes; c++) p[c] = lane0(mul(exp_call(splat(l[c]), at.magic, at.lowest), unscale));
    for (size_t r = 0; r < classes; r++, o += classes) {
      for (size_t c = 0; c < classes; c++) o[c] = (real)(-p[c] / temperature);
      o[r] = (real)(one_minus_exp(l[r], p[r]) / temperature);
    }
  }
}
