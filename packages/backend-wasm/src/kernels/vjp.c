// out = (s ⊙ (g − ⟨s, g⟩)) / T over each row. A constant may be taken off g for nothing: where one probability is
// beyond 1/2 it is that entry's g, without which g − ⟨s, g⟩ would cancel.
#include "partition.h"
#include "rows.h"

INLINE V dot_lanes(Lanes s, Lanes g, size_t classes, V shift) {
  Sum sum = sum_zero();
  for (size_t c = 0; c < classes; c++) sum = sum_add(sum, mul(lanes_load(s, c), sub(lanes_load(g, c), shift)));
#if REAL == 32
  return narrow(sum.high, sum.low);
#else
  return add(sum.high, sum.low);
#endif
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

// ⟨s, g⟩, and whether a probability is beyond 1/2.
SHARED double dot_row(const real *s, const real *g, size_t classes, int *dominated) {
  Sum sum = sum_zero();
  V a[4], b[4], top = splat(0);
  size_t c = 0;
  for (; c + 4 * W <= classes; c += 4 * W) {
    EACH(4, a[u] = load(s + c + u * W))
    EACH(4, b[u] = mul(a[u], load(g + c + u * W)))
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
    sum = sum_add(sum, mul(v, load_part_or_all(g + c, k)));
  }
  *dominated = any_true(lt(splat((real)0.5), top));
  return sum_total(sum);
}

// The same less a constant, one of the g, in float64.
COMPACT SHARED double dot_row_less(const real *s, const real *g, size_t classes, real shift) {
  double sum = 0;
  for (size_t c = 0; c < classes; c++) sum += (double)s[c] * ((double)g[c] - shift);
  return sum;
}

INLINE void vjp_row(real *out, const real *s, const real *g, size_t classes) {
  int dominated;
  double dot = dot_row(s, g, classes, &dominated);
  real shift = 0;
  if (dominated) {
    size_t k = 0;
    while (!(s[k] > (real)0.5)) k++;
    shift = g[k];
    dot = dot_row_less(s, g, classes, shift);
  }
  V d = splat((real)dot), less = splat(shift);
  size_t c = 0;
  if (!dominated)
    for (; c + 4 * W <= classes; c += 4 * W)
      EACH(4, store(out + c + u * W, mul(load(s + c + u * W), sub(load(g + c + u * W), d))))
  for (; c < classes; c += W) {
    size_t k = classes - c < W ? classes - c : W;
    V v = mul(load_part_or_all(s + c, k), sub(sub(load_part_or_all(g + c, k), less), d));
    if (k == W)
      store(out + c, v);
    else
      store_part(out + c, v, k);
  }
}

KERNEL(vjp)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out, const real *s,
            const real *g, real *scratch, double temperature) {
  if (inner == 1 && temperature == 1 && classes >= ROWS_FROM) {
    size_t last = end * W < outer ? end * W : outer;
    for (size_t row = begin * W; row < last; row++)
      vjp_row(out + row * classes, s + row * classes, g + row * classes, classes);
  } else {
    vjp_lanes(begin, end, (Rows){outer, classes, inner}, out, s, g, scratch, splat((real)(1 / temperature)));
  }
}
