// out = exp(x/T) / Σ exp(x/T) over each row.
#include "partition.h"
#include "rows.h"

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

#if REAL == 32
// Short rows, W at a time: blocks of four classes are transposed into lanes, and back on the way out. The last block
// ends with the row, so that it may share classes with the one before; they are counted once.
#define BLOCKS_TO ((ROWS_FROM + 3) / 4)

INLINE void block_in(V *v, const real *x, size_t classes) {
  EACH(4, v[u] = load(x + u * classes))
  transpose(&v[0], &v[1], &v[2], &v[3]);
}

INLINE void block_out(real *out, V *v, size_t classes) {
  transpose(&v[0], &v[1], &v[2], &v[3]);
  EACH(4, store(out + u * classes, v[u]))
}

// Three groups are under way at once, each in another stage, so that one's chain from maximum to sum to reciprocal is
// hidden under the others' work.
typedef struct {
  V lanes[BLOCKS_TO * 4];
  Reduction at;
  Factor scale;
  int general; // rows that cannot be reduced as they stand are left to the general way
} Short;

INLINE void short_in(Short *g, const real *x, size_t classes) {
  V a = splat((real)-__builtin_inf()), b = a;
  for (size_t c = 0; c < classes; c += 4) {
    V *at = g->lanes + c;
    block_in(at, x + (c + 4 < classes ? c : classes - 4), classes);
    a = pmax(pmax(a, at[0]), at[1]), b = pmax(pmax(b, at[2]), at[3]);
  }
  V top = pmax(a, b);
  g->general = !all_true(reducible(top, 0, 0));
  g->at = reduction_at(top, 0, 0);
}

INLINE void short_exp(Short *g, size_t classes) {
  Sum s = sum_zero();
  Reduction at = g->at;
  V e[4];
  for (size_t c = 0; c < classes; c += 4) {
    exp_reduced(4, e, g->lanes + c, at, 1, 0, 0);
    EACH(4, g->lanes[c + u] = e[u])
    if (c + 4 > classes) EACH(3, e[u] = u < c + 4 - classes ? splat(0) : e[u])
    EACH(4, s = sum_add(s, e[u]))
  }
  g->scale = reciprocal_of(s);
}

INLINE void short_out(real *out, Short *g, size_t classes) {
  Factor scale = g->scale;
  V v[4];
  for (size_t c = 0; c < classes; c += 4) {
    EACH(4, v[u] = scaled(g->lanes[c + u], scale))
    block_out(out + (c + 4 < classes ? c : classes - 4), v, classes);
  }
}

SHARED void softmax_short(size_t begin, size_t end, Rows r, real *out, const real *logits, real *scratch,
                          const Temperature *t) {
  Short groups[3], *now = groups, *next = groups + 1, *before = groups + 2;
  size_t whole = r.outer / W < end ? r.outer / W : end, size = r.classes * W;
  before->general = 0;
  if (begin < whole) short_in(now, logits + begin * size, r.classes);
  for (size_t unit = begin; unit < whole + 1; unit++) {
    if (unit < whole && !now->general) short_exp(now, r.classes);
    if (unit + 1 < whole) short_in(next, logits + (unit + 1) * size, r.classes);
    if (unit > begin) {
      if (before->general)
        softmax_lanes(unit - 1, unit, r, out, logits, scratch, t);
      else
        short_out(out + (unit - 1) * size, before, r.classes);
    }
    Short *free = before;
    before = now, now = next, next = free;
  }
  if (whole < end) softmax_lanes(whole, end, r, out, logits, scratch, t);
}

INLINE void softmax_of_three(size_t begin, size_t end, Rows r, real *out, const real *logits, real *scratch,
                             const Temperature *t) {
  for (size_t unit = begin, next; unit < end; unit = next) {
    size_t row = unit * W;
    int done = row + 2 * W <= r.outer && unit + 2 <= end && softmax_triples(out + row * 3, logits + row * 3);
    next = done ? unit + 2 : unit + 1;
    if (!done) softmax_lanes(unit, next, r, out, logits, scratch, t);
  }
}
#endif

KERNEL(softmax)(size_t begin, size_t end, size_t outer, size_t classes, size_t inner, real *out, const real *logits,
                real *scratch, double temperature) {
  Temperature t = temperature_of(temperature);
  size_t last = end * W < outer ? end * W : outer;
  Rows r = {outer, classes, inner};
  if (inner == 1 && t.plain && classes >= ROWS_FROM) softmax_rows(begin * W, last, classes, out, logits);
#if REAL == 32
  else if (inner == 1 && t.plain && classes == 3)
    softmax_of_three(begin, end, r, out, logits, scratch, &t);
  else if (inner == 1 && t.plain && classes > 3)
    softmax_short(begin, end, r, out, logits, scratch, &t);
#endif
  else
    softmax_lanes(begin, end, r, out, logits, scratch, &t);
}
