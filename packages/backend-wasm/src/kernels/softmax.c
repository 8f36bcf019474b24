// out = exp(x/T) / Σ exp(x/T) over each row.
#include "blocks.h"
#include "masked-parts.h"
#include "single-rows.h"

COMPACT SHARED void softmax_lanes(size_t begin, size_t end, Rows r, real *out, const real *logits, real *scratch,
                                  const Temperature *t) {
  for (size_t unit = begin; unit < end; unit++) {
    Group g = group_at(unit, r);
    Lanes x = lanes_in(logits, &g, r.classes, scratch), e = lanes_for(out, &g, scratch);
    Partition p = partition(e, x, r.classes, t);
    Factor scale = reciprocal(p.sum);
    size_t c = 0;
    for (; c + WIDE <= r.classes; c += WIDE) EACH(WIDE, lanes_store(e, c + u, scaled(lanes_load(e, c + u), scale)))
    for (; c < r.classes; c++) lanes_store(e, c, scaled(lanes_load(e, c), scale));
    lanes_out(out, &g, r.classes, e);
  }
}

COMPACT SHARED void share_row_of(real *out, size_t classes, const Partition *p) {
  Factor f = row_reciprocal(p->sum);
  row_scale(out, classes, &f);
}

COMPACT SHARED void softmax_rows(size_t begin, size_t end, size_t classes, real *out, const real *logits, real *scratch) {
  for (size_t row = begin; row < end; row++) {
    Partition p;
    row_partition(&p, out + row * classes, logits + row * classes, classes, scratch);
    share_row_of(out + row * classes, classes, &p);
  }
}

INLINE void softmax_blocks(size_t begin, size_t end, Rows r, real *out, const real *logits, real *scratch,
                           const Temperature *t) {
  size_t groups = block_groups(r.classes);
  for (size_t unit = begin, next; unit < end; unit = next) {
    next = end - unit < groups ? end : unit + groups;
    size_t first = unit * W, rows = (next * W < r.outer ? next * W : r.outer) - first, n = rows * r.classes;
    real *o = out + first * r.classes;
    const real *x = logits + first * r.classes;
    Reduction at;
    if (n >= W && ((t->plain && block_near(o, x, rows, r.classes, scratch, &at)) || block_apart(o, x, rows, r.classes, scratch, t)))
      share_rows(o, rows, r.classes, scratch);
    else if (t->plain && r.classes >= ROWS_FROM)
      softmax_rows(first, first + rows, r.classes, out, logits, scratch);
    else
      softmax_lanes(unit, next, r, out, logits, scratch, t);
  }
}

SHARED void softmax_units(size_t begin, size_t end, Rows r, real *out, const real *logits, real *scratch,
                          const Temperature *t) {
  size_t last = end * W < r.outer ? end * W : r.outer;
  if (r.inner == 1 && r.classes > 1 && r.classes <= MOST_CLASSES)
    softmax_blocks(begin, end, r, out, logits, scratch, t);
  else if (r.inner == 1 && t->plain && r.classes > MOST_CLASSES)
    softmax_rows(begin * W, last, r.classes, out, logits, scratch);
  else
    softmax_lanes(begin, end, r, out, logits, scratch, t);
}

#if REAL == 32
// Longer rows than those of blocks, without a temperature. float64 has no such loop: it would not be faster than parts.
COMPACT SHARED void softmax_masked_rows(size_t begin, size_t end, size_t classes, real *out, const real *logits, real *scratch,
                                const unsigned char *mask, size_t mask_outer) {
  for (size_t row = begin; row < end; row++) {
    real *o = out + row * classes;
    const unsigned char *m = mask + row % mask_outer * classes;
    Partition p;
    real top = horizontal_max(mask_row(o, logits + row * classes, m, classes));
    row_partition_below(&p, o, o, classes, scratch, top);
    share_row_of(o, classes, &p);
    clear_masked(row, row + 1, classes, out, mask, mask_outer, 0);
  }
}
#endif

// Softmax of a block of masked logits, if those that are kept are near each other: the first of them takes the place of
// the others.
COMPACT SHARED int softmax_masked_block(real *out, const real *x, size_t rows, size_t classes, real *scratch,
                                     const unsigned char *mask, size_t at, size_t period) {
  Reduction by;
  size_t n = rows * classes, c = 0;
  while (c < n && !mask[(at + c) % period]) c++;
  if (n < W || c == n) return 0;
  fill_repeated(out, x, mask, at, n, period, x[c]);
  if (!block_near(out, out, rows, classes, scratch, &by)) return 0;
  fill_repeated(out, out, mask, at, n, period, 0);
  share_rows(out, rows, classes, scratch);
  return 1;
}

KERNEL(softmax)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out, const real *logits,
                real *scratch, double temperature, const unsigned char *mask, size_t mask_outer) {
  Temperature t = temperature_of(temperature);
  Rows r = {outer, classes, inner};
  if (!mask) {
    softmax_units(begin, end, r, out, logits, scratch, &t);
    return;
  }
#if REAL == 32
  if (inner == 1 && t.plain && classes > MOST_CLASSES) {
    softmax_masked_rows(begin * W, end * W < outer ? end * W : outer, classes, out, logits, scratch, mask, mask_outer);
    return;
  }
#endif
  in_masked_parts(begin, end, r, out, logits, scratch, &t, mask, mask_outer, 0, softmax_units, softmax_masked_block);
}
