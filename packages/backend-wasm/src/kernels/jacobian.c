// out[o, i, r, c] = s_r (δ_rc − s_c) / T: limited by its stores, with one matrix as the unit of work. In all functions, `scaled` are the
// probabilities over T.
#include "exp.h"
#include "lanes.h"

// Above this, 1 − s_r cancels, and the diagonal takes the sum of the other probabilities. It is more than 1/2, so that no row has two such entries:
// two may be rounded up from 1/2. Which entry it is cannot be predicted, so short rows have no branch on it.
#define MOST_SMALL ((real)(0.5 + 0x1p-18))
#define is_small(v) le(v, splat(MOST_SMALL))

#define PAIRS_TO 64

// `count` adjacent rows at once, of at least one vector. The last vector ends with the row, so it may overlap
// the one before.
INLINE void matrix_rows(size_t count, real *out, const real *p, const real *scaled, size_t classes) {
  V factor[2], v;
  EACH(count, factor[u] = splat(-scaled[u]))
  size_t c = 0;
  for (; c + 4 * W < classes; c += 4 * W)
    EACH(4, {
      v = load(p + c + u * W);
      store(out + c + u * W, mul(factor[0], v));
      if (count > 1) store(out + classes + c + u * W, mul(factor[1], v));
    })
  for (; c + W < classes; c += W) {
    v = load(p + c);
    EACH(count, store(out + u * classes + c, mul(factor[u], v)))
  }
  v = load(p + classes - W);
  EACH(count, store(out + u * classes + classes - W, mul(factor[u], v)))
}

#if REAL == 32
#define splat_at(p) wasm_v128_load32_splat(p)
// In float64.
#define in_double(op, a, by) narrow(wasm_f64x2_##op(widen_low(a), by), wasm_f64x2_##op(widen_high(a), by))
#else
#define splat_at(p) wasm_v128_load64_splat(p)
#define in_double(op, a, by) wasm_f64x2_##op(a, by)
#endif

// The sum of a row's small probabilities: all others, if there is one that is not small.
SHARED double sum_of_small(const real *p, size_t classes) {
  V v = load(p + classes - W);
  Sum sum = sum_add(sum_zero(), and(and(v, is_small(v)), last_lanes(classes)));
  for (size_t c = 0; c + W < classes; c += W) v = load(p + c), sum = sum_add(sum, and(v, is_small(v)));
  return sum_total(sum);
}

// Pairs of rows share the loads and the loop; for long rows this would only occupy more cache lines.
SHARED void matrix(real *out, const real *p, const real *scaled, size_t classes) {
  size_t next = classes + 1, pairs = classes < PAIRS_TO ? classes & ~(size_t)1 : 0, r = 0;
  for (; r < pairs; r += 2) matrix_rows(2, out + r * classes, p, scaled + r, classes);
  for (; r < classes; r++) {
    matrix_rows(1, out + r * classes, p, scaled + r, classes);
    if (!pairs) out[r * next] = p[r] > MOST_SMALL ? (real)(scaled[r] * sum_of_small(p, classes)) : scaled[r] * (1 - p[r]);
  }
  if (!pairs) return;
  V others = wasm_f64x2_splat(sum_of_small(p, classes));
  for (size_t c = 0; c < classes; c += W) {
    if (c + W > classes) c = classes - W;
    V v = load(p + c), by = load(scaled + c), d = mul(by, sub(splat(1), v));
    d = select(is_small(v), d, in_double(mul, by, others));
    real *o = out + c * next;
#if REAL == 32
    wasm_v128_store32_lane(o, d, 0);
    wasm_v128_store32_lane(o + next, d, 1);
    wasm_v128_store32_lane(o + 2 * next, d, 2);
    wasm_v128_store32_lane(o + 3 * next, d, 3);
#else
    wasm_v128_store64_lane(o, d, 0);
    wasm_v128_store64_lane(o + next, d, 1);
#endif
  }
}

#if REAL == 32
// Two matrices of two classes: all entries are ± s_0 s_1.
INLINE void two_of_two(real *out, const real *p) {
  V v = load(p), both = mul(v, swap_pairs(v)), signs = wasm_f32x4_const(0, -0.0f, -0.0f, 0);
  store(out, xor(wasm_i32x4_shuffle(both, both, 0, 0, 0, 0), signs));
  store(out + 4, xor(wasm_i32x4_shuffle(both, both, 2, 2, 2, 2), signs));
}

#define low_lanes(a, b) wasm_i32x4_shuffle(a, b, 0, 4, 1, 5)
#define high_lanes(a, b) wasm_i32x4_shuffle(a, b, 2, 6, 3, 7)
#define low_halves(a, b) wasm_i64x2_shuffle(a, b, 0, 2)
#define high_halves(a, b) wasm_i64x2_shuffle(a, b, 1, 3)
#define one_of_three(p) wasm_i32x4_shuffle(wasm_i32x4_shuffle(load(p), load(p + 5), 0, 5, 2, 3), load(p + 7), 0, 1, 6, 3)

// Four matrices of three classes are nine whole vectors. One element beyond the rows is read.
INLINE void four_of_three(real *out, const real *p) {
  // The rows 0, 2, 3 and 1 are in lanes: one shuffle then makes pairs that are adjacent in the output, for two rows.
  V x = one_of_three(p), y = one_of_three(p + 1), z = one_of_three(p + 2);
  V xy = mul(minus(x), y), xz = mul(minus(x), z), yz = mul(minus(y), z);
  V xx = mul(x, add(y, z)), yy = mul(y, add(x, z)), zz = mul(z, add(x, y));
  // Of the rows 0 and 2,
  V xx_xy = low_lanes(xx, xy), xz_yx = low_lanes(xz, xy), yy_yz = low_lanes(yy, yz), zx_zy = low_lanes(xz, yz);
  // of the rows 0 and 1, and 2 and 3,
  V zz_xx = low_lanes(zz, wasm_i32x4_shuffle(xx, xx, 3, 2, 1, 0));
  // and of the rows 3 and 1.
  V xy_xz = high_lanes(xy, xz), yx_yy = high_lanes(xy, yy), yz_zx = high_lanes(yz, xz), zy_zz = high_lanes(yz, zz);
  store(out, low_halves(xx_xy, xz_yx));
  store(out + 4, low_halves(yy_yz, zx_zy));
  store(out + 8, wasm_i64x2_shuffle(zz_xx, xy_xz, 0, 3));
  store(out + 12, high_halves(yx_yy, yz_zx));
  store(out + 16, high_halves(zy_zz, xx_xy));
  store(out + 20, high_halves(xz_yx, yy_yz));
  store(out + 24, high_halves(zx_zy, zz_xx));
  store(out + 28, low_halves(xy_xz, yx_yy));
  store(out + 32, low_halves(yz_zx, zy_zz));
}

// 1 where the mask is set, otherwise `a`, which is from 0 to 1.
#define one_where(mask, a) wasm_u32x4_min(splat(1), wasm_u32x4_max(mask, a))

static const int first_lanes[8] = {-1, -1, -1, -1};

// `a` with lane l of `b`.
#define with_lane(a, b, l)                                                                                             \
  ((l) == 0   ? wasm_i32x4_shuffle(a, b, 4, 1, 2, 3)                                                                   \
   : (l) == 1 ? wasm_i32x4_shuffle(a, b, 0, 5, 2, 3)                                                                   \
   : (l) == 2 ? wasm_i32x4_shuffle(a, b, 0, 1, 6, 3)                                                                   \
              : wasm_i32x4_shuffle(a, b, 0, 1, 2, 7))

// Keeps clang from computing addresses ahead, so that constant offsets are part of the loads and stores.
#define opaque(address) __asm__("" : "+r"(address))

// Matrices of up to twelve classes, whose rows stay in registers. The last vector of a row ends in the next one, which is stored after it; that of
// the last row is stored in part. With two or three classes, every entry of the diagonal takes the sum of the others.
INLINE void short_matrices(real *out, const real *p, const real *scaled, size_t count, size_t classes, size_t vectors) {
  V lanes = load(first_lanes + vectors * W - classes);
  for (; count; count--, p += classes, scaled += classes) {
    V v[3], diagonal[3], small[3], sum;
    EACH(vectors, {
      v[u] = load(p + u * W);
      small[u] = is_small(v[u]);
      diagonal[u] = where(small[u], v[u]);
      V term = u + 1 < vectors ? diagonal[u] : and(diagonal[u], lanes);
      sum = u == 0 ? term : add(sum, term);
    })
    sum = add(sum, swap_halves(sum));
    sum = add(sum, swap_pairs(sum));
    EACH(vectors, diagonal[u] = sub(one_where(small[u], sum), diagonal[u]))
    if (vectors == 1 && classes < W) {
      V next = wasm_i32x4_shuffle(v[0], v[0], 1, 2, 0, 3);
      diagonal[0] = classes == 2 ? swap_pairs(v[0]) : add(next, wasm_i32x4_shuffle(next, next, 1, 2, 0, 3));
    }
    EACH(vectors, v[u] = minus(v[u]))
    opaque(scaled);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < vectors * W; r++) {
      int last = r >= (vectors - 1) * W && r + 1 == classes;
      V factor = splat_at(scaled + r);
      opaque(out);
      EACH(vectors, {
        V row = mul(factor, u == r / W ? with_lane(v[u], diagonal[u], r % W) : v[u]);
        if (u + 1 == vectors && last)
          store_part_or_all(out + u * W, row, r % W + 1);
        else
          store(out + u * W, row);
      })
      out += classes;
      if (last) break;
    }
  }
}

#define SHORT_MATRICES(vectors)                                                                                        \
  SHARED void short_matrices_##vectors(real *out, const real *p, const real *scaled, size_t count, size_t classes) {   \
    short_matrices(out, p, scaled, count, classes, vectors);                                                           \
  }

SHORT_MATRICES(1)
SHORT_MATRICES(2)
SHORT_MATRICES(3)
#endif

INLINE void matrices(real *out, const real *p, const real *scaled, size_t count, size_t classes) {
  size_t r = 0;
#if REAL == 32
  if (scaled == p && classes == 2)
    for (; r + 2 <= count; r += 2) two_of_two(out + 4 * r, p + 2 * r);
  if (scaled == p && classes == 3)
    for (; r + 4 < count; r += 4) four_of_three(out + 9 * r, p + 3 * r);
  if (classes <= 12) {
    (classes <= 4 ? short_matrices_1 : classes <= 8 ? short_matrices_2 : short_matrices_3)(
        out + r * classes * classes, p + r * classes, scaled + r * classes, count - r, classes);
    return;
  }
#else
  if (classes == 2)
    for (; r < count; r++, out += 4, p += 2, scaled += 2) {
      store(out, mul(splat_at(scaled), xor(splat_at(p + 1), wasm_f64x2_const(0, -0.0))));
      store(out + 2, mul(splat_at(scaled + 1), xor(splat_at(p), wasm_f64x2_const(-0.0, 0))));
    }
#endif
  for (; r < count; r++, out += classes * classes, p += classes, scaled += classes) matrix(out, p, scaled, classes);
}

// The probabilities of one row, copied if they are not contiguous.
INLINE const real *row_of(const real *p, size_t row, Rows r, real *scratch) {
  if (r.inner == 1) return p + row * r.classes;
  const real *from = p + row / r.inner * r.classes * r.inner + row % r.inner;
  for (size_t c = 0; c < r.classes; c++) scratch[c] = from[c * r.inner];
  return scratch;
}

// Elements of rows that are copied, or divided by T, at once.
#define BLOCK 512

KERNEL(jacobian)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out, const real *s,
                 real *scratch, double temperature) {
  if (classes == 1) {
    for (size_t row = begin; row < end; row++) out[row] = (real)(s[row] * (1 - s[row]) / temperature);
    return;
  }
  V by = wasm_f64x2_splat(temperature);
  size_t most = inner == 1 && temperature == 1 ? end : classes < BLOCK ? BLOCK / classes : 1;
  for (size_t row = begin, count; row < end; row += count) {
    count = end - row < most ? end - row : most;
    const real *p = s + row * classes, *scaled = p;
    if (inner != 1) {
      for (size_t k = 0; k < count; k++) row_of(s, row + k, (Rows){outer, classes, inner}, scratch + k * classes);
      scaled = p = scratch;
    }
    if (temperature != 1) {
      real *quotients = scratch + count * classes;
      for (size_t c = 0; c < count * classes; c += W) store(quotients + c, in_double(div, load(p + c), by));
      scaled = quotients;
    }
    matrices(out + row * classes * classes, p, scaled, count, classes);
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
