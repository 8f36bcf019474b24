// exp for the softmax family. A row is shifted in the exponent (Dukhan & Ablavatski, "The Two-Pass Softmax
// Algorithm", 2020): x itself is reduced, x/T = n·ln 2 + t. n·T·ln 2 is subtracted in two parts, of which the first
// product is exact, and exp(t) is scaled by 2^(n − reference). There is no rounding of x − max.
// This needs a small n. If the row's maximum is above `REDUCIBLE`, x − max is exact for every entry that contributes
// (Sterbenz's lemma), so such rows are shifted by the maximum first.
#pragma once
#include "simd.h"
#if REAL == 64
#include "exp2-table.h"
#endif

#define LOG2E 0x1.71547652b82fep+0
#define LN2 0x1.62e42fefa39efp-1
#define LN2_LOW 0x1.abc9e3b39803fp-56

// n counts steps of ln 2 / STEPS. The entry at the reference becomes 2^OFFSET, so that probabilities that will be
// subnormal are still normal here; entries below 2^−LOWEST are clamped, to exactly 0 because all bits of their scale are 0.
#if REAL == 32
#define REDUCIBLE 256
#define STEPS 1
#define OFFSET 32
#define BIAS 127
#define LOWEST BIAS
#define MAGIC 0x1.8p23
#else
#define REDUCIBLE 2048
#define STEPS 256
#define OFFSET 64
#define BIAS 1023
#define LOWEST BIAS
#define MAGIC 0x1.8p52
#endif

// |T| in the form that the reduction needs, and the sign bit that negates logits if T is negative.
typedef struct {
  V sign, per_step, step_high, step_low, inverse;
  double scale;
  int plain, negative; // plain: T = 1
} Temperature;

INLINE double leading_bits(double a, unsigned long long mask) {
  union {
    double f;
    unsigned long long u;
  } b = {.f = a};
  b.u &= mask;
  return b.f;
}

// The rounding error of a · b (Dekker, 1971).
INLINE double product_error(double a, double b) {
  double p = a * b;
  double a1 = leading_bits(a, ~0x7ffffffull), b1 = leading_bits(b, ~0x7ffffffull);
  double a2 = a - a1, b2 = b - b1;
  return ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2;
}

COMPACT SHARED Temperature temperature_of(double t) {
  double magnitude = __builtin_fabs(t);
  double step = magnitude * (LN2 / STEPS);
#if REAL == 32
  double high = leading_bits(step, ~0x3fffffffffull); // 15 bits: exact in float32 when multiplied by n < 2^9
  double low = step - high;
#else
  double high = leading_bits(step, ~0x1ffffffull); // 28 bits
  double low = (step - high) + (product_error(magnitude, LN2 / STEPS) + magnitude * (LN2_LOW / STEPS));
#endif
  return (Temperature){
      .sign = splat((real)(t < 0 ? -0.0 : 0.0)),
      .per_step = splat((real)(LOG2E * STEPS / magnitude)),
      .step_high = splat((real)high),
      .step_low = splat((real)low),
      .inverse = splat((real)(1 / magnitude)),
      .scale = magnitude,
      .plain = t == 1,
      .negative = t < 0,
  };
}

// Constants if there is no temperature, so that the engine keeps them in registers.
#if REAL == 32
#define PER_STEP (tempered ? t->per_step : splat((real)LOG2E))
#define STEP_HIGH (tempered ? t->step_high : splat(0x1.62e4p-1f))
#define STEP_LOW (tempered ? t->step_low : splat(0x1.7f7d1cp-20f))
#else
#define PER_STEP (tempered ? t->per_step : splat(LOG2E * STEPS))
#define STEP_HIGH (tempered ? t->step_high : splat(0x1.62e42fep-9))
#define STEP_LOW (tempered ? t->step_low : splat(0x1.f473de6af278fp-38))
#endif

// The reference and the clamp of a row, or of each of the rows in lanes.
typedef struct {
  V magic; // rounds to n − reference + OFFSET in the low bits, with the exponent's bias: shifted left, these bits are the scale
  V lowest; // the clamp, in logits
} Reduction;

// The reference is rounded to a whole number of octaves, so that the exponentials have the same digits for every reference.
INLINE Reduction reduction_at(V reference, int tempered, const Temperature *t) {
  V octaves = splat((real)(MAGIC * STEPS));
  V n = sub(add(mul(reference, PER_STEP), octaves), octaves);
  V step = add(STEP_HIGH, STEP_LOW);
  return (Reduction){
      .magic = sub(splat((real)(MAGIC + (OFFSET + BIAS) * STEPS)), n),
      .lowest = mul(sub(n, splat((real)((OFFSET + LOWEST) * STEPS))), step),
  };
}

// e[u] = exp(x[u]/T) · 2^(OFFSET − reference) for `count` vectors at once, in two stages. The first, the reduction of
// vector u with `by[u / each]`, gives a[u] = x[u]/T − n ln 2 / STEPS and m[u], with n in its low bits; `clamped` if
// entries may be below the lowest.
INLINE void exp_reduction(size_t count, size_t each, V *a, V *m, const V *logits, const Reduction *by, int clamped,
                          int tempered, const Temperature *t) {
  V x[6], n[6], q[6];
  EACH(count, x[u] = clamped ? pmax(logits[u], by[u / each].lowest) : logits[u])
#ifdef __wasm_relaxed_simd__
  EACH(count, m[u] = fma(x[u], PER_STEP, by[u / each].magic))
  EACH(count, n[u] = sub(m[u], by[u / each].magic))
  EACH(count, a[u] = fnma(n[u], STEP_HIGH, x[u]))
  EACH(count, a[u] = fnma(n[u], STEP_LOW, a[u]))
  (void)q;
#else
  EACH(count, m[u] = mul(x[u], PER_STEP))
  EACH(count, m[u] = add(m[u], by[u / each].magic))
  EACH(count, n[u] = sub(m[u], by[u / each].magic))
  EACH(count, q[u] = mul(n[u], STEP_HIGH))
  EACH(count, n[u] = mul(n[u], STEP_LOW))
  EACH(count, a[u] = sub(x[u], q[u]))
  EACH(count, a[u] = sub(a[u], n[u]))
#endif
  if (tempered) EACH(count, a[u] = mul(a[u], t->inverse))
}

// The second stage. The scale is a factor: adding it to the exponent's bits would be faster, but would turn a NaN with
// a payload into a number. float32: the minimax polynomial of degree 6 whose first two coefficients are 1, with an error
// of 0.003 ULP besides the rounding, summed in pairs (Estrin) where that shortens the chain. float64: 256 steps to an
// octave, from a table with a correction of its rounding, leave a Taylor polynomial of degree 4 (Tang, "Table-driven
// implementation of the exponential function", 1989); `steps` is the address of the m in memory, or null.
INLINE void exp_power(size_t count, V *e, const V *a, V *m, const unsigned *steps) {
  V p[6], q[6], n[6];
#if REAL == 32
  (void)steps;
#ifdef __wasm_relaxed_simd__
  (void)q, (void)n;
  EACH(count, p[u] = fma(splat(0x1.6a5134p-10f), a[u], splat(0x1.12397cp-7f)))
  EACH(count, p[u] = fma(p[u], a[u], splat(0x1.5558acp-5f)))
  EACH(count, p[u] = fma(p[u], a[u], splat(0x1.555492p-3f)))
  EACH(count, p[u] = fma(p[u], a[u], splat(0x1.fffffcp-2f)))
  EACH(count, p[u] = fma(p[u], a[u], splat(1.0f)))
  EACH(count, p[u] = fma(p[u], a[u], splat(1.0f)))
#else
  EACH(count, q[u] = mul(a[u], a[u]))
  EACH(count, p[u] = add(mul(a[u], splat(0x1.12397cp-7f)), splat(0x1.5558acp-5f)))
  EACH(count, n[u] = mul(q[u], splat(0x1.6a5134p-10f)))
  EACH(count, p[u] = mul(add(p[u], n[u]), q[u]))
  EACH(count, n[u] = add(mul(a[u], splat(0x1.555492p-3f)), splat(0x1.fffffcp-2f)))
  EACH(count, p[u] = mul(add(p[u], n[u]), q[u]))
  EACH(count, p[u] = add(p[u], a[u]))
  EACH(count, p[u] = add(p[u], splat(1.0f)))
#endif
  EACH(count, m[u] = wasm_i32x4_shl(m[u], 23))
  EACH(count, e[u] = mul(p[u], m[u]))
#else
  (void)n;
  EACH(count, p[u] = fma(a[u], splat(0x1.5555555555555p-5), splat(0x1.5555555555555p-3)))
  EACH(count, q[u] = mul(a[u], a[u]))
  EACH(count, p[u] = fma(p[u], a[u], splat(0.5)))
  EACH(count, p[u] = fma(p[u], q[u], a[u]))
  EACH(count, {
    unsigned j = steps ? steps[4 * u] : (unsigned)wasm_i32x4_extract_lane(m[u], 0);
    unsigned k = steps ? steps[4 * u + 2] : (unsigned)wasm_i32x4_extract_lane(m[u], 2);
    j &= 255, k &= 255;
    V first = load(exp2_pairs + 2 * j), second = load(exp2_pairs + 2 * k);
    V high = wasm_i64x2_shuffle(first, second, 0, 2), low = wasm_i64x2_shuffle(first, second, 1, 3);
    p[u] = add(high, fma(high, p[u], low));
  })
  EACH(count, m[u] = wasm_i64x2_shl(and(m[u], wasm_i64x2_const_splat(~255ll)), 44))
  EACH(count, e[u] = mul(p[u], m[u]))
#endif
}

// Both stages.
INLINE void exp_reduced(size_t count, V *e, const V *logits, Reduction by, int clamped, int tempered,
                        const Temperature *t) {
  V a[6], m[6];
  exp_reduction(count, count, a, m, logits, &by, clamped, tempered, t);
  exp_power(count, e, a, m, 0);
}

INLINE V exp_one(V x, Reduction r, int clamped, int tempered, const Temperature *t) {
  V e[4], a[4] = {x};
  exp_reduced(1, e, a, r, clamped, tempered, t);
  return e[0];
}

// The same as a function call, outside of hot loops.
SHARED V exp_call(V x, V magic, V lowest) { return exp_one(x, (Reduction){magic, lowest}, 1, 0, 0); }

// Whether every lane of a reference can be shifted in the exponent (NaN and the infinities cannot).
INLINE V reducible(V reference, int tempered, const Temperature *t) {
  V scaled = vabs(reference);
  if (tempered) scaled = mul(scaled, t->inverse);
  return lt(scaled, splat((real)REDUCIBLE));
}

// The factor of exponentials whose reference is 0: 2^-OFFSET.
#define ONE_UNIT splat((real)(1.0 / (1ull << OFFSET / 2) / (1ull << OFFSET / 2)))

// exp(y) of log-probabilities: 0 for −Infinity.
SHARED V exp_of_log(V y, Reduction at) {
  return mul(exp_call(y, at.magic, at.lowest), ONE_UNIT);
}
