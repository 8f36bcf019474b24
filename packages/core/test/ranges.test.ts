import { describe, expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/exact.js';
import { crossEntropy, logSoftmax, logSumExp, softmax, softmin, tensor } from '../src/index.js';

const right = await exact.open();

describe('a backend of an ordinary range', () => {
  const asked: number[] = [];
  const backend = delegate(right, {
    supports: { ...right.supports, range: 'ordinary' },
    softmax(out, x, rows, parameters) {
      asked.push(parameters.temperature);
      return right.softmax(out, x, rows, parameters);
    },
  });

  test.each([1, 0.5, 1e10, 2 ** -64, 2 ** 64])('is asked at temperature %s', async (temperature) => {
    asked.length = 0;
    const x = tensor([[1, 2]], { backend });
    await softmax(x, { temperature }).data();
    await softmin(x, { temperature }).data();
    expect(asked).toEqual([temperature, -temperature]);
  });

  test.each([1e-39, 2 ** -65, 2 ** 65, 5e38])('is asked for a plain softmax at temperature %s', async (temperature) => {
    asked.length = 0;
    const x = tensor([[temperature, 2 * temperature]], { backend, dtype: 'float64' });
    const [first, second] = await softmax(x, { temperature }).data();
    expect(asked).toEqual([1]);
    expect([first, second]).toEqual([expect.closeTo(0.2689414213699951, 14), expect.closeTo(0.7310585786300049, 14)]);
  });
});

describe('composed', () => {
  const backend = delegate(right, { kernels: {} });

  test.each([1e-300, 1e-39, 0.5, 1e200, 1e300])('log-sum-exp at temperature %s', async (temperature) => {
    const x = tensor([[3 * temperature, Number.NEGATIVE_INFINITY, temperature]], { backend, dtype: 'float64' });
    const [value] = await logSumExp(x, { temperature }).data();
    expect(value).toBeCloseTo(3 + Math.log1p(Math.exp(-2)), 13);
  });

  test('log-sum-exp of infinities at an extreme temperature', async () => {
    const { NEGATIVE_INFINITY: low, POSITIVE_INFINITY: high, NaN: nan } = Number;
    const rows = [
      [low, low],
      [high, 1],
      [nan, 1],
    ];
    const x = tensor(rows, { backend, dtype: 'float64' });
    expect([...(await logSumExp(x, { temperature: 1e-200 }).data())]).toEqual([low, high, nan]);
    expect([...(await logSoftmax(x, { temperature: 1e-200 }).data())]).toEqual([nan, nan, nan, nan, nan, nan]);
  });
});

describe('the mean does not change by a factor of all weights', () => {
  const x = [
    [1, 2, 3],
    [3, 1, 2],
    [0, 0, 1],
  ];
  const target = [0, 2, 1];
  const weight = [1, 0.5, 0.25];

  test.each([2 ** -1060, 2 ** -300, 2 ** 300, 2 ** 1023])('float64, weights times %s', async (factor) => {
    const loss = async (weights: readonly number[]) => {
      const logits = tensor(x, { backend: right, dtype: 'float64' });
      const [value] = await crossEntropy.loss(logits, target, { weight: weights, labelSmoothing: 0.1 }).data();
      return value;
    };
    expect(await loss(weight.map((value) => value * factor))).toBeCloseTo((await loss(weight)) ?? Number.NaN, 14);
  });

  test('a weight that no target has may be as large as there is', async () => {
    const logits = tensor([[1, 2, 3]], { backend: right, dtype: 'float32' });
    const [loss] = await crossEntropy.loss(logits, [0], { weight: [1e-40, 3e38, 1] }).data();
    expect(loss).toBeCloseTo(2.4076, 4);
  });
});
