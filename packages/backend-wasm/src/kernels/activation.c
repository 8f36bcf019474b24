// sigmoid and exp, elementwise, and the hvp of sigmoid.
#include "elementwise.h"
#include "exp.h"

// 1 / (1 + exp(−x)) from e = exp(−|x|) · 2^OFFSET.
INLINE V sigmoid_from(V e, V x) {
  e = mul(e, ONE_UNIT);
  return div(select(le(splat(0), x), splat(1), e), add(splat(1), e));
}

#define minus_size(a) or(a, splat((real)-0.0))

COMPACT SHARED V sigmoid_of(V x, Reduction at) { return sigmoid_from(exp_call(minus_size(x), at.magic, at.lowest), x); }

KERNEL(sigmoid)(size_t begin, size_t end, real *out, const real *x) {
  Reduction at = reduction_at(splat(0), 0, 0);
  for (; begin + WIDE * W <= end; begin += WIDE * W) {
    V v[WIDE], n[WIDE], e[WIDE];
    EACH(WIDE, v[u] = load(x + begin + u * W))
    EACH(WIDE, n[u] = minus_size(v[u]))
    exp_reduced(WIDE, e, n, at, 1, 0, 0);
    EACH(WIDE, store(out + begin + u * W, sigmoid_from(e[u], v[u])))
  }
  ELEMENTWISE(sigmoid_of(a, at))
}

// Arguments above 0 are reduced relative to 2^RAISED, so that no intermediate value overflows or underflows.
#if REAL == 32
#define RAISED 96
#define GREATEST 120
#else
#define RAISED 768
#define GREATEST 1100
#endif

INLINE V exp_of(V x, Reduction low, Reduction high) {
  V up = lt(splat(0), x);
  Reduction at = {select(up, high.magic, low.magic), select(up, high.lowest, low.lowest)};
  V e = exp_call(pmin(x, splat(GREATEST)), at.magic, at.lowest);
#if REAL == 32
  return mul(e, select(up, splat(0x1p64f), splat(0x1p-32f)));
#else
  return mul(e, select(up, splat(0x1p704), splat(0x1p-64)));
#endif
}

COMPACT KERNEL(exponential)(size_t begin, size_t end, real *out, const real *x) {
  Reduction low = reduction_at(splat(0), 0, 0), high = reduction_at(splat((real)(RAISED * LN2)), 0, 0);
  ELEMENTWISE(exp_of(a, low, high))
}

// Two elements in float64.
#if REAL == 32
#define load_pair(p) widen_low(load_part(p, 2))
#define store_pair(p, v) store_part(p, wasm_f32x4_demote_f64x2_zero(v), 2)
#define store_first(p, v) store_part(p, wasm_f32x4_demote_f64x2_zero(v), 1)
#else
#define load_pair(p) load(p)
#define store_pair(p, v) store(p, v)
#define store_first(p, v) store_part(p, v, 1)
#endif

// g t y (1 − y)(1 − 2y), y the output of sigmoid. In float64, in which no product of float32 overflows, so that results
// of float32 are rounded once. If g t overflows, both are above 1, and g is multiplied by the rest first.
COMPACT KERNEL(sigmoid_hvp)(size_t begin, size_t end, real *out, const real *y, const real *g, const real *t) {
  V one = wasm_f64x2_const_splat(1);
  for (size_t i = begin; i < end; i += 2) {
    V a = load_pair(y + i), upstream = wasm_f64x2_mul(load_pair(g + i), load_pair(t + i));
    V slope = wasm_f64x2_mul(a, wasm_f64x2_sub(one, a)), bend = wasm_f64x2_sub(one, wasm_f64x2_add(a, a));
    V v = wasm_f64x2_mul(wasm_f64x2_mul(upstream, slope), bend);
#if REAL == 64
    V is_infinite = eq(vabs(upstream), splat(__builtin_inf()));
    if (any_true(is_infinite))
      v = select(is_infinite, mul(mul(mul(slope, bend), load_pair(g + i)), load_pair(t + i)), v);
#endif
    if (end - i < 2)
      store_first(out + i, v);
    else
      store_pair(out + i, v);
  }
}
