import { exact } from '@softgrad/core/conformance';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import type { ExactBuffer } from '../conformance/exact.js';
import { summation } from '../conformance/tolerance.js';
import * as reference from '../reference/functions.js';
import { type Backend, crossEntropy, logSoftmax, logSumExp, softmax, tensor } from '../src/index.js';

let composed: Backend<ExactBuffer>;
beforeAll(async () => {
  composed = delegate(await exact.open(), { name: 'composed', kernels: {} });
});
afterAll(() => composed.close());

const units = { float32: 2 ** -24, float64: 2 ** -53 } as const;

/** One logit of 0 and the others lower, so that their exponentials add up to about 2^−distance. */
function confidentRow(classes: number, distance: number): number[] {
  const gap = Math.LN2 * distance + Math.log(classes - 1);
  return Array.from({ length: classes }, (_, c) => Math.fround(c === 1 ? 0 : -gap - (c % 5) / 10));
}

describe.each(['float32', 'float64'] as const)('composed, %s', (dtype) => {
  const distances = Array.from({ length: 61 }, (_, k) => k);

  test.each([2, 3, 4, 10, 17, 128, 1000])(
    'log Σ exp of %i classes keeps its digits where Σ exp is nearly 1',
    async (n) => {
      const values = distances.map((distance) => confidentRow(n, distance));
      const rows = { outer: values.length, classes: n, inner: 1 };
      const expected = reference.logSumExp(values.flat(), rows);
      const x = tensor(values, { backend: composed, dtype });
      const sums = await logSumExp(x).data();
      const logs = await logSoftmax(x).array();
      const losses = await crossEntropy.loss(x, new Array<number>(values.length).fill(1), { reduction: 'none' }).data();
      // The exps of the others err by their exponents, at most 49 u, their sum as `summation` says; logarithm and series by a few u.
      const most = (60 + summation(n)) * units[dtype];
      for (const [row, value] of expected.entries()) {
        for (const found of [sums[row], -logs[row][1], losses[row]]) {
          expect(Math.abs(found - value) / value, `row ${row}`).toBeLessThanOrEqual(most);
        }
      }
    },
  );

  test.each([2, 10, 1000])('1 − p of %i classes keeps the digits of the log-probability', async (n) => {
    const values = distances.map((distance) => confidentRow(n, distance));
    const x = tensor(values, { backend: composed, dtype });
    const y = logSoftmax(x);
    const logs = await y.array();
    const one = tensor(
      values.map((row) => row.map((_, c) => (c === 1 ? 1 : 0))),
      { backend: composed, dtype },
    );
    const vjp = await logSoftmax.vjp(y, one).array();
    const diagonal = await logSoftmax.linearize(x).diagonal().array();
    const matrices = n > 10 ? null : await logSoftmax.jacobian(y).array();
    for (const row of distances.slice(1)) {
      const expected = -Math.expm1(logs[row][1]);
      for (const found of [vjp[row][1], diagonal[row][1], matrices?.[row]?.[1]?.[1] ?? expected]) {
        expect(Math.abs(found - expected) / expected, `row ${row}`).toBeLessThanOrEqual(5 * units[dtype]);
      }
    }
  });

  test('second derivatives along a direction that is 1 at one small probability keep the digits of all other entries', async () => {
    const classes = 3000;
    const row = (value: (c: number) => number) =>
      tensor([Array.from({ length: classes }, (_, c) => value(c))], options);
    const options = { backend: composed, dtype };
    const x = row((c) => (c === 7 ? 0.03 : ((c * 37) % 100) / 5000));
    const one = row((c) => (c === 7 ? 1 : 0));
    const other = row((c) => ((c * 53) % 89) / 8);
    const s = softmax(x);
    const p = await s.data();
    const t = await other.data();
    const mean = t.reduce((sum, value, c) => sum + value * p[c], 0);
    const total = t.reduce((sum, value) => sum + value, 0);
    const of = p[7];
    const results = [
      [softmax.doubleBackward(s, one, other), (c: number) => -t[c] * of],
      [softmax.hvp(s, one, other), (c: number) => -of * p[c] * (t[7] - mean + (t[c] - mean))],
      [logSumExp.hvp(x, [1], one), (c: number) => -of * p[c]],
      [crossEntropy.hvp(x, [0], 1, one), (c: number) => -of * p[c]],
      [logSoftmax.hvp(logSoftmax(x), other, one), (c: number) => total * of * p[c]],
    ] as const;
    for (const [k, [result, expected]] of results.entries()) {
      const found = await result.data();
      const size = Math.max(...Array.from(p, (_, c) => (c === 7 ? 0 : Math.abs(expected(c)))));
      const error = Math.max(...Array.from(found, (value, c) => (c === 7 ? 0 : Math.abs(value - expected(c)))));
      expect(error / size, `result ${k}`).toBeLessThan(200 * units[dtype]);
    }
  });

  test('log Σ exp of equal, infinite and missing logits', async () => {
    const { NaN: nan, POSITIVE_INFINITY: plus, NEGATIVE_INFINITY: minus } = Number;
    const x = tensor(
      [
        [3, 3, 3],
        [3, 3, minus],
        [plus, 0, plus],
        [minus, minus, minus],
        [nan, 0, plus],
        [minus, 0, minus],
      ],
      { backend: composed, dtype },
    );
    const sums = await logSumExp(x).data();
    expect(sums[0]).toBeCloseTo(3 + Math.log(3), 6);
    expect(sums[1]).toBeCloseTo(3 + Math.log(2), 6);
    expect([...sums.slice(2)]).toEqual([plus, minus, nan, 0]);
    const logs = await logSoftmax(x).array();
    for (const y of logs[1].slice(0, 2)) expect(y).toBeCloseTo(-Math.LN2, 6);
    expect(logs[1][2]).toBe(minus);
    for (const row of [2, 3, 4]) expect(logs[row]).toEqual([nan, nan, nan]);
    expect(logs[5]).toEqual([minus, 0, minus]);
  });
});
