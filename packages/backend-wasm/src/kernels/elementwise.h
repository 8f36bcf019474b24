// Loops over elements.
#pragma once
#include "simd.h"

// The last, incomplete vector of an array.
COMPACT SHARED void store_end(real *p, V v, size_t lanes) { store_part(p, v, lanes); }

// Applies `expression` of a to the elements begin … end of x. Whole vectors are read, the last one too: the bytes that
// follow an array may be read (heap.ts).
#define ELEMENTWISE(expression)                                                                                        \
  for (size_t i = begin; i < end; i += W) {                                                                            \
    V a = load(x + i);                                                                                                 \
    V v = (expression);                                                                                                \
    if (end - i < W)                                                                                                   \
      store_end(out + i, v, end - i);                                                                                  \
    else                                                                                                               \
      store(out + i, v);                                                                                               \
  }
