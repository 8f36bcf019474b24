// out = exp(x/T) / Σ exp(x/T) over each row.
#include "blocks.h"
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

INLINE void softmax_rows(size_t begin, size_t end, size_t classes, real *out, const real *logits, real *scratch) {
  for (size_t row = begin; row < end; row++) {
    Partition p;
    row_partition(&p, out + row * classes, logits + row * classes, classes, scratch);
    Factor f = row_reciprocal(p.sum);
    row_scale(out + row * classes, classes, &f);
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
    if (n >= W && ((t->plain && block_near(o, x, n, scratch, &at)) || block_apart(o, x, rows, r.classes, scratch, t)))
      share_rows(o, rows, r.classes, scratch);
    else if (t->plain && r.classes >= ROWS_FROM)
      softmax_rows(first, first + rows, r.classes, out, logits, scratch);
    else
      softmax_lanes(unit, next, r, out, logits, scratch, t);
  }
}

KERNEL(softmax)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out, const real *logits,
                real *scratch, double temperature) {
  Temperature t = temperature_of(temperature);
  size_t last = end * W < outer ? end * W : outer;
  Rows r = {outer, classes, inner};
  if (inner == 1 && classes > 1 && classes <= MOST_CLASSES)
    softmax_blocks(begin, end, r, out, logits, scratch, &t);
  else if (inner == 1 && t.plain && classes > MOST_CLASSES)
    softmax_rows(begin * W, last, classes, out, logits, scratch);
  else
    softmax_lanes(begin, end, r, out, logits, scratch, &t);
}
