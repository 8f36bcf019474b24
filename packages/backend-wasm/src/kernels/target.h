// The targets of crossEntropy.
#pragma once
#include "simd.h"

typedef struct {
  const int *indices; // one for each row, or null
  const real *probabilities; // in the layout of the logits, or null
  const real *weight; // one for each class, or null
  const unsigned char *mask; // 1 keeps, `mask_outer` blocks of classes · inner, or null
  size_t mask_outer;
  double smoothing, scale, temperature;
  int ignore;
} Target;

#if REAL == 32
#define same_index(a, b) wasm_i32x4_eq(a, b)
#define ne_index(a, b) wasm_i32x4_ne(a, b)
#define index_splat(i) wasm_i32x4_splat((int)(i))
#else
#define same_index(a, b) wasm_i64x2_eq(a, b)
#define index_splat(i) wasm_i64x2_splat((long long)(i))
#endif
