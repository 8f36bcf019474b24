// exp of a vector and nothing else, four or two elements at a time: a lower bound for the time of a softmax in WebAssembly.
// No special cases and only approximate: |x| below 80, relative error below 1e-5 in float32 and 1e-11 in float64.
// exp(x) = 2^n p(t), t = x - n ln 2 in ±ln 2 / 2, p a Taylor polynomial; n is read from the bits of x / ln 2 + 1.5·2^m.
#include <wasm_simd128.h>

#ifdef __wasm_relaxed_simd__
#define MADD32(a, b, c) wasm_f32x4_relaxed_madd(a, b, c)
#define MADD64(a, b, c) wasm_f64x2_relaxed_madd(a, b, c)
#else
#define MADD32(a, b, c) wasm_f32x4_add(wasm_f32x4_mul(a, b), c)
#define MADD64(a, b, c) wasm_f64x2_add(wasm_f64x2_mul(a, b), c)
#endif

static inline v128_t exp32(v128_t x) {
  const v128_t magic = wasm_f32x4_const_splat(12582912.0f);
  v128_t shifted = MADD32(x, wasm_f32x4_const_splat(1.44269504f), magic);
  v128_t n = wasm_f32x4_sub(shifted, magic);
  v128_t t = MADD32(n, wasm_f32x4_const_splat(-0.693147181f), x);
  v128_t p = wasm_f32x4_const_splat(1.0f / 120);
  p = MADD32(p, t, wasm_f32x4_const_splat(1.0f / 24));
  p = MADD32(p, t, wasm_f32x4_const_splat(1.0f / 6));
  p = MADD32(p, t, wasm_f32x4_const_splat(0.5f));
  p = MADD32(p, t, wasm_f32x4_const_splat(1.0f));
  p = MADD32(p, t, wasm_f32x4_const_splat(1.0f));
  return wasm_i32x4_add(p, wasm_i32x4_shl(shifted, 23));
}

static inline v128_t exp64(v128_t x) {
  const v128_t magic = wasm_f64x2_const_splat(6755399441055744.0);
  v128_t shifted = MADD64(x, wasm_f64x2_const_splat(1.4426950408889634), magic);
  v128_t n = wasm_f64x2_sub(shifted, magic);
  v128_t t = MADD64(n, wasm_f64x2_const_splat(-0.6931471805599453), x);
  v128_t p = wasm_f64x2_const_splat(1.0 / 3628800);
  p = MADD64(p, t, wasm_f64x2_const_splat(1.0 / 362880));
  p = MADD64(p, t, wasm_f64x2_const_splat(1.0 / 40320));
  p = MADD64(p, t, wasm_f64x2_const_splat(1.0 / 5040));
  p = MADD64(p, t, wasm_f64x2_const_splat(1.0 / 720));
  p = MADD64(p, t, wasm_f64x2_const_splat(1.0 / 120));
  p = MADD64(p, t, wasm_f64x2_const_splat(1.0 / 24));
  p = MADD64(p, t, wasm_f64x2_const_splat(1.0 / 6));
  p = MADD64(p, t, wasm_f64x2_const_splat(0.5));
  p = MADD64(p, t, wasm_f64x2_const_splat(1.0));
  p = MADD64(p, t, wasm_f64x2_const_splat(1.0));
  return wasm_i64x2_add(p, wasm_i64x2_shl(shifted, 52));
}

// Two vectors per iteration, so that one hides the latency of the other's multiplications. `bytes` is a multiple of 32.
__attribute__((export_name("float32"))) void float32(char *out, const char *x, int bytes) {
  for (int k = 0; k < bytes; k += 32) {
    v128_t a = exp32(wasm_v128_load(x + k));
    v128_t b = exp32(wasm_v128_load(x + k + 16));
    wasm_v128_store(out + k, a);
    wasm_v128_store(out + k + 16, b);
  }
}

__attribute__((export_name("float64"))) void float64(char *out, const char *x, int bytes) {
  for (int k = 0; k < bytes; k += 32) {
    v128_t a = exp64(wasm_v128_load(x + k));
    v128_t b = exp64(wasm_v128_load(x + k + 16));
    wasm_v128_store(out + k, a);
    wasm_v128_store(out + k + 16, b);
  }
}

// Stores every vector and does nothing else: a lower bound for kernels that write an output, because WebAssembly has no non-temporal stores.
// `bytes` is a multiple of 64.
__attribute__((export_name("fill"))) void fill(char *out, int bytes) {
  const v128_t value = wasm_f32x4_const_splat(1);
  for (int k = 0; k < bytes; k += 64) {
    wasm_v128_store(out + k, value);
    wasm_v128_store(out + k + 16, value);
    wasm_v128_store(out + k + 32, value);
    wasm_v128_store(out + k + 48, value);
  }
}
