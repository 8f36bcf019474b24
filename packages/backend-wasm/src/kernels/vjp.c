// out = (s ⊙ (g − ⟨s, g⟩)) / T over each row. Subtracting a constant from g does not change the result. If one
// probability is above 1/2, g at its entry is subtracted, because g − ⟨s, g⟩ would cancel otherwise. If the cotangents have a
// large constant in common, ⟨s, g⟩ is subtracted and the mean of the differences is computed, because ⟨s, g⟩ has the rounding error of
// the constant.
#include "mask.h"
#include "single-rows.h"

// Rows of fewer classes are processed in registers, or in lanes.
#define SHORT_TO (REAL == 32 ? 17 : 8)

INLINE V dot_lanes(Lanes s, Lanes g, size_t classes, V shift) {
  Sum sum = sum_zero();
#define TERM(c) mul(lanes_load(s, c), sub(lanes_load(g, c), shift))
  size_t c = classes & 1;
  if (c) sum = sum_add(sum, TERM(0));
  for (; c < classes; c += 2) sum = sum_add(sum, add(TERM(c), TERM(c + 1)));
#undef TERM
  return sum_rounded(sum);
}

// 1 / T, and which factor of a product with probabilities is divided by T: the probability or, if T is large, the difference of cotangents, so that
// no digits of a subnormal number are lost unless the result is one.
typedef struct {
  V inverse;
  int late;
} Scale;

// Up to this temperature the quotient of a probability from 2^-119 (float64: 2^-1015) on is normal, and dividing the probability takes less time.
#define LATE_FROM 128

#define scale_by(p, d, by, late) ((late) ? mul(p, mul(d, (by).inverse)) : mul(mul(p, (by).inverse), d))

// The factor for huge cotangents, so that sums and differences of them are finite: no row has 2^32 entries.
#define SHARE ((real)0x1p-34)

// A row that may have such, whose classes are `step` apart. Rows without have the bits that they have in lanes.
COMPACT SHARED void vjp_huge(real *out, const real *s, const real *g, size_t classes, size_t step, Scale by) {
  size_t end = classes * step;
  real shift = 0, share = 1;
  for (size_t i = 0; i < end; i += step)
    if (!(absolute(g[i]) < HARMLESS)) share = SHARE;
  for (size_t i = 0; i < end; i += step)
    if (s[i] > (real)0.5) shift = g[i] * share;
#define TERM(i) splat(s[i] * (g[i] * share - shift))
  V dot;
  for (int is_last = shift != 0;; is_last = 1) {
    Sum sum = sum_zero();
    size_t i = classes % 2 * step;
    if (i) sum = sum_add(sum, TERM(0));
    for (; i < end; i += 2 * step) sum = sum_add(sum, add(TERM(i), TERM(i + step)));
    dot = sum_rounded(sum);
    for (size_t c = 0; c < SAMPLE && c < classes; c++)
      is_last |= !any_true(near_mean(splat(s[c * step]), sub(splat(g[c * step] * share), dot), dot));
    if (is_last) break;
    shift = lane0(dot);
  }
#undef TERM
  real factor = lane0(by.inverse) / share, first = by.late ? 1 : factor, last = by.late ? factor : 1;
  for (size_t i = 0; i < end; i += step) out[i] = s[i] * first * ((g[i] * share - shift - lane0(dot)) * last);
}

// d_i = Σ s_j (g_i − g_j) of up to four classes, in which nothing cancels. Returns differences that are harmless if the cotangents are.
#define FEW 4
INLINE V differences(V *d, const V *s, const V *g, size_t classes) {
  V d01 = sub(g[0], g[1]), d12 = sub(g[1], g[2]), d20 = sub(g[2], g[0]), size = pmax(vabs(d01), vabs(d12));
  d[0] = sub(mul(s[1], d01), mul(s[2], d20));
  d[1] = sub(mul(s[2], d12), mul(s[0], d01));
  d[2] = sub(mul(s[0], d20), mul(s[1], d12));
  if (classes <= 3) return size;
  d[3] = splat(0);
  EACH(3, {
    V last = sub(g[u], g[3]);
    d[u] = add(d[u], mul(s[3], last));
    d[3] = sub(d[3], mul(s[u], last));
    size = pmax(size, vabs(last));
  })
  return size;
}

SHARED void vjp_few(size_t begin, size_t end, Rows r, real *out, const real *s, const real *g, real *scratch,
                    Scale by) {
  for (size_t unit = begin; unit < end; unit++) {
    Group group = group_at(unit, r);
    Lanes p = lanes_in(s, &group, r.classes, scratch), q = lanes_in(g, &group, r.classes, scratch + r.classes * W);
    V a[FEW], b[FEW], d[FEW];
    EACH(FEW, a[u] = u < r.classes ? lanes_load(p, u) : splat(0), b[u] = lanes_load(q, u < r.classes ? u : 0))
    V fine = harmless(differences(d, a, b, FEW));
    Scale of = by;
    if (!all_lanes(fine)) {
      V share = select(fine, splat(1), splat(SHARE));
      EACH(FEW, b[u] = mul(b[u], share))
      differences(d, a, b, FEW);
      of.inverse = div(by.inverse, share);
    }
    Lanes o = lanes_for(out, &group, scratch);
    EACH(FEW, if (u < r.classes) lanes_store(o, u, scale_by(a[u], d[u], of, of.late)))
    lanes_out(out, &group, r.classes, o);
  }
}

SHARED void vjp_lanes(size_t begin, size_t end, Rows r, real *out, const real *s, const real *g, real *scratch,
                      Scale by) {
  for (size_t unit = begin; unit < end; unit++) {
    Group group = group_at(unit, r);
    Lanes p = lanes_in(s, &group, r.classes, scratch), q = lanes_in(g, &group, r.classes, scratch + r.classes * W);
    V shift = splat(0), half = splat((real)0.5);
    for (size_t c = 0; c < r.classes; c++) shift = select(lt(half, lanes_load(p, c)), lanes_load(q, c), shift);
    V dot = dot_lanes(p, q, r.classes, shift);
    if (!all_lanes(harmless(dot))) {
      for (size_t l = 0; l < group.lanes; l++) {
        size_t at = group.base[l];
        vjp_huge(out + at, s + at, g + at, r.classes, group.step, by);
      }
      continue;
    }
    V near = eq(shift, splat(0));
#define IS_NEAR(c) near_mean(lanes_load(p, c), sub(lanes_load(q, c), dot), dot)
    EACH(2, near = and(near, IS_NEAR(u)))
    if (any_lane(near)) EACH(SAMPLE - 2, near = and(near, IS_NEAR(u + 2)))
#undef IS_NEAR
    if (any_lane(near)) {
      shift = select(near, dot, shift);
      dot = dot_lanes(p, q, r.classes, shift);
    }
    Lanes o = lanes_for(out, &group, scratch);
#define SCALED(late)                                                                                                   \
  for (size_t c = 0; c < r.classes; c++)                                                                               \
    lanes_store(o, c, scale_by(lanes_load(p, c), sub(sub(lanes_load(q, c), shift), dot), by, late));
    if (by.late) {
      SCALED(1)
    } else {
      SCALED(0)
    }
#undef SCALED
    lanes_out(out, &group, r.classes, o);
  }
}

// ⟨s, g − shift⟩, and the largest s; without a shift if it is null.
INLINE double dot_row(const real *s, const real *g, size_t classes, const V *shift, V *largest) {
#define LESS(b) (shift ? sub(b, *shift) : (b))
  Sum sum = sum_zero();
  V a[4], b[4], top = splat(0);
  size_t left = classes % (4 * W);
  for (const real *end = s + classes - left; s != end; s += 4 * W, g += 4 * W) {
    EACH(4, a[u] = load(s + u * W))
    EACH(4, b[u] = mul(a[u], LESS(load(g + u * W))))
    top = pmax(top, pmax(pmax(a[0], a[1]), pmax(a[2], a[3])));
#if REAL == 32
    V d = add(add(b[0], b[1]), add(b[2], b[3]));
    sum.high = wasm_f64x2_add(sum.high, wasm_f64x2_add(widen_low(d), widen_high(d)));
#else
    sum.high = add(sum.high, add(b[0], b[1])), sum.low = add(sum.low, add(b[2], b[3]));
#endif
  }
  for (; left >= W; left -= W, s += W, g += W) {
    V v = load(s);
    top = pmax(top, v);
    sum = sum_add(sum, mul(v, LESS(load(g))));
  }
  if (left) {
    V v = load_part(s, left);
    top = pmax(top, v);
    sum = sum_add(sum, mul(v, LESS(load_part(g, left))));
  }
#undef LESS
  *largest = top;
  return sum_total(sum);
}

// The index of the probability above 1/2.
INLINE size_t dominant_of(const real *s, size_t classes) {
  size_t c = 0;
  while (c + W < classes && !any_true(lt(splat((real)0.5), load(s + c)))) c += W;
  while (!(s[c] > (real)0.5)) c++;
  return c;
}

INLINE int near_in_row(const real *s, const real *g, V mean) {
  V near = ne(mean, splat(0));
  EACH(SAMPLE / W, near = and(near, near_mean(load(s + u * W), sub(load(g + u * W), mean), mean)))
  return all_lanes(near);
}

// The same for the first entry, which decides for most rows and takes less time.
INLINE int first_is_near(const real *s, const real *g, real mean) {
  return !(absolute(g[0] - mean) > absolute(mean * (real)0.25) && s[0] != 0);
}

// out = s ⊙ (g − shift − dot); without a shift if it is null.
INLINE void row_out(real *out, const real *s, const real *g, size_t classes, const V *shift, V dot) {
#define RESULT(s, g) mul(s, sub(shift ? sub(g, *shift) : (g), dot))
  size_t left = classes % (4 * W);
  for (const real *end = s + classes - left; s != end; out += 4 * W, s += 4 * W, g += 4 * W)
    EACH(4, store(out + u * W, RESULT(load(s + u * W), load(g + u * W))))
  for (; left >= W; left -= W, out += W, s += W, g += W) store(out, RESULT(load(s), load(g)));
  if (left) store_part(out, RESULT(load_part(s, left), load_part(g, left)), left);
#undef RESULT
}

SHARED void vjp_row_shifted(real *out, const real *s, const real *g, size_t classes, V shift) {
  V top;
  double sum = dot_row(s, g, classes, &shift, &top);
  if (!(__builtin_fabs(sum) < HARMLESS))
    vjp_huge(out, s, g, classes, 1, (Scale){splat(1), 0});
  else
    row_out(out, s, g, classes, &shift, splat((real)sum));
}

SHARED void vjp_row_out(real *out, const real *s, const real *g, size_t classes, V dot) {
  row_out(out, s, g, classes, 0, dot);
}

INLINE void vjp_row(real *out, const real *s, const real *g, size_t classes) {
  V top;
  double sum = dot_row(s, g, classes, 0, &top);
  int dominated = any_lane(lt(splat((real)0.5), top));
  V dot = splat((real)sum);
  if (dominated || (first_is_near(s, g, (real)sum) && near_in_row(s, g, dot))) {
    vjp_row_shifted(out, s, g, classes, dominated ? splat(g[dominant_of(s, classes)]) : dot);
  } else if (!(__builtin_fabs(sum) < HARMLESS)) {
    vjp_huge(out, s, g, classes, 1, (Scale){splat(1), 0});
  } else {
    vjp_row_out(out, s, g, classes, dot);
  }
}

// Called through a pointer, so that it is not inlined: then the kernel would need more registers than there are.
SHARED void vjp_rows(size_t row, size_t next, real *out, const real *s, const real *g, size_t classes) {
  for (; row < next; row++) vjp_row(out + row * classes, s + row * classes, g + row * classes, classes);
}

#if REAL == 64
// In longer rows, ⟨s, g⟩ is summed in parts, with the rounding errors of their sum.
#define PART 4096

SHARED double dot_of_row(const real *s, const real *g, size_t classes, int *dominated) {
  V top;
  double dot = dot_row(s, g, classes, 0, &top);
  *dominated = any_true(lt(splat((real)0.5), top));
  return dot;
}

SHARED double dot_shifted(const real *s, const real *g, size_t classes, const V *shift) {
  V top;
  return dot_row(s, g, classes, shift, &top);
}

COMPACT SHARED double dot_of_long_row(const real *s, const real *g, size_t classes, const V *shift, int *dominated) {
  Sum sum = sum_zero();
  *dominated = 0;
  for (size_t c = 0; c < classes; c += PART) {
    int any = 0;
    size_t n = classes - c < PART ? classes - c : PART;
    double part = shift ? dot_shifted(s + c, g + c, n, shift) : dot_of_row(s + c, g + c, n, &any);
    sum = sum_add(sum, wasm_f64x2_make(part, 0));
    *dominated |= any;
  }
  return sum_total(sum);
}

SHARED void vjp_long_row(real *out, const real *s, const real *g, size_t classes) {
  int dominated;
  V shift = splat(0);
  double sum = dot_of_long_row(s, g, classes, 0, &dominated);
  if (dominated || near_in_row(s, g, splat(sum))) {
    shift = splat(dominated ? g[dominant_of(s, classes)] : sum);
    sum = dot_of_long_row(s, g, classes, &shift, &dominated);
  }
  if (!(__builtin_fabs(sum) < HARMLESS)) {
    vjp_huge(out, s, g, classes, 1, (Scale){splat(1), 0});
    return;
  }
  V dot = splat(sum);
  size_t c = 0;
  for (; c + 8 <= classes; c += 8)
    EACH(4, store(out + c + u * W, mul(load(s + c + u * W), sub(sub(load(g + c + u * W), shift), dot))))
  for (; c < classes; c++) out[c] = s[c] * (g[c] - lane0(shift) - sum);
}

SHARED void vjp_rows_in_parts(size_t row, size_t next, real *out, const real *s, const real *g, size_t classes) {
  for (; row < next; row++) vjp_long_row(out + row * classes, s + row * classes, g + row * classes, classes);
}
#else
#define PART (size_t)-1
#define vjp_rows_in_parts 0
#endif

typedef void (*LongRows)(size_t row, size_t next, real *out, const real *s, const real *g, size_t classes);

#if REAL == 32
// The largest |⟨s, g⟩| of rows, as the bits of a number without its sign, which compare like the number; those of NaN are larger than all others.
#define watched(largest, dot) wasm_u32x4_max(largest, wasm_i32x4_shl(dot, 1))
#define all_harmless(largest) all_lanes(wasm_u32x4_lt(largest, wasm_i32x4_shl(splat(HARMLESS), 1)))
#else
#define watched(largest, dot) pmax(vabs(dot), largest)
#define all_harmless(largest) all_lanes(harmless(largest))
#endif

#if REAL == 32
// In each lane the element that is not 0; one of both if s is not a softmax, whose entries above 1/2 may be several.
#define one_of(a, b) wasm_u32x4_max(a, b)

// A row of up to sixteen classes in registers; the last vector may overlap the one before, and `last`
// are the lanes that do not overlap.
INLINE V vjp_short(real *out, const real *s, const real *g, size_t classes, size_t vectors, V last, V scale,
                   int scaled) {
  V a[4], b[4], half = splat((real)0.5), shift = splat(0);
  EACH(vectors, {
    size_t at = u + 1 < vectors ? u * W : classes - W;
    a[u] = load(s + at), b[u] = load(g + at);
    shift = one_of(shift, and(lt(half, a[u]), b[u]));
  })
  // If a probability above 1/2 is in both of the last two vectors, they agree.
  shift = one_of(shift, swap_halves(shift));
  shift = one_of(shift, swap_pairs(shift));
  EACH(vectors, b[u] = sub(b[u], shift))
  V dot, p = scaled ? mul(a[0], scale) : a[0];
  int is_last = 0;
  do {
    dot = mul(a[vectors - 1], b[vectors - 1]);
    if (vectors > 1) dot = and(dot, last);
    EACH(vectors - 1, dot = add(dot, mul(a[u], b[u])))
    dot = add(dot, swap_halves(dot));
    dot = add(dot, swap_pairs(dot));
    if (!all_lanes(near_mean(p, sub(b[0], dot), dot)) || is_last || lane0(dot) == 0) break;
    EACH(vectors, b[u] = sub(b[u], dot))
    is_last = 1;
    // A copy of the loop for the second time would be larger than the rest.
    __asm__("" : "+r"(is_last));
  } while (1);
  EACH(vectors, store(out + (u + 1 < vectors ? u * W : classes - W), mul(scaled ? mul(a[u], scale) : a[u], sub(b[u], dot))))
  return dot;
}

// Returns whether no row had huge cotangents. A scale of 1 takes no multiplications.
#define VJP_SHORT_LOOP(vectors, scaled)                                                                                \
  for (; rows; rows--, out += classes, s += classes, g += classes)                                                     \
    watch = watched(watch, vjp_short(out, s, g, vectors > 1 ? classes : W, vectors, last, scale, scaled));

#define VJP_SHORT(vectors)                                                                                             \
  SHARED int vjp_short_##vectors(size_t rows, real *out, const real *s, const real *g, size_t classes, V scale) {      \
    V last = last_lanes(classes), watch = splat(0);                                                                    \
    if (lane0(scale) == 1) {                                                                           \
      VJP_SHORT_LOOP(vectors, 0)                                                                                       \
    } else {                                                                                                           \
      VJP_SHORT_LOOP(vectors, 1)                                                                                       \
    }                                                                                                                  \
    return all_harmless(watch);                                                                                           \
  }

VJP_SHORT(2)
VJP_SHORT(3)
VJP_SHORT(4)

// Rows of three or four classes: s_i Σ s_j (g_i − g_j), in which nothing cancels. Their differences, which the caller watches, are huge if
// cotangents are.
SHARED int vjp_fours(size_t rows, real *out, const real *s, const real *g, size_t classes, V scale) {
  (void)classes;
  V watch = splat(0);
  for (; rows; rows--, out += 4, s += 4, g += 4) {
    V a = load(s), b = load(g);
#define TURNED(v, n) wasm_i32x4_shuffle(v, v, n, (n + 1) % 4, (n + 2) % 4, (n + 3) % 4)
    V d = sub(b, TURNED(b, 1));
    watch = watched(watch, d);
    V sum = fma(TURNED(a, 1), d, mul(TURNED(a, 2), sub(b, TURNED(b, 2))));
    store(out, mul(mul(a, scale), fma(TURNED(a, 3), sub(b, TURNED(b, 3)), sum)));
#undef TURNED
  }
  return all_harmless(watch);
}

#endif

// Rows of two classes.
SHARED int vjp_twos(size_t rows, real *out, const real *s, const real *g, size_t classes, V scale) {
  (void)classes;
  V watch = splat(0);
#if REAL == 32
#define OTHER(v) swap_pairs(v)
#else
#define OTHER(v) swap_halves(v)
#endif
  for (size_t left = 2 * rows, k; left; left -= k, out += k, s += k, g += k) {
    k = left < W ? left : W;
    V a = load_part_or_all(s, k), b = load_part_or_all(g, k), d = sub(b, OTHER(b));
    watch = watched(watch, d);
    store_part_or_all(out, mul(mul(a, scale), mul(OTHER(a), d)), k);
  }
#undef OTHER
  return all_harmless(watch);
}

// Rows of three classes, W in lanes.
SHARED int vjp_threes(size_t rows, real *out, const real *s, const real *g, size_t classes, V scale) {
  (void)classes;
  V watch = splat(0);
  for (; rows; rows -= W, out += 3 * W, s += 3 * W, g += 3 * W) {
    V a[3], b[3];
    triples_in(a, s), triples_in(b, g);
    V c[3];
    watch = watched(watch, differences(c, a, b, 3));
    EACH(3, a[u] = mul(mul(a[u], scale), c[u]))
    triples_out(out, a);
  }
  return all_harmless(watch);
}

typedef int (*ShortRows)(size_t rows, real *out, const real *s, const real *g, size_t classes, V scale);

// The same rows from copies, `step` at a time; rows with huge cotangents are computed again.
COMPACT SHARED void vjp_short_huge(ShortRows rows_of, size_t step, size_t rows, real *out, const real *s, const real *g,
                                   size_t classes, V scale) {
  real p[16], q[16];
  for (size_t n = step * classes; rows; rows -= step, out += n, s += n, g += n) {
    for (size_t c = 0; c < n; c++) p[c] = s[c], q[c] = g[c];
    if (rows_of(step, out, p, q, classes, scale)) continue;
    for (size_t c = 0; c < n; c += classes) {
      real finite = 0;
      for (size_t k = c; k < c + classes; k++) finite += out[k] - out[k];
      if (finite != 0) vjp_huge(out + c, p + c, q + c, classes, 1, (Scale){scale, 0});
    }
  }
}

COMPACT SHARED int is_harmless(const real *g, size_t n) {
  V fine = splat(0);
  fine = eq(fine, fine);
  size_t c = 0;
  for (; c + W <= n; c += W) fine = and(fine, harmless(load(g + c)));
  for (; c < n; c++) fine = and(fine, harmless(splat(g[c])));
  return all_lanes(fine);
}

// Rows that are checked together: they are computed again if one had huge cotangents; in place, where that would be too
// late, they are checked first.
INLINE void vjp_watched(ShortRows rows_of, size_t step, size_t rows, real *out, const real *s, const real *g,
                        size_t classes, V scale) {
  if ((out == s || out == g) ? !is_harmless(g, rows * classes) : !rows_of(rows, out, s, g, classes, scale))
    vjp_short_huge(rows_of, step, rows, out, s, g, classes, scale);
  else if (out == s || out == g)
    rows_of(rows, out, s, g, classes, scale);
}

KERNEL(vjp)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out, const real *s,
            const real *g, real *scratch, double temperature) {
  Rows r = {outer, classes, inner};
  Scale by = {splat((real)(1 / temperature)), __builtin_fabs(temperature) > LATE_FROM};
  size_t row = begin * W, next = end * W < outer ? end * W : outer;
  if (inner == 1 && temperature == 1 && classes >= SHORT_TO) {
    const LongRows of_rows[] = {vjp_rows, vjp_rows_in_parts};
    of_rows[classes > PART](row, next, out, s, g, classes);
    return;
  }
  size_t at = row * classes;
  if (inner == 1 && classes == 2 && end > begin && !by.late) {
    vjp_watched(vjp_twos, 1, next - row, out + at, s + at, g + at, classes, by.inverse);
    return;
  }
  if (inner == 1 && classes == 3 && end > begin && !by.late) {
    size_t whole = (next - row) / W;
    vjp_watched(vjp_threes, W, whole * W, out + at, s + at, g + at, classes, by.inverse);
    begin += whole;
  }
#if REAL == 32
  if (inner == 1 && classes > 3 && classes <= 16 && !by.late) {
    const ShortRows by_vectors[] = {vjp_fours, vjp_short_2, vjp_short_3, vjp_short_4};
    vjp_watched(by_vectors[(classes - 1) / 4], 1, next - row, out + at, s + at, g + at, classes, by.inverse);
    return;
  }
#endif
  if (begin < end) (classes <= FEW ? vjp_few : vjp_lanes)(begin, end, r, out, s, g, scratch, by);
}

#define vjp_of PASTE(vjp, PASTE(_f, REAL))

// Rows with a mask, by `vjp` of masked cotangents. Entry `at` of the mask, which repeats after `period`, is that of the first.
COMPACT SHARED void vjp_kept(size_t rows, size_t classes, real *out, const real *s, const real *g, real *scratch,
                             double temperature, const unsigned char *mask, size_t at, size_t period) {
  size_t n = rows * classes;
  fill_repeated(scratch, g, mask, at, n, period, 0);
  vjp_of(0, (rows + W - 1) / W, rows, classes, 1, out, s, scratch, scratch + n, temperature);
  fill_repeated(out, out, mask, at, n, period, 0);
}

#if REAL == 64
#define EVEN_WORDS(a, b) wasm_i32x4_shuffle(a, b, 0, 2, 4, 6)
#define narrowed(v) wasm_i16x8_narrow_i32x4(EVEN_WORDS(v[0], v[1]), EVEN_WORDS(v[2], v[3]))
#define gone_narrow(mask) wasm_i16x8_eq(wasm_i16x8_load8x8(mask), splat(0))
#else
#define narrowed(v) wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(v[0], v[1]), wasm_i16x8_narrow_i32x4(v[2], v[3]))
#define gone_narrow(mask) wasm_i8x16_eq(load(mask), splat(0))
#endif

// Makes zeros among results, of at least BYTES entries, positive. Returns whether the probabilities that the mask leaves out are all 0. Narrowing the
// comparisons takes less time than widening the mask.
SHARED int positive_zeros(real *out, const real *s, const unsigned char *mask, size_t n) {
  V wrong = splat(0), v[4];
  for (size_t c = 0, last = n - BYTES;; c = c + BYTES < last ? c + BYTES : last) {
    EACH(4, v[u] = ne(load(s + c + u * W), splat(0)))
    wrong = or(wrong, and(gone_narrow(mask + c), narrowed(v)));
    EACH(4, store(out + c + u * W, add(load(out + c + u * W), splat(0))))
    if (c == last) return !any_true(wrong);
  }
}

// Rows with a mask whose probabilities are 0 wherever it leaves entries out, by `vjp` without it. Returns 0 if they are not, or if a row is NaN, as one is
// whose cotangents are not finite at such entries. `out` must not be an operand.
INLINE int vjp_of_zeros(size_t rows, size_t classes, real *out, const real *s, const real *g,
                        const unsigned char *mask) {
  vjp_of(0, (rows + W - 1) / W, rows, classes, 1, out, s, g, 0, 1);
  int right = positive_zeros(out, s, mask, rows * classes);
  for (size_t row = 0; row < rows; row++) right &= out[row * classes] == out[row * classes];
  return right;
}

// Contiguous rows with a mask, in blocks that stay in the first-level cache. Scratch memory: W rows, and that of `vjp`.
COMPACT KERNEL(masked_vjp)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out,
                           const real *s, const real *g, real *scratch, double temperature, const unsigned char *mask,
                           size_t mask_outer) {
  (void)inner;
  int by_rows = temperature == 1 && classes >= SHORT_TO, apart = out != s && out != g;
  size_t row = begin * W, last = end * W < outer ? end * W : outer, most = STRETCH / classes / W * W, rows;
  if (most == 0) most = by_rows ? 1 : W;
  for (; row < last; row += rows) {
    size_t at = row * classes, first = row % mask_outer;
    rows = last - row < most ? last - row : most;
    if (by_rows && mask_outer - first < rows) rows = mask_outer - first;
    if (!(by_rows && apart && vjp_of_zeros(rows, classes, out + at, s + at, g + at, mask + first * classes)))
      vjp_kept(rows, classes, out + at, s + at, g + at, scratch, temperature, mask, at, mask_outer * classes);
  }
}
