import { describe, expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/exact.js';
import { rounded } from '../conformance/inputs.js';
import { crossEntropy, logSoftmax, logSumExp, sigmoid, softmax, softmin, tensor } from '../src/index.js';

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

describe.each(['float16', 'float32', 'float64'] as const)('the Jacobian of softmax in %s', (dtype) => {
  const backend = delegate(right, {
    jacobian: (out, s, rows, parameters) =>
      parameters.temperature === 1 ? right.jacobian(out, s, rows, parameters) : false,
  });

  test.each([2 ** -30, 2 ** -33, 1e-38, 1e-77, 1e-78, 1e-200, 1e-300, 5e-324])(
    'composed at temperature %s is 0 beside a probability of 0',
    async (temperature) => {
      const s = tensor(
        [
          [0, 1, 0],
          [0.75, 0, 0.25],
        ],
        { backend, dtype },
      );
      const values = await softmax.jacobian(s, { temperature }).data();
      // Without the sign of 0.
      expect(Array.from(values.subarray(0, 9), Math.abs)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0]);
      const product = rounded(0.1875 / temperature, dtype);
      const [first, zero, third, ...rest] = values.subarray(9);
      expect([zero, ...rest.slice(0, 3), rest[4]].map(Math.abs)).toEqual([0, 0, 0, 0, 0]);
      const accuracy = dtype === 'float16' ? 2 ** -9 : 2 ** -22;
      for (const [value, sign] of [
        [first, 1],
        [third, -1],
        [rest[3], -1],
        [rest[5], 1],
      ]) {
        expect(
          Number.isFinite(product) ? Math.abs((sign * value) / product - 1) < accuracy : sign * value === product,
        ).toBe(true);
      }
    },
  );
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

describe('the second derivative of cross-entropy leaves the range only if the result does', () => {
  const backends = { fused: right, composed: delegate(right, { kernels: {} }) } as const;
  const x = [
    [1, 2, 3],
    [3, 1, 2],
    [0, 0, 1],
    [2, 1, 3],
  ];
  const g = [1.5, -0.75, 1.25, -1];
  const t = [
    [1, -2, 0.5],
    [0.5, 0, -1],
    [-1, 1, 2],
    [1, 0.5, 0],
  ];
  const indices = [0, 2, 1, -100];
  const probabilities = [
    [0.5, 0.25, 0],
    [0, 0, 1],
    [0.25, 0.5, 0.5],
    [1, 0, 0],
  ];
  /** Exponents of 2 of the class weights, the cotangent, the tangent and the temperature; a row of the last class has the opposite weight. */
  const exponents = [
    [0, 0, 0, 0],
    [8, -4, 2, 0],
    [120, 10, -120, 0],
    [120, 120, -126, 0],
    [120, -126, 120, 0],
    [98, 127, -126, 0],
    [110, 110, 110, 126],
    [120, 0, 120, 126],
    [120, 120, 0, 126],
    [120, -80, 120, 0],
    [-120, 120, 0, 0],
    [-120, 0, 120, 0],
    [-120, -20, 126, 0],
    [-120, -80, 120, 0],
    [-120, 120, 100, 0],
    [-120, 0, -20, -60],
    [-40, 20, 20, 0],
  ] as const;
  /** What the exponents are multiplied by, the last that of the temperature, and the tolerance. */
  const dtypes = { float32: [1, 1, 2 ** -20], float64: [8, 7, 2 ** -49] } as const;

  for (const [name, backend] of Object.entries(backends)) {
    for (const [dtype, [multiple, ofLast, tolerance]] of Object.entries(dtypes)) {
      test.each(exponents)(
        `${name}, ${dtype}: weights times 2^%i, cotangents 2^%i, tangents 2^%i, T = 2^%i`,
        async (...stated) => {
          const [ofWeight = 0, ofG = 0, ofT = 0, ofTemperature = 0] = stated.map(
            (exponent, k) => exponent * (k === 3 ? ofLast : multiple),
          );
          const times = (values: readonly number[], exponent: number) => {
            const half = Math.trunc(exponent / 2);
            return values.map((value) => value * 2 ** half * 2 ** (exponent - half));
          };
          const run = async (
            powers: readonly [number, number, number, number],
            target: typeof indices | typeof probabilities,
          ) => {
            const [w, a, b, c] = powers;
            const given = { dtype: dtype as keyof typeof dtypes, backend };
            const last = target === indices ? -w : w;
            const weight = [...times([1.75, 0.75], w), ...times([1.5], last)];
            const along = tensor(
              t.map((row) => times(row, b)),
              given,
            );
            const options = { weight, reduction: 'none', temperature: 2 ** c } as const;
            const logits = tensor(
              x.map((row) => times(row, c)),
              given,
            );
            const result = crossEntropy.hvp(logits, target, tensor(times(g, a), given), along, options);
            return result.array();
          };
          for (const target of [indices, probabilities]) {
            const [ordinary, actual] = [
              await run([0, 0, 0, 0], target),
              await run([ofWeight, ofG, ofT, ofTemperature], target),
            ];
            for (const [row, values] of ordinary.entries()) {
              const power = ofG + ofT - 2 * ofTemperature + (target === indices && row === 1 ? -ofWeight : ofWeight);
              // Only what is far from the ends of the range.
              if (Math.abs(power) > 100 * multiple) continue;
              const found = times(actual[row] ?? [], -power);
              const largest = Math.max(...values.map(Math.abs));
              for (const [c, value] of values.entries()) {
                expect(Math.abs((found[c] ?? Number.NaN) - value), `row ${row}, class ${c}`).toBeLessThanOrEqual(
                  tolerance * largest,
                );
              }
            }
          }
        },
      );
    }
  }
});

test.each([
  ['float32', 2 ** 127],
  ['float64', 2 ** 1023],
] as const)('sums of the largest class weights over the classes do not overflow, %s', async (dtype, largest) => {
  const unit = dtype === 'float32' ? 2 ** -20 : 2 ** -49;
  const backend = delegate(right, { kernels: {} });
  const given = { dtype, backend };
  const x = tensor([[1, 2, 3, -1, 0.5, 2]], given);
  for (const target of [[2], tensor([[0.5, 0.75, 0.25, 0.5, 0, 0.5]], given)]) {
    const of = async (weight: number) => {
      const options = {
        weight: [1, 1.5, 0.75, 1, 1.25, 1].map((w) => w * weight),
        labelSmoothing: 0.25,
        reduction: 'sum',
      } as const;
      const share = tensor(1 / weight, given);
      const results = [
        crossEntropy.gradient(x, target, { ...options, temperature: 16 }),
        crossEntropy.vjp(x, target, share, options),
        crossEntropy.hvp(x, target, share, x, options),
      ];
      return Promise.all(results.map((result) => result.data()));
    };
    const [ordinary, actual] = [await of(1), await of(largest)];
    for (const [k, values] of ordinary.entries()) {
      const scale = k === 0 ? largest : 1;
      for (const [c, value] of values.entries()) {
        expect(Math.abs((actual[k]?.[c] ?? Number.NaN) / scale - value), `${k} ${c}`).toBeLessThanOrEqual(unit);
      }
    }
  }
});

test('class weights at both ends of the range keep their digits', async () => {
  const x = tensor(
    [
      [0, 0],
      [0, 0],
    ],
    { dtype: 'float32', backend: right },
  );
  const [small, large] = [5 * 2 ** -149, 2 ** 127];
  const options = { weight: [small, large], reduction: 'sum' } as const;
  // p Σ q − q with p = ½: half of 10 and of 20 units.
  const twice = { ...options, temperature: 0.25 };
  const gradient = Array.from(await crossEntropy.gradient(x, [0, 1], twice).data());
  expect(gradient).toEqual([-2 * small, 2 * small, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
  const g = tensor([2 ** 100, 2 ** -100], { dtype: 'float32', backend: right });
  const product = await crossEntropy.vjp(x, [0, 1], g, { ...options, reduction: 'none' }).data();
  const half = [small * 2 ** 99, large * 2 ** -101];
  expect(Array.from(product)).toEqual([-(half[0] ?? 0), half[0], half[1], -(half[1] ?? 0)]);
  const t = tensor(
    [
      [1, -1],
      [1, -1],
    ],
    { dtype: 'float32', backend: right },
  );
  const second = await crossEntropy.hvp(x, [0, 1], g, t, { ...options, reduction: 'none' }).data();
  expect(Array.from(second)).toEqual(half.flatMap((value) => [value, -value]));
});

test.each(['indices', 'probabilities'] as const)(
  'second derivatives of a mean over rows whose weights are far apart are those of the rows over its divisor: %s',
  async (kind) => {
    const on = { dtype: 'float64', backend: right } as const;
    const x = tensor(
      [
        [0.5, -1, 2],
        [1, 0.25, -0.5],
        [-2, 0, 1],
      ],
      on,
    );
    const t = tensor(
      [
        [1, 2, -1],
        [0.5, -3, 2],
        [-1, 1, 4],
      ],
      on,
    );
    const weight = [1.75, 2 ** -60 * 1.5, 3 * 2 ** 50];
    const target =
      kind === 'indices'
        ? [0, 1, 2]
        : [
            [0.5, 0.25, 0.25],
            [0, 1, 0],
            [0.75, 0.25, 0],
          ];
    const divisor = kind === 'indices' ? weight.reduce((sum, value) => sum + value) : 3;
    const rows = await crossEntropy.hvp(x, target, tensor([1, 1, 1], on), t, { weight, reduction: 'none' }).data();
    const mean = await crossEntropy.hvp(x, target, 1, t, { weight }).data();
    for (const [k, value] of rows.entries()) {
      expect(Math.abs((mean[k] ?? Number.NaN) * divisor - value), `${k}`).toBeLessThanOrEqual(
        2 ** -48 * Math.max(...rows.slice(k - (k % 3), k - (k % 3) + 3).map(Math.abs)),
      );
    }
  },
);

test('a large class weight at a tiny temperature does not make products with the gradient overflow', async () => {
  const temperature = 2 ** -1030;
  const backend = delegate(right, { kernels: {} });
  const x = tensor([[temperature, 2 * temperature]], { dtype: 'float64', backend });
  const options = { temperature, weight: [2 ** 1020, 2 ** 1020], reduction: 'none' } as const;
  const [first, second] = await crossEntropy.vjp(x, [0], tensor([0], { dtype: 'float64', backend }), options).data();
  expect([first, second].map(Math.abs)).toEqual([0, 0]);
});

test('composed, the second derivative of sigmoid along directions whose product overflows is finite where it can be', async () => {
  const given = { dtype: 'float32', backend: delegate(right, { kernels: {} }) } as const;
  const y = tensor([0, 1, 0.5, 2 ** -60, 0.25], given);
  const g = tensor([2 ** 100, -(2 ** 100), 2 ** 100, 2 ** 100, 2 ** 100], given);
  const t = tensor([2 ** 80, 2 ** 80, 2 ** 80, 2 ** 80, 2 ** 80], given);
  const result = Array.from(await sigmoid.hvp(y, g, t).data(), (value) => value + 0);
  expect(result).toEqual([0, 0, 0, 2 ** 120, Number.POSITIVE_INFINITY]);
});

test('products of the largest directions with a gradient that a large temperature makes small are finite', async () => {
  const given = { dtype: 'float64', backend: right } as const;
  const [temperature, largest] = [1e300, Number.MAX_VALUE];
  const x = tensor([[0, 0, 0, 0, 0]], given);
  const options = { temperature, reduction: 'sum' } as const;
  const product = await crossEntropy.vjp(x, [0], tensor(largest, given), options).data();
  for (const [c, value] of product.entries()) {
    expect(value / (largest / temperature)).toBeCloseTo(c === 0 ? -0.8 : 0.2, 12);
  }
});

test.each([
  ['float32', 1e38, 1e-40],
  ['float32', 1e-3, 1e-40],
  ['float64', 1e307, 1e-309],
  ['float64', 1e-3, 1e-320],
] as const)(
  'composed, the loss in %s of logits %s apart with weights of %s is finite wherever it can be',
  async (dtype, far, weight) => {
    const backend = delegate(right, { kernels: {} });
    const x = tensor([[far, -far, far]], { dtype, backend });
    const weights = [weight, weight, weight];
    for (const [temperature, reduction] of [
      [far * weight, 'sum'],
      [far * weight * 16, 'none'],
    ] as const) {
      for (const target of [[1], [[0, 1, 0]]]) {
        const [value] = await crossEntropy.loss(x, target, { weight: weights, temperature, reduction }).data();
        // The logarithm is nothing beside the difference of the logits.
        const stored = tensor([weight], { dtype, backend }).dataSync()[0];
        const expected = (stored / temperature) * 2 * far;
        expect(value / expected).toBeCloseTo(1, dtype === 'float32' ? 6 : 12);
      }
    }
  },
);
