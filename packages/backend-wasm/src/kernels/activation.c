// sigmoid and relu with their vjps, elementwise.
#include "exp.h"

// Applies `expression` of a to the elements begin … end.
#define ELEMENTWISE(expression)                                                                                        \
  for (size_t i = begin; i < end; i += W) {                                                                            \
    size_t k = end - i < W ? end - i : W;                                                                              \
    V a = k == W ? load(x + i) : load_part(x + i, k);                                                                  \
    V v = (expression);                                                                                                \
    if (k == W)                                                                                                        \
      store(out + i, v);                                                                                               \
    else                                                                                                               \
      store_part(out + i, v, k);                                                                                       \
  }

INLINE V sigmoid_of(V x, Reduction at) {
  V e = mul(exp_call(neg(vabs(x)), at.magic, at.lowest),
            splat((real)(1.0 / (1ull << OFFSET / 2) / (1ull << OFFSET / 2))));
  V positive = le(splat(0), x);
  return div(select(positive, splat(1), e), add(splat(1), e));
}

COMPACT KERNEL(sigmoid)(size_t begin, size_t end, real *out, const real *x) {
  Reduction at = reduction_at(splat(0), 0, 0);
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
