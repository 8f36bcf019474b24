// The basis primitives, from which core composes operations without a kernel.
#include "elementwise.h"
#include "lanes.h"
#include "log.h"
#include "mask.h"
#include "single-rows.h"

COMPACT KERNEL(natural_log)(size_t begin, size_t end, real *out, const real *x) {
#if REAL == 32
  ELEMENTWISE(narrow(log_f64x2_any(widen_low(a)), log_f64x2_any(widen_high(a))))
#else
  ELEMENTWISE(log_f64x2_any(a))
#endif
}

INLINE V apply(int op, V x, V y) {
  switch (op) {
  case 0:
    return add(x, y);
  case 1:
    return sub(x, y);
  case 2:
    return mul(x, y);
  case 3:
    return div(x, y);
  case 4:
    return ieee_max(x, y);
  case 5:
    return ieee_min(x, y);
  default:
    return mul(y, mul(x, sub(splat(1), x))); // the vjp of sigmoid: x is its output
  }
}

// out = x op y. Operands broadcast: each has the strides of its three dimensions in elements, the last of which
// is 0 or 1. `begin` and `end` count along the last dimension if the other two are 1.
COMPACT KERNEL(binary)(size_t begin, size_t end, int op, size_t outer, size_t middle, size_t last, real *out,
                       const real *ap, size_t a0, size_t a1, size_t a2, const real *bp, size_t b0, size_t b1,
                       size_t b2) {
  for (size_t o = 0; o < outer; o++)
    for (size_t m = 0; m < middle; m++) {
      const real *a = ap + o * a0 + m * a1, *b = bp + o * b0 + m * b1;
      real *to = out + (o * middle + m) * last;
      // An operand with stride 0 is read from a vector of copies.
      V fixed[2] = {splat(*a), splat(*b)};
      a = a2 ? a + begin : (const real *)fixed, b = b2 ? b + begin : (const real *)(fixed + 1);
      size_t i = begin;
      for (; i + W <= end; i += W, a += a2 * W, b += b2 * W) store(to + i, apply(op, load(a), load(b)));
      if (i < end) store_end(to + i, apply(op, load(a), load(b)), end - i);
    }
}

// `condition` is an array of bytes (a mask) or, with `floats`, of reals.
COMPACT KERNEL(select_where)(int floats, size_t outer, size_t middle, size_t last, real *out, const void *cp, size_t c0,
                             size_t c1, size_t c2, const real *ap, size_t a0, size_t a1, size_t a2, const real *bp,
                             size_t b0, size_t b1, size_t b2) {
  const real *cf = cp;
  const unsigned char *cb = cp;
  for (size_t o = 0; o < outer; o++)
    for (size_t m = 0; m < middle; m++) {
      size_t c = o * c0 + m * c1, a = o * a0 + m * a1, b = o * b0 + m * b1, to = (o * middle + m) * last;
      if (floats)
        for (size_t i = 0; i < last; i++) out[to + i] = cf[c + i * c2] > 0 ? ap[a + i * a2] : bp[b + i * b2];
      else
        for (size_t i = 0; i < last; i++) out[to + i] = cb[c + i * c2] ? ap[a + i * a2] : bp[b + i * b2];
    }
}

COMPACT KERNEL(reduce_sum)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out,
                           const real *x, real *scratch) {
  Rows r = {outer, classes, inner};
  for (size_t unit = begin; unit < end; unit++) {
    Group g = group_at(unit, r);
#if REAL == 32
    // Row by row: the losses of a batch are one long row.
    if (inner == 1 && classes >= ROWS_FROM) {
      for (size_t l = 0; l < g.lanes; l++)
        out[g.row + l] = (real)sum_total(terms_of(x + g.base[l], classes, SINGLY));
      continue;
    }
#else
    // A single row is read in place, so that the sum of the losses of a batch needs no memory.
    if (inner == 1 && outer == 1) {
      Sum row = sum_zero();
      for (size_t c = 0; c < classes; c++) row = sum_add(row, splat(x[c]));
      *out = lane0(sum_rounded(row));
      continue;
    }
#endif
    Lanes l = lanes_in(x, &g, classes, scratch);
    Sum s = sum_zero();
    for (size_t c = 0; c < classes; c++) s = sum_add(s, lanes_load(l, c));
    store_row_values(out, &g, sum_rounded(s));
  }
}

COMPACT KERNEL(reduce_max)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out,
                           const real *x, real *scratch) {
  Rows r = {outer, classes, inner};
  for (size_t unit = begin; unit < end; unit++) {
    Group g = group_at(unit, r);
    Lanes l = lanes_in(x, &g, classes, scratch);
    V v = splat((real)-__builtin_inf());
    for (size_t c = 0; c < classes; c++) v = ieee_max(v, lanes_load(l, c));
    store_row_values(out, &g, v);
  }
}

// out[o, i, c] = x[o, c, i], in tiles that fit into the first-level cache.
COMPACT KERNEL(transpose)(size_t outer, size_t classes, size_t inner, real *out, const real *x) {
  enum { tile = 16 };
  for (size_t o = 0; o < outer; o++, x += classes * inner, out += classes * inner)
    for (size_t c0 = 0; c0 < classes; c0 += tile)
      for (size_t i0 = 0; i0 < inner; i0 += tile) {
        size_t c1 = c0 + tile < classes ? c0 + tile : classes, i1 = i0 + tile < inner ? i0 + tile : inner;
        for (size_t i = i0; i < i1; i++)
          for (size_t c = c0; c < c1; c++) out[i * classes + c] = x[c * inner + i];
      }
}

// out = mask ? x : value.
COMPACT KERNEL(mask_fill)(size_t begin, size_t end, real *out, const real *x, const unsigned char *mask, size_t period,
                          double value) {
  fill_repeated(out + begin, x + begin, mask, begin, end - begin, period, (real)value);
}
