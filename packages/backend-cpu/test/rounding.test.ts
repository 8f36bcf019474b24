import type { Rows } from '@softgrad/core';
import { plainCrossEntropy, reference, referenceCrossEntropy } from '@softgrad/core/conformance';
import { beforeAll, describe, expect, test } from 'vitest';
import { type CpuBackend, cpu } from '../src/index.js';
import { largestError, randomFrom } from './accuracy.js';
import { computed, expectWithin } from './layouts.js';

/** float64: derivatives within 2 ULP of the largest term that remains after exact cancellation, logarithms within 1. */

let backend: CpuBackend;
let kernels: CpuBackend['kernels'];
beforeAll(async () => {
  backend = await cpu.open();
  kernels = backend.kernels;
});

const classCounts = [2, 3, 10, 17, 128];
const temperatures = [1, 0.01, 2.87, 100];

interface Problem {
  readonly rows: Rows;
  readonly temperature: number;
  readonly x: Float64Array;
  readonly s: Float64Array;
  /** Multiples of 2⁻²⁰. */
  readonly g: Float64Array;
  readonly label: string;
}

const problems: readonly Problem[] = classCounts.flatMap((classes) =>
  temperatures.map((temperature) => {
    const random = randomFrom(classes);
    const rows = { outer: Math.ceil(3000 / classes), classes, inner: 1 };
    const x = Float64Array.from({ length: rows.outer * classes }, () => 20 * temperature * (2 * random() - 1));
    const g = x.map(() => Math.round((2 * random() - 1) * 2 ** 20) / 2 ** 20);
    const s = reference.softmax(x, rows, { temperature });
    return { rows, temperature, x, s, g, label: `${classes} classes, T = ${temperature}` };
  }),
);

/** `(|v_i − o| + Σ p |v − o|) / T`, o being v of a probability above ½, or 0. */
function centredSizes({ rows: { classes }, temperature }: Problem, p: Float64Array, v: Float64Array): Float64Array {
  const sizes = new Float64Array(v.length);
  for (let start = 0; start < v.length; start += classes) {
    const top = p.subarray(start, start + classes).findIndex((probability) => probability > 0.5);
    const distances = v.slice(start, start + classes).map((value) => Math.abs(value - (top < 0 ? 0 : v[start + top])));
    const mean = distances.reduce((sum, distance, c) => sum + p[start + c] * distance, 0);
    for (let c = 0; c < classes; c++) sizes[start + c] = (distances[c] + mean) / temperature;
  }
  return sizes;
}

describe.each(problems)('$label', (problem) => {
  const { rows, temperature, x, s, g, label } = problem;
  const parameters = { temperature, mask: null };

  test('the Jacobian is within 2 ULP', () => {
    const one = { ...rows, outer: Math.min(rows.outer, Math.ceil(20_000 / rows.classes ** 2)) };
    const p = s.slice(0, one.outer * one.classes);
    const out = computed(p.length * one.classes, p, 'float64', (result, operand) =>
      backend.jacobian(result, operand, one, parameters),
    );
    expectWithin(2, out, reference.softmaxJacobian(p, one, { temperature }), 'float64', label);
  });

  test('the vjp is within 2 ULP of its terms', () => {
    const out = computed(g.length, g, 'float64', (result, v) => backend.vjp(result, s, v, rows, parameters));
    const sizes = centredSizes(problem, s, g).map((size, k) => size * s[k]);
    expectWithin(2, out, reference.softmaxVjp(s, g, rows, { temperature }), 'float64', label, sizes);
  });

  test('the jvp of log-softmax is within 2 ULP of its terms', () => {
    const y = reference.logSoftmax(x, rows, { temperature });
    const out = computed(g.length, g, 'float64', (result, t) =>
      kernels.logSoftmaxJvp(result, y, t, rows, { temperature }),
    );
    // Where a p is above ½, its tangent is only determined up to Σ p − 1.
    const expected = reference.logSoftmaxJvp(y, g, rows, { temperature });
    const p = y.map(Math.exp);
    for (let start = 0; start < g.length; start += rows.classes) {
      const top = p.subarray(start, start + rows.classes).findIndex((probability) => probability > 0.5);
      if (top < 0) continue;
      const row = { ...rows, outer: 1 };
      const end = start + rows.classes;
      const moved = g.slice(start, end).map((value) => value - g[start + top]);
      expected.set(reference.logSoftmaxJvp(y.slice(start, end), moved, row, { temperature }), start);
    }
    expectWithin(2, out, expected, 'float64', label, centredSizes(problem, p, g));
  });

  test('the gradient of cross-entropy is within 2 ULP', () => {
    const target = Int32Array.from({ length: rows.outer }, (_, row) => row % rows.classes);
    const out = computed(x.length, x, 'float64', (gradient, logits) =>
      kernels.crossEntropy({ loss: null, gradient }, logits, rows, {
        ...plainCrossEntropy,
        ...parameters,
        target: { kind: 'indices', buffer: target },
      }),
    );
    const { gradient } = referenceCrossEntropy(x, { kind: 'indices', values: target }, rows, {
      temperature,
      reduction: 'none',
    });
    expectWithin(2, out, gradient, 'float64', label);
  });

  test('log-softmax is within 1 ULP, log-sum-exp within 1 ULP of the larger of it and the maximum', () => {
    const y = computed(x.length, x, 'float64', (out, logits) => kernels.logSoftmax(out, logits, rows, parameters));
    expect(largestError(y, reference.logSoftmax(x, rows, { temperature }), 'float64')).toBeLessThanOrEqual(1);
    const near = x.map((logit) => logit / 20);
    const out = computed(rows.outer, near, 'float64', (result, logits) =>
      kernels.logSumExp(result, logits, rows, parameters),
    );
    const expected = reference.logSumExp(near, rows, { temperature });
    const sizes = expected.map((value, row) => {
      const largest = Math.max(...near.subarray(row * rows.classes, (row + 1) * rows.classes));
      return Math.max(Math.abs(value), Math.abs(largest / temperature));
    });
    expectWithin(1, out, expected, 'float64', label, sizes);
  });
});

test('the largest of many sums of exponentials has its logarithm within 1 ULP, from none of the others to all of them', () => {
  for (let exponent = -70; exponent <= 0; exponent++) {
    for (const share of [1, 1.1, 1.37, 1.9]) {
      const x = Float64Array.of(0, Math.log(share * 2 ** exponent), -3000, Math.log(share * 2 ** exponent));
      const rows = { outer: 1, classes: 4, inner: 1 };
      const out = new Float64Array(1);
      kernels.logSumExp(out, x, rows, { temperature: 1, mask: null });
      expectWithin(1, out, reference.logSumExp(x, rows), 'float64', `${share} · 2^${exponent}`);
    }
  }
});
