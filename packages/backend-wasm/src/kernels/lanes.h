// Rows in lanes: W rows at a time, one in each lane, so that all operations along a row are vertical. The unit of work
// is such a group: W adjacent rows if inner = 1, else W adjacent columns of one outer block. A result depends only on
// its group, and groups do not depend on how the work is split, so the number of threads does not change any bit.
#pragma once
#include "simd.h"

typedef struct {
  size_t outer, classes, inner;
} Rows;

typedef struct {
  size_t base[W]; // offset of each lane's row
  size_t step; // stride between classes
  size_t row; // the first lane's row, in (outer, inner) order
  size_t lanes; // lanes that have a row; the others repeat the last one
  int contiguous; // lanes are adjacent in memory
} Group;

COMPACT SHARED Group group_at(size_t unit, Rows r) {
  Group g;
  if (r.inner == 1) {
    g.row = unit * W;
    size_t left = r.outer - g.row;
    g.lanes = left < W ? left : W;
    g.step = 1;
    g.contiguous = 0;
    for (int l = 0; l < W; l++) g.base[l] = (g.row + ((size_t)l < g.lanes ? (size_t)l : g.lanes - 1)) * r.classes;
    return g;
  }
  size_t groups = (r.inner + W - 1) / W, o = unit / groups, i = unit % groups * W;
  size_t left = r.inner - i;
  g.row = o * r.inner + i;
  g.lanes = left < W ? left : W;
  g.step = r.inner;
  g.contiguous = g.lanes == W;
  size_t block = o * r.classes * r.inner + i;
  for (int l = 0; l < W; l++) g.base[l] = block + ((size_t)l < g.lanes ? (size_t)l : g.lanes - 1);
  return g;
}

// A matrix of lanes: class c's vector is at `at + c · step`.
typedef struct {
  real *at;
  size_t step;
} Lanes;

#define lanes_load(m, c) load((m).at + (c) * (m).step)
#define lanes_store(m, c, v) store((m).at + (c) * (m).step, v)

#if REAL == 32
INLINE void transpose(V *a, V *b, V *c, V *d) {
  V ab = wasm_i32x4_shuffle(*a, *b, 0, 4, 1, 5), AB = wasm_i32x4_shuffle(*a, *b, 2, 6, 3, 7);
  V cd = wasm_i32x4_shuffle(*c, *d, 0, 4, 1, 5), CD = wasm_i32x4_shuffle(*c, *d, 2, 6, 3, 7);
  *a = wasm_i64x2_shuffle(ab, cd, 0, 2);
  *b = wasm_i64x2_shuffle(ab, cd, 1, 3);
  *c = wasm_i64x2_shuffle(AB, CD, 0, 2);
  *d = wasm_i64x2_shuffle(AB, CD, 1, 3);
}

// Four rows of three classes are three vectors, shuffled into lanes and back.
INLINE void triples_in(V *v, const float *x) {
  V a = load(x), b = load(x + 4), c = load(x + 8);
  v[0] = wasm_i32x4_shuffle(wasm_i32x4_shuffle(a, b, 0, 3, 6, 6), c, 0, 1, 2, 5);
  v[1] = wasm_i32x4_shuffle(wasm_i32x4_shuffle(a, b, 1, 4, 7, 7), c, 0, 1, 2, 6);
  v[2] = wasm_i32x4_shuffle(wasm_i32x4_shuffle(a, b, 2, 5, 5, 5), c, 0, 1, 4, 7);
}

INLINE void triples_out(float *out, const V *e) {
  V low = wasm_i32x4_shuffle(e[0], e[1], 0, 4, 1, 5), high = wasm_i32x4_shuffle(e[0], e[1], 2, 6, 3, 7);
  store(out, wasm_i32x4_shuffle(low, e[2], 0, 1, 4, 2));
  store(out + 4, wasm_i32x4_shuffle(wasm_i32x4_shuffle(low, e[2], 3, 5, 3, 3), high, 0, 1, 4, 5));
  store(out + 8, wasm_i32x4_shuffle(e[2], high, 2, 6, 7, 3));
}
#else
// The same for two rows.
INLINE void triples_in(V *v, const double *x) {
  V a = load(x), b = load(x + 2), c = load(x + 4);
  v[0] = wasm_i64x2_shuffle(a, b, 0, 3);
  v[1] = wasm_i64x2_shuffle(a, c, 1, 2);
  v[2] = wasm_i64x2_shuffle(b, c, 0, 3);
}

INLINE void triples_out(double *out, const V *e) {
  store(out, wasm_i64x2_shuffle(e[0], e[1], 0, 2));
  store(out + 2, wasm_i64x2_shuffle(e[2], e[0], 0, 3));
  store(out + 4, wasm_i64x2_shuffle(e[1], e[2], 1, 3));
}
#endif

SHARED V gather(const real *p, const Group *g, size_t c) {
  size_t i = c * g->step;
#if REAL == 32
  V v = wasm_v128_load32_zero(p + g->base[0] + i);
  v = wasm_v128_load32_lane(p + g->base[1] + i, v, 1);
  v = wasm_v128_load32_lane(p + g->base[2] + i, v, 2);
  return wasm_v128_load32_lane(p + g->base[3] + i, v, 3);
#else
  return wasm_v128_load64_lane(p + g->base[1] + i, wasm_v128_load64_zero(p + g->base[0] + i), 1);
#endif
}

// The group's rows as lanes: in place, or else in `scratch`, which has space for classes · W elements.
COMPACT SHARED Lanes lanes_in(const real *p, const Group *g, size_t classes, real *scratch) {
  if (g->contiguous) return (Lanes){(real *)p + g->base[0], g->step};
  size_t c = 0;
  if (g->step == 1) {
    const real *p0 = p + g->base[0], *p1 = p + g->base[1];
#if REAL == 32
    const real *p2 = p + g->base[2], *p3 = p + g->base[3];
    for (; c + 4 <= classes; c += 4) {
      V a = load(p0 + c), b = load(p1 + c), d = load(p2 + c), e = load(p3 + c);
      transpose(&a, &b, &d, &e);
      store(scratch + c * 4, a);
      store(scratch + c * 4 + 4, b);
      store(scratch + c * 4 + 8, d);
      store(scratch + c * 4 + 12, e);
    }
#else
    for (; c + 2 <= classes; c += 2) {
      V a = load(p0 + c), b = load(p1 + c);
      store(scratch + c * 2, wasm_i64x2_shuffle(a, b, 0, 2));
      store(scratch + c * 2 + 2, wasm_i64x2_shuffle(a, b, 1, 3));
    }
#endif
  }
  for (; c < classes; c++) store(scratch + c * W, gather(p, g, c));
  return (Lanes){scratch, W};
}

// Where to write lanes that `lanes_out` then copies to the group's rows.
INLINE Lanes lanes_for(real *p, const Group *g, real *scratch) {
  return g->contiguous ? (Lanes){p + g->base[0], g->step} : (Lanes){scratch, W};
}

SHARED void scatter(real *p, const Group *g, size_t c, V v) {
  size_t i = c * g->step;
#if REAL == 32
  wasm_v128_store32_lane(p + g->base[0] + i, v, 0);
  if (g->lanes > 1) wasm_v128_store32_lane(p + g->base[1] + i, v, 1);
  if (g->lanes > 2) wasm_v128_store32_lane(p + g->base[2] + i, v, 2);
  if (g->lanes > 3) wasm_v128_store32_lane(p + g->base[3] + i, v, 3);
#else
  wasm_v128_store64_lane(p + g->base[0] + i, v, 0);
  if (g->lanes > 1) wasm_v128_store64_lane(p + g->base[1] + i, v, 1);
#endif
}

COMPACT SHARED void lanes_out(real *p, const Group *g, size_t classes, Lanes m) {
  if (g->contiguous) return;
  size_t c = 0;
  if (g->step == 1 && g->lanes == W) {
    real *p0 = p + g->base[0], *p1 = p + g->base[1];
#if REAL == 32
    real *p2 = p + g->base[2], *p3 = p + g->base[3];
    for (; c + 4 <= classes; c += 4) {
      V a = lanes_load(m, c), b = lanes_load(m, c + 1), d = lanes_load(m, c + 2), e = lanes_load(m, c + 3);
      transpose(&a, &b, &d, &e);
      store(p0 + c, a);
      store(p1 + c, b);
      store(p2 + c, d);
      store(p3 + c, e);
    }
#else
    for (; c + 2 <= classes; c += 2) {
      V a = lanes_load(m, c), b = lanes_load(m, c + 1);
      store(p0 + c, wasm_i64x2_shuffle(a, b, 0, 2));
      store(p1 + c, wasm_i64x2_shuffle(a, b, 1, 3));
    }
#endif
  }
  for (; c < classes; c++) scatter(p, g, c, lanes_load(m, c));
}

// One value for each row, rows in (outer, inner) order: those of a group are adjacent.
INLINE void store_row_values(real *p, const Group *g, V v) {
  if (g->lanes == W)
    store(p + g->row, v);
  else
    store_part(p + g->row, v, g->lanes);
}

// Whether an entry is so near the row's mean that most of the mean is a constant that entries have in common: the mean has the rounding error of the constant,
// which is then larger than that of the differences d from the mean. An entry of probability 0 counts as near, because it may be masked. Kernels test the first
// entries of a row.
#define SAMPLE 4
INLINE V near_mean(V probability, V d, V mean) {
  return le(vabs(mul(probability, d)), vabs(mul(probability, mul(mean, splat((real)0.25)))));
}

