import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import {
  crossEntropy,
  logSoftmax,
  logSumExp,
  type NestedArray,
  setBackend,
  sigmoid,
  softmax,
  softmin,
  type Tensor,
  tensor,
} from '../src/index.js';

beforeAll(async () => {
  await setBackend(exact);
});

const logit = fc.double({ min: -700, max: 700, noNaN: true });
const row = fc.array(logit, { minLength: 1, maxLength: 9 });
/** A row of logits with a cotangent for each. */
const rowAndCotangent = row.chain((x) =>
  fc.tuple(
    fc.constant(x),
    fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: x.length, maxLength: x.length }),
  ),
);

const float64 = (values: NestedArray): Tensor => tensor(values, { dtype: 'float64' });
const values = (x: Tensor): number[] => [...x.dataSync()];
const matrix = (x: Tensor): number[][] => x.arraySync() as number[][];
const sum = (terms: readonly number[]): number => terms.reduce((total, term) => total + term, 0);
const ulp = 2 ** -52;

describe('softmax', () => {
  test('adds up to 1, every probability in [0, 1]', () => {
    fc.assert(
      fc.property(row, (x) => {
        const s = values(softmax(float64(x)));
        expect(Math.abs(sum(s) - 1)).toBeLessThanOrEqual(4 * ulp * Math.sqrt(x.length));
        expect(s.every((p) => p >= 0 && p <= 1)).toBe(true);
      }),
    );
  });

  test('does not change when a power of two is added to all logits of like size', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -2000, max: 2000 }), { minLength: 1, maxLength: 9 }), (x) => {
        const shifted = x.map((v) => v / 4 + 1024);
        expect(values(softmax(float64(shifted)))).toEqual(values(softmax(float64(x.map((v) => v / 4)))));
      }),
    );
  });

  test('permutes as its logits do', () => {
    fc.assert(
      fc.property(row, fc.infiniteStream(fc.nat()), (x, keys) => {
        const order = x.map((_, k) => k).sort((a, b) => (keys.next().value as number) - b + a);
        const s = values(softmax(float64(x)));
        const permuted = values(softmax(float64(order.map((k) => x[k]))));
        order.forEach((k, at) => {
          expect(Math.abs(permuted[at] - s[k])).toBeLessThanOrEqual(4 * x.length * ulp * s[k] + 2 ** -1074);
        });
      }),
    );
  });

  test('along any axis is softmax along the last of the transposed', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(logit, logit, logit), { minLength: 1, maxLength: 5 }), (x) => {
        const transposed = [0, 1, 2].map((c) => x.map((r) => r[c]));
        const along0 = matrix(softmax(float64(x), { axis: 0 }));
        const last = matrix(softmax(float64(transposed)));
        expect(along0).toEqual(x.map((_, r) => [0, 1, 2].map((c) => last[c][r])));
        expect(matrix(softmax(float64(x), { axis: -2 }))).toEqual(along0);
      }),
    );
  });

  test('of negated logits is softmin', () => {
    fc.assert(
      fc.property(row, (x) => {
        expect(values(softmin(float64(x)))).toEqual(values(softmax(float64(x.map((v) => -v)))));
      }),
    );
  });

  test('with a mask is softmax of the kept entries, and 0 elsewhere', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(logit, fc.boolean()), { minLength: 1, maxLength: 9 }), (entries) => {
        const x = entries.map(([v, keep]) => (keep ? v : Number.NaN));
        const kept = values(softmax(float64(entries.filter(([, keep]) => keep).map(([v]) => v))));
        const masked = values(softmax(float64(x), { mask: entries.map(([, keep]) => keep) }));
        expect(masked.filter((_, k) => entries[k][1])).toEqual(kept);
        expect(masked.every((p, k) => entries[k][1] || p === 0)).toBe(true);
      }),
    );
  });
});

describe('the Jacobian of softmax', () => {
  test('is symmetric, its rows sum to 0 as far as the probabilities it is given sum to 1', () => {
    fc.assert(
      fc.property(row, (x) => {
        const s = softmax(float64(x));
        const J = matrix(softmax.jacobian(s));
        const excess = Math.abs(sum(values(s)) - 1) + ulp * x.length;
        J.forEach((entries, r) => {
          const largest = Math.max(...entries.map(Math.abs));
          expect(Math.abs(sum(entries))).toBeLessThanOrEqual(
            4 * x.length * (ulp * largest + 2 ** -1074) + values(s)[r] * excess,
          );
          entries.forEach((entry, c) => {
            expect(entry).toBe(J[c][r]);
          });
        });
      }),
    );
  });

  test('is positive semidefinite: tᵀ J t is the variance of t', () => {
    fc.assert(
      fc.property(rowAndCotangent, ([x, t]) => {
        const Jt = values(softmax.jvp(softmax(float64(x)), float64(t)));
        expect(sum(Jt.map((v, k) => v * t[k]))).toBeGreaterThanOrEqual(-1e-12);
      }),
    );
  });

  test('times a cotangent is the vjp, and of ones the vjp is 0', () => {
    fc.assert(
      fc.property(rowAndCotangent, ([x, g]) => {
        const s = softmax(float64(x));
        const J = matrix(softmax.jacobian(s));
        const dx = values(softmax.vjp(s, float64(g)));
        const scale = sum(values(s).map((p, k) => Math.abs(p * g[k])));
        dx.forEach((v, c) => {
          const product = sum(J.map((entries, r) => entries[c] * g[r]));
          expect(Math.abs(v - product)).toBeLessThanOrEqual(
            8 * x.length * (ulp * (scale + Math.abs(g[c])) + 2 ** -1074),
          );
        });
        const zero = values(softmax.vjp(s, float64(g.map(() => 1))));
        expect(Math.max(...zero.map(Math.abs))).toBeLessThanOrEqual(8 * ulp);
      }),
    );
  });

  test('scales with 1/temperature', () => {
    fc.assert(
      fc.property(rowAndCotangent, ([x, cotangent]) => {
        // No product of two probabilities and a cotangent is subnormal: it would lose bits of its own at each temperature.
        const g = cotangent.map((value) => (Math.abs(value) < 2 ** -300 ? 0 : value));
        const near = x.map((value) => value / 16);
        const s = softmax(float64(near), { temperature: 4 });
        const scaled = values(softmax.vjp(s, float64(g), { temperature: 4 }));
        // Probabilities from elsewhere, which remember no temperature.
        values(softmax.vjp(float64(values(s)), float64(g))).forEach((v, k) => {
          // A result may be subnormal, and is rounded in both.
          expect(Math.abs(scaled[k] - v / 4)).toBeLessThanOrEqual(2 ** -1074);
        });
      }),
    );
  });
});

describe('the relatives of softmax', () => {
  test('exp(logSoftmax) is softmax, logSumExp the difference from the logits', () => {
    fc.assert(
      fc.property(row, (x) => {
        const s = values(softmax(float64(x)));
        const y = values(logSoftmax(float64(x)));
        const [lse] = values(logSumExp(float64([x])));
        y.forEach((v, k) => {
          expect(Math.abs(Math.exp(v) - s[k])).toBeLessThanOrEqual(1e-12 * s[k] + 2 ** -1070);
          expect(Math.abs(x[k] - v - lse)).toBeLessThanOrEqual(8 * ulp * 1400);
        });
      }),
    );
  });

  test('the gradient of cross-entropy is the vjp of log-softmax at −target, and sums to 0', () => {
    fc.assert(
      fc.property(row, fc.nat(), (x, seed) => {
        const target = seed % x.length;
        const { gradient } = crossEntropy(float64([x]), [target]);
        const cotangent = float64([x.map((_, k) => (k === target ? -1 : 0))]);
        const chained = values(logSoftmax.vjp(logSoftmax(float64([x])), cotangent));
        values(gradient).forEach((v, k) => {
          expect(Math.abs(v - chained[k])).toBeLessThanOrEqual(1e-12);
        });
        expect(Math.abs(sum(values(gradient)))).toBeLessThanOrEqual(8 * ulp * x.length);
      }),
    );
  });

  test('sigmoid(x) is softmax([x, 0]) and 1 − sigmoid(−x)', () => {
    fc.assert(
      fc.property(logit, (x) => {
        const [y] = values(sigmoid(float64([x])));
        const [s] = values(softmax(float64([x, 0])));
        expect(Math.abs(y - s)).toBeLessThanOrEqual(4 * ulp * s + 2 ** -1074);
        expect(Math.abs(1 - y - values(sigmoid(float64([-x])))[0])).toBeLessThanOrEqual(2 * ulp);
      }),
    );
  });
});
