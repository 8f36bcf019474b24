import type { FloatDType, Rows } from '@softgrad/core';
import { plain, reference, tolerance } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { compute, logits, random, ulp } from './ulp.js';

const backend = await wasm.open({ relaxedSimd: false });
const dtypes = ['float32', 'float64'] as const;

/** Lengths for registers, lanes and loops of one and of four vectors, with and without a tail. */
const lengths = [2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 17, 19, 33, 50];

/** Probabilities of the largest entry: on both sides of 1/2, and nearly 1. */
const largest = (dtype: FloatDType) => {
  const step = ulp(0.5, dtype);
  return [0.4, 0.5 - step, 0.5, 0.5 + step, 0.51, 0.55, 0.59, 0.65, 0.9, 0.999, 1 - 1e-6];
};

test.each(dtypes)('vjp is right for every largest probability at every place: %s', (dtype) => {
  const precision = tolerance.precisionOf(backend.supports, dtype);
  for (const classes of lengths) {
    for (const probability of largest(dtype)) {
      // One row for each place, except for some in the middle of the longest rows.
      const outer = Math.min(classes, 36);
      const rows: Rows = { outer, classes, inner: 1 };
      const next = random(classes);
      const share = Array.from({ length: classes }, () => 0.5 + next());
      const s = logits(dtype, outer * classes, 1, 0, 1).map((_, i) => {
        const row = Math.floor(i / classes);
        const c = i % classes;
        const place = row < 18 ? row : classes - outer + row;
        const rest = share.reduce((sum, value, k) => (k === place ? sum : sum + value), 0);
        return c === place ? probability : ((1 - probability) * share[c]) / rest;
      });
      const g = logits(dtype, s.length, 3, 1, classes + 1);
      const dx = compute(backend, [s, g], (out, a, b) => backend.vjp(out, a, b, rows, plain));
      const expected = reference.softmaxVjp(s, g, rows);
      const bounds = tolerance.softmaxVjpTolerance(precision, s, g, expected, rows);
      for (let i = 0; i < s.length; i++) {
        const first = i - (i % classes);
        const size = Math.max(...Array.from(expected.subarray(first, first + classes), Math.abs));
        // A nearly one-hot row must not cancel, which a bound in units of g would allow.
        const bound = probability > 0.9 ? Math.min(bounds[i], size / 1000) : bounds[i];
        if (!(Math.abs(dx[i] - expected[i]) <= bound))
          expect.fail(
            `${classes} classes, ${probability} in row ${first / classes}: ${dx[i]}, expected ${expected[i]}`,
          );
      }
    }
  }
});

test.each(dtypes)('a logit far above all others is found at every place of a long row: %s', (dtype) => {
  const gap = dtype === 'float64' ? 760 : 120;
  const { kernels } = backend;
  for (const classes of [257, 263, 300]) {
    // Every place in the first and in the last vectors.
    const places = Array.from({ length: 80 }, (_, k) => (k < 40 ? k : classes - 80 + k));
    const rows: Rows = { outer: places.length, classes, inner: 1 };
    const x = logits(dtype, places.length * classes, 1, 0, classes).map((value, i) =>
      i % classes === places[Math.floor(i / classes)] ? gap : value,
    );
    const parameters = { temperature: 1, mask: null };
    const inPlace = backend.alloc(x.length, dtype);
    backend.write(inPlace, x);
    backend.softmax(inPlace, inPlace, rows, plain);
    const results = [
      compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain)),
      backend.readSync?.(inPlace) ?? [],
      Array.from(
        compute(backend, [x], (out, input) => kernels?.logSoftmax?.(out, input, rows, parameters)),
        (value) => (Math.abs(value) < 1e-40 ? 1 : 0),
      ),
    ];
    for (const [k, result] of results.entries()) {
      const wrong = Array.from(result).findIndex((value, i) =>
        i % classes === places[Math.floor(i / classes)] ? value !== 1 : !(value < 1e-40),
      );
      expect({ k, classes, wrong, value: result[wrong] }).toEqual({ k, classes, wrong: -1, value: undefined });
    }
    backend.free(inPlace);
  }
});

test('the logarithm of a subnormal number is as accurate as that of a normal one', () => {
  const x = Float64Array.from({ length: 40 }, (_, i) => 2 ** (-1074 + 1.5 * i) * (1 + i / 64));
  const y = compute(backend, [x], (out, input) => backend.basis?.unary(out, 'log', input, x.length));
  for (let i = 0; i < x.length; i++) {
    expect(Math.abs(y[i] - Math.log(x[i]))).toBeLessThanOrEqual(2 * ulp(Math.log(x[i]), 'float64'));
  }
});
