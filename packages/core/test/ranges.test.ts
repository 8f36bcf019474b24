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

  test.each([1e-39, 2 ** -65, 2 ** 65, 5e38])('is asked at a temperature near 1 instead of %s', async (temperature) => {
    asked.length = 0;
    const x = tensor([[temperature, 2 * temperature]], { backend, dtype: 'float64' });
    const [first, second] = await softmax(x, { temperature }).data();
    expect(asked).toEqual([temperature / 2 ** Math.ceil(Math.log2(temperature))]);
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

  test('log-sum-exp at the largest temperature', async () => {
    const x = tensor([[1e308, -1e308]], { backend, dtype: 'float64' });
    const [value] = await logSumExp(x, { temperature: Number.MAX_VALUE }).data();
    const quotient = 1e308 / Number.MAX_VALUE;
    expect(value).toBeCloseTo(quotient + Math.log1p(Math.exp(-2 * quotient)), 14);
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

describe('a power of 2 times logits and temperature', () => {
  const { NEGATIVE_INFINITY: low, POSITIVE_INFINITY: high, NaN: nan } = Number;
  const logits = [
    [1, -20, 0.3, 12],
    [-1, -700, low, -3.7],
    [low, low, low, low],
    [high, 1, 2, 3],
    [nan, 1, 2, 3],
    [5, 5, 5, 5],
  ];
  const keep = [false, true, true, false];
  const masks = { none: undefined, some: logits.map((_, row) => (row < 5 ? keep : [false, false, false, false])) };
  const backends = {
    'of an ordinary range': delegate(right, { supports: { ...right.supports, range: 'ordinary' } }),
    'without kernels': delegate(right, { kernels: {} }),
  } as const;

  for (const [name, backend] of Object.entries(backends)) {
    for (const [masked, mask] of Object.entries(masks)) {
      test.each([-1074, -1022, -600, -65, 65, 600, 1000])(
        `changes no bit on a backend ${name}, mask: ${masked}, exponent %i`,
        async (exponent) => {
          // At the ends of the range, what is multiplied has few digits, which remain.
          const [values, temperature] =
            exponent < -1000 ? [logits.map((row) => row.map(Math.round)), 1] : [logits, 0.75];
          const half = Math.trunc(exponent / 2);
          const results = async (factors: readonly number[]) => {
            const times = (value: number) => factors.reduce((product, factor) => product * factor, value);
            const x = tensor(
              values.map((row) => row.map(times)),
              { backend, dtype: 'float64' },
            );
            const options = { temperature: times(temperature), ...(mask && { mask }) };
            const losses = { ...options, reduction: 'none' } as const;
            const target = [1, 2, 1, 2, 1, mask ? -100 : 1];
            return Promise.all(
              [
                softmax(x, options),
                softmin(x, options),
                logSoftmax(x, options),
                logSumExp(x, options),
                crossEntropy.loss(x, target, losses),
              ].map(async (result) => [...(await result.data())]),
            );
          };
          expect(await results([2 ** half, 2 ** (exponent - half)])).toEqual(await results([]));
        },
      );
    }
  }

  test.each([
    ['float32', 2 ** -100],
    ['float32', 2 ** -126],
    ['float64', 2 ** -600],
    ['float64', 2 ** -1022],
  ] as const)(
    'the largest logit of a row may be far larger than a small temperature, %s',
    async (dtype, temperature) => {
      const round = dtype === 'float32' ? Math.fround : Number;
      for (const backend of Object.values(backends)) {
        for (const sign of [1, -1]) {
          const x = tensor([[8 * sign, 8 * sign - 1, 8 * sign]], { backend, dtype });
          const options = { temperature };
          expect([...(await softmax(x, options).data())]).toEqual([0.5, 0, 0.5]);
          const [top, below] = await logSoftmax(x, options).data();
          expect(top).toBeCloseTo(-Math.LN2, 6);
          expect(below).toBe(-1 / temperature);
          expect([...(await logSumExp(x, options).data())]).toEqual([round((8 * sign) / temperature)]);
        }
      }
    },
  );
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
