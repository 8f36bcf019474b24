// Functions of masked logits, in parts that stay in the first-level cache: a masked logit is -Infinity, whose exponential is 0.
#pragma once
#include "blocks.h"
#include "mask.h"

INLINE int is_nan(real a) { return a != a; }

// Only where a row is NaN do its masked entries have to be set afterwards.
COMPACT SHARED void clear_masked(size_t begin, size_t end, size_t classes, real *out, const unsigned char *mask,
                                 size_t mask_outer, real value) {
  for (size_t r = begin; r < end; r++)
    if (is_nan(out[r * classes])) fill(out + r * classes, out + r * classes, mask + r % mask_outer * classes, classes, value);
}

// Groups of columns that are masked at once.
#define MASKED_GROUPS 16

typedef void OfUnits(size_t, size_t, Rows, real *, const real *, real *, const Temperature *);
// A block without a temperature, of a mask that repeats after `period`, from its entry `at` on; 0 if it is not for such a function.
typedef int OfMaskedBlock(real *, const real *, size_t rows, size_t classes, real *, const unsigned char *, size_t at, size_t period);

// Any rows, for any temperature; masked results are `value`.
COMPACT SHARED void in_masked_parts(size_t begin, size_t end, Rows r, real *out, const real *logits, real *scratch,
                            const Temperature *t, const unsigned char *mask, size_t mask_outer, real value,
                            OfUnits *of_units, OfMaskedBlock *of_block) {
  size_t period = mask_outer * r.classes * r.inner, groups = (r.inner + W - 1) / W;
  int blocks = r.inner == 1 && r.classes > 1 && r.classes <= MOST_CLASSES;
  size_t most = r.inner != 1 ? MASKED_GROUPS : blocks ? block_groups(r.classes) : 1;
  real masked = t->negative ? -MASKED : MASKED;
  for (size_t unit = begin, next; unit < end; unit = next) {
    next = end - unit < most ? end : unit + most;
    if (r.inner == 1) {
      size_t row = unit * W, last = next * W < r.outer ? next * W : r.outer, at = row * r.classes;
      if (!(of_block && blocks && t->plain && of_block(out + at, logits + at, last - row, r.classes, scratch, mask, at, period))) {
        fill_repeated(out + at, logits + at, mask, at, (last - row) * r.classes, period, masked);
        of_units(unit, next, r, out, out, scratch, t);
      }
      clear_masked(row, last, r.classes, out, mask, mask_outer, value);
      continue;
    }
    size_t of_block = (unit / groups + 1) * groups;
    if (next > of_block) next = of_block;
    Group first = group_at(unit, r), last = group_at(next - 1, r);
    size_t n = last.row + last.lanes - first.row, end_of_columns = first.base[0] + r.classes * r.inner;
    for (size_t at = first.base[0]; at < end_of_columns; at += r.inner)
      fill(out + at, logits + at, mask + at % period, n, masked);
    of_units(unit, next, r, out, out, scratch, t);
    for (size_t at = first.base[0]; at < end_of_columns; at += r.inner)
      fill(out + at, out + at, mask + at % period, n, value);
  }
}
