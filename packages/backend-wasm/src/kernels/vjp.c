// out = (s ⊙ (g − ⟨s, g⟩)) / T over each row. A constant may be taken off g for nothing: where one probability is
// beyond 1/2 it is that entry's g, without which g − ⟨s, g⟩ would cancel.
#include "single-rows.h"

// Rows of fewer classes are taken whole into registers, or in lanes.
#define SHORT_TO (REAL == 32 ? 17 : 8)

INLINE V dot_lanes(Lanes s, Lanes g, size_t classes, V shift) {
  Sum sum = sum_zero();
  for (size_t c = 0; c < classes; c++) sum = sum_add(sum, mul(lanes_load(s, c), sub(lanes_load(g, c), shift)));
  return sum_rounded(sum);
}

COMPACT SHARED void vjp_lanes(size_t begin, size_t end, Rows r, real *out, const real *s, const real *g, real *scratch,
                              V scale) {
  for (size_t unit = begin; unit < end; unit++) {
    Group group = group_at(unit, r);
    Lanes p = lanes_in(s, &group, r.classes, scratch), q = lanes_in(g, &group, r.classes, scratch + r.classes * W);
    V shift = splat(0), half = splat((real)0.5);
    for (size_t c = 0; c < r.classes; c++) shift = select(lt(half, lanes_load(p, c)), lanes_load(q, c), shift);
    V dot = dot_lanes(p, q, r.classes, shift);
    Lanes o = lanes_for(out, &group, scratch);
    for (size_t c = 0; c < r.classes; c++) {
      V d = sub(sub(lanes_load(q, c), shift), dot);
      lanes_store(o, c, mul(mul(lanes_load(p, c), scale), d));
    }
    lanes_out(out, &group, r.classes, o);
  }
}

// ⟨s, g − shift⟩, and the largest of s; without a shift where that is null.
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

// The index of the probability beyond 1/2.
INLINE size_t dominant_of(const real *s, size_t classes) {
  size_t c = 0;
  while (c + W < classes && !any_true(lt(splat((real)0.5), load(s + c)))) c += W;
  while (!(s[c] > (real)0.5)) c++;
  return c;
}

SHARED void vjp_row_dominated(real *out, const real *s, const real *g, size_t classes) {
  V top, shift = splat(g[dominant_of(s, classes)]);
  V dot = splat((real)dot_row(s, g, classes, &shift, &top));
  for (size_t c = 0; c < classes; c += W) {
    size_t k = classes - c < W ? classes - c : W;
    V d = sub(sub(load_part_or_all(g + c, k), shift), dot);
    store_part_or_all(out + c, mul(load_part_or_all(s + c, k), d), k);
  }
}

INLINE void vjp_row(real *out, const real *s, const real *g, size_t classes) {
  int dominated;
  V dot = splat((real)dot_of_row(s, g, classes, &dominated));
  if (dominated) {
    vjp_row_dominated(out, s, g, classes);
    return;
  }
  size_t c = 0;
  for (; c + 4 * W <= classes; c += 4 * W)
    EACH(4, store(out + c + u * W, mul(load(s + c + u * W), sub(load(g + c + u * W), dot))))
  for (; c < classes; c += W) {
    size_t k = classes - c < W ? classes - c : W;
    store_part_or_all(out + c, mul(load_part_or_all(s + c, k), sub(load_part_or_all(g + c, k), dot)), k);
  }
}

#if REAL == 32
// A row of up to sixteen classes in registers; the last vector may share classes with the one before, of which `last`
// are the lanes of its own.
INLINE void vjp_short(real *out, const real *s, const real *g, size_t classes, size_t vectors, V last, V scale) {
  V a[4], b[4], half = splat((real)0.5), shift = splat(0);
  EACH(vectors, {
    size_t at = u + 1 < vectors ? u * W : classes - W;
    a[u] = load(s + at), b[u] = load(g + at);
    shift = or (shift, and(lt(half, a[u]), b[u]));
  })
  // At most one probability is beyond 1/2, and where the last two vectors share it they agree.
  shift = or (shift, swap_halves(shift));
  shift = or (shift, swap_pairs(shift));
  EACH(vectors, b[u] = sub(b[u], shift))
  V d = and(mul(a[vectors - 1], b[vectors - 1]), last);
  EACH(vectors - 1, d = add(d, mul(a[u], b[u])))
  V sum = wasm_f64x2_add(widen_low(d), widen_high(d));
  V dot = wasm_f32x4_demote_f64x2_zero(wasm_f64x2_add(sum, wasm_i64x2_shuffle(sum, sum, 1, 0)));
  dot = wasm_i32x4_shuffle(dot, dot, 0, 0, 0, 0);
  EACH(vectors, store(out + (u + 1 < vectors ? u * W : classes - W), mul(mul(a[u], scale), sub(b[u], dot))))
}

#define VJP_SHORT(vectors)                                                                                             \
  SHARED void vjp_short_##vectors(size_t rows, real *out, const real *s, const real *g, size_t classes, V scale) {     \
    V last = last_lanes(classes);                                                                                      \
    for (; rows; rows--, out += classes, s += classes, g += classes)                                                   \
      vjp_short(out, s, g, classes, vectors, last, scale);                                                             \
  }

VJP_SHORT(1)
VJP_SHORT(2)
VJP_SHORT(3)
VJP_SHORT(4)

// Four rows of three classes, in lanes.
SHARED void vjp_threes(size_t rows, real *out, const real *s, const real *g, V scale) {
  for (; rows; rows -= 4, out += 12, s += 12, g += 12) {
    V a[3], b[3], half = splat((real)0.5), shift = splat(0);
    triples_in(a, s), triples_in(b, g);
    EACH(3, shift = or (shift, and(lt(half, a[u]), b[u])))
    EACH(3, b[u] = sub(b[u], shift))
    V dot = add(add(mul(a[0], b[0]), mul(a[1], b[1])), mul(a[2], b[2]));
    EACH(3, a[u] = mul(mul(a[u], scale), sub(b[u], dot)))
    triples_out(out, a);
  }
}
#endif

KERNEL(vjp)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out, const real *s,
            const real *g, real *scratch, double temperature) {
  Rows r = {outer, classes, inner};
  V scale = splat((real)(1 / temperature));
  size_t row = begin * W, next = end * W < outer ? end * W : outer;
  if (inner == 1 && temperature == 1 && classes >= SHORT_TO) {
    for (; row < next; row++) vjp_row(out + row * classes, s + row * classes, g + row * classes, classes);
    return;
  }
#if REAL == 32
  size_t at = row * classes;
  if (inner == 1 && classes == 3 && end > begin) {
    size_t whole = (next - row) / W;
    vjp_threes(whole * W, out + at, s + at, g + at, scale);
    begin += whole;
  } else if (inner == 1 && classes > 3 && classes <= 16) {
    void (*const by_vectors[])(size_t, real *, const real *, const real *, size_t, V) = {vjp_short_1, vjp_short_2,
                                                                                         vjp_short_3, vjp_short_4};
    by_vectors[(classes - 1) / 4](next - row, out + at, s + at, g + at, classes, scale);
    return;
  }
#endif
  if (begin < end) vjp_lanes(begin, end, r, out, s, g, scratch, scale);
}
