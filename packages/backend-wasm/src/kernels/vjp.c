// out = (s ⊙ (g − ⟨s, g⟩)) / T over each row. Subtracting a constant from g does not change the result. If one
// probability is above 1/2, g at its entry is subtracted, because g − ⟨s, g⟩ would cancel otherwise.
#include "single-rows.h"

// Rows of fewer classes are processed in registers, or in lanes.
#define SHORT_TO (REAL == 32 ? 17 : 8)

INLINE V dot_lanes(Lanes s, Lanes g, size_t classes, V shift) {
  Sum sum = sum_zero();
  for (size_t c = 0; c < classes; c++) sum = sum_add(sum, mul(lanes_load(s, c), sub(lanes_load(g, c), shift)));
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

// A row that may have such, whose classes are `step` apart.
COMPACT SHARED void vjp_huge(real *out, const real *s, const real *g, size_t classes, size_t step, Scale by) {
  size_t end = classes * step;
  real origin = 0, share = 1;
  for (size_t i = 0; i < end; i += step) {
    if (!(absolute(g[i]) < HARMLESS)) share = SHARE;
    if (s[i] > (real)0.5) origin = g[i];
  }
  Sum sum = sum_zero();
  for (size_t i = 0; i < end; i += step) sum = sum_add(sum, splat(s[i] * (g[i] * share - origin * share)));
  V dot = sum_rounded(sum);
  real first = by.late ? 1 : lane0(by.inverse), last = by.late ? lane0(by.inverse) : 1;
  for (size_t i = 0; i < end; i += step)
    out[i] = s[i] * first * (g[i] * share - origin * share - lane0(dot)) * (last / share);
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
  size_t c = 0;
  for (; c + 4 * W <= classes; c += 4 * W) {
    EACH(4, a[u] = load(s + c + u * W))
    EACH(4, b[u] = mul(a[u], LESS(load(g + c + u * W))))
    top = pmax(top, pmax(pmax(a[0], a[1]), pmax(a[2], a[3])));
#if REAL == 32
    V d = add(add(b[0], b[1]), add(b[2], b[3]));
    sum.high = wasm_f64x2_add(sum.high, wasm_f64x2_add(widen_low(d), widen_high(d)));
#else
    sum.high = add(sum.high, add(b[0], b[1])), sum.low = add(sum.low, add(b[2], b[3]));
#endif
  }
  for (; c < classes; c += W) {
    size_t k = classes - c < W ? classes - c : W;
    V v = load_part_or_all(s + c, k);
    top = pmax(top, v);
    sum = sum_add(sum, mul(v, LESS(load_part_or_all(g + c, k))));
  }
#undef LESS
  *largest = top;
  return sum_total(sum);
}

SHARED double dot_of_row(const real *s, const real *g, size_t classes, int *dominated) {
  V top;
  double dot = dot_row(s, g, classes, 0, &top);
  *dominated = any_true(lt(splat((real)0.5), top));
  return dot;
}

// The index of the probability above 1/2.
INLINE size_t dominant_of(const real *s, size_t classes) {
  size_t c = 0;
  while (c + W < classes && !any_true(lt(splat((real)0.5), load(s + c)))) c += W;
  while (!(s[c] > (real)0.5)) c++;
  return c;
}

SHARED void vjp_row_dominated(real *out, const real *s, const real *g, size_t classes) {
  V top, shift = splat(g[dominant_of(s, classes)]);
  double sum = dot_row(s, g, classes, &shift, &top);
  if (!(__builtin_fabs(sum) < HARMLESS)) {
    vjp_huge(out, s, g, classes, 1, (Scale){splat(1), 0});
    return;
  }
  V dot = splat((real)sum);
  for (size_t c = 0; c < classes; c += W) {
    size_t k = classes - c < W ? classes - c : W;
    V d = sub(sub(load_part_or_all(g + c, k), shift), dot);
    store_part_or_all(out + c, mul(load_part_or_all(s + c, k), d), k);
  }
}

INLINE void vjp_row(real *out, const real *s, const real *g, size_t classes) {
  int dominated;
  double sum = dot_of_row(s, g, classes, &dominated);
  if (dominated) {
    vjp_row_dominated(out, s, g, classes);
    return;
  }
  if (!(__builtin_fabs(sum) < HARMLESS)) {
    vjp_huge(out, s, g, classes, 1, (Scale){splat(1), 0});
    return;
  }
  V dot = splat((real)sum);
  size_t c = 0;
  for (; c + 4 * W <= classes; c += 4 * W)
    EACH(4, store(out + c + u * W, mul(load(s + c + u * W), sub(load(g + c + u * W), dot))))
  for (; c < classes; c += W) {
    size_t k = classes - c < W ? classes - c : W;
    store_part_or_all(out + c, mul(load_part_or_all(s + c, k), sub(load_part_or_all(g + c, k), dot)), k);
  }
}

#if REAL == 64
// In longer rows, ⟨s, g⟩ is summed in parts, with the rounding errors of their sum.
#define PART 4096

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
  if (dominated) {
    shift = splat(g[dominant_of(s, classes)]);
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
  V d = mul(a[vectors - 1], b[vectors - 1]);
  if (vectors > 1) d = and(d, last);
  EACH(vectors - 1, d = add(d, mul(a[u], b[u])))
  V sum = wasm_f64x2_add(widen_low(d), widen_high(d));
  V dot = wasm_f32x4_demote_f64x2_zero(wasm_f64x2_add(sum, wasm_i64x2_shuffle(sum, sum, 1, 0)));
  dot = wasm_i32x4_shuffle(dot, dot, 0, 0, 0, 0);
  EACH(vectors, store(out + (u + 1 < vectors ? u * W : classes - W), mul(scaled ? mul(a[u], scale) : a[u], sub(b[u], dot))))
  return dot;
}

// The sum of the ⟨s, g⟩ of rows, which is finite only if no row had huge cotangents.
#define watched(sum, dot) fma(dot, splat(0x1p27f), sum)
#define is_finite(a) all_lanes(eq(sub(a, a), splat(0)))

// Returns whether no row had huge cotangents. A scale of 1 takes no multiplications.
#define VJP_SHORT_LOOP(vectors, scaled)                                                                                \
  for (; rows; rows--, out += classes, s += classes, g += classes)                                                     \
    watch = watched(watch, vjp_short(out, s, g, vectors > 1 ? classes : W, vectors, last, scale, scaled));

#define VJP_SHORT(vectors)                                                                                             \
  SHARED int vjp_short_##vectors(size_t rows, real *out, const real *s, const real *g, size_t classes, V scale) {      \
    V last = last_lanes(classes), watch = splat(0);                                                                    \
    if (lane0(scale) == 1) {                                                                                           \
      VJP_SHORT_LOOP(vectors, 0)                                                                                       \
    } else {                                                                                                           \
      VJP_SHORT_LOOP(vectors, 1)                                                                                       \
    }                                                                                                                  \
    return is_finite(watch);                                                                                           \
  }

VJP_SHORT(1)
VJP_SHORT(2)
VJP_SHORT(3)
VJP_SHORT(4)

// Rows of three classes, four in lanes.
SHARED int vjp_threes(size_t rows, real *out, const real *s, const real *g, size_t classes, V scale) {
  (void)classes;
  V watch = splat(0);
  for (; rows; rows -= 4, out += 12, s += 12, g += 12) {
    V a[3], b[3], half = splat((real)0.5), shift = splat(0);
    triples_in(a, s), triples_in(b, g);
    EACH(3, shift = one_of(shift, and(lt(half, a[u]), b[u])))
    EACH(3, b[u] = sub(b[u], shift))
    V dot = add(add(mul(a[0], b[0]), mul(a[1], b[1])), mul(a[2], b[2]));
    watch = watched(watch, dot);
    EACH(3, a[u] = mul(mul(a[u], scale), sub(b[u], dot)))
    triples_out(out, a);
  }
  return is_finite(watch);
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
#endif

KERNEL(vjp)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out, const real *s,
            const real *g, real *scratch, double temperature) {
  Rows r = {outer, classes, inner};
  Scale by = {splat((real)(1 / temperature)), __builtin_fabs(temperature) > LATE_FROM};
  size_t row = begin * W, next = end * W < outer ? end * W : outer;
  if (inner == 1 && temperature == 1 && classes >= SHORT_TO) {
#if REAL == 64
    if (classes > PART) {
      for (; row < next; row++) vjp_long_row(out + row * classes, s + row * classes, g + row * classes, classes);
      return;
    }
#endif
    for (; row < next; row++) vjp_row(out + row * classes, s + row * classes, g + row * classes, classes);
    return;
  }
#if REAL == 32
  size_t at = row * classes;
  if (inner == 1 && classes == 3 && end > begin && !by.late) {
    size_t whole = (next - row) / W;
    vjp_watched(vjp_threes, W, whole * W, out + at, s + at, g + at, classes, by.inverse);
    begin += whole;
  } else if (inner == 1 && classes > 3 && classes <= 16 && !by.late) {
    const ShortRows by_vectors[] = {vjp_short_1, vjp_short_2, vjp_short_3, vjp_short_4};
    vjp_watched(by_vectors[(classes - 1) / 4], 1, next - row, out + at, s + at, g + at, classes, by.inverse);
    return;
  }
#endif
  if (begin < end) vjp_lanes(begin, end, r, out, s, g, scratch, by);
}
