import { exact } from '@softgrad/core/conformance';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import type { ExactBuffer } from '../conformance/exact.js';
import { summation } from '../conformance/tolerance.js';
import * as reference from '../reference/functions.js';
import { type Backend, crossEntropy, logSoftmax, logSumExp, tensor } from '../src/index.js';

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
