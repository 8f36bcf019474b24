import { describe, expect, test } from 'vitest';
import { counted, liveBuffers } from '../conformance/counted.js';
import { delegate } from '../conformance/delegate.js';
import { exact } from '../conformance/index.js';
import {
  type Backend,
  crossEntropy,
  gradgradcheck,
  logSoftmax,
  logSumExp,
  relu,
  sigmoid,
  softmax,
  softmin,
  type Tensor,
  tensor,
} from '../src/index.js';

const backend = await exact.open();
const double = (values: number[][]) => tensor(values, { backend, dtype: 'float64' });
const rows = [
  [0.3, -1.2, 2.5, 0.1],
  [4, 3.5, -7, 0],
  [-0.5, 0.25, 1, -3],
];

describe('gradgradcheck agrees with every second derivative that core has', () => {
  const operations = { softmax, softmin, logSoftmax, logSumExp };

  test.for(Object.entries(operations))('%s, over both axes, with temperature and mask', async ([, operation]) => {
    const mask = [[true, true, false, true]];
    const all: { temperature?: number }[] = [{}, { temperature: 0.5 }, { temperature: 0.05 }];
    for (const options of [...all, { axis: 0, temperature: 3, mask }]) {
      const report = await gradgradcheck(operation, double(rows), options);
      expect(report).toMatchObject({ ok: true, checked: 12, backend: 'exact', dtype: 'float64' });
      const largest = Math.max(...report.entries.map(({ numeric }) => Math.abs(numeric)));
      if (options.temperature !== 0.05) expect(report.maxError / largest).toBeLessThan(5e-8);
    }
  });

  test('sigmoid', async () => {
    expect(await gradgradcheck(sigmoid, double(rows))).toMatchObject({ name: 'sigmoid', ok: true, checked: 12 });
  });

  test('crossEntropy with class indices, probabilities, smoothing, weights and every reduction', async () => {
    const soft = [
      [0.1, 0.2, 0.3, 0.4],
      [1, 0, 0, 0],
      [0.25, 0.5, 0.5, 0.25],
    ];
    const weight = [1, 2, 0.5, 3];
    const mask = [[true, true, false, true]];
    for (const options of [
      { target: [3, 0, 1] },
      { target: Int32Array.of(3, -100, 1), labelSmoothing: 0.1, weight },
      { target: Int32Array.of(3, -100, 1), labelSmoothing: 0.1, weight, mask },
      { target: soft, reduction: 'sum', weight, labelSmoothing: 0.2, mask },
      { target: tensor(soft, { backend, dtype: 'float64' }), reduction: 'none', temperature: 2 },
      { target: tensor(Int32Array.of(3, 0, 1), { backend }), reduction: 'none', weight },
    ] as const) {
      expect(await gradgradcheck(crossEntropy, double(rows), options)).toMatchObject({ ok: true, checked: 12 });
    }
  });

  test('in float32 and float16, far from 0 and with −Infinity', async () => {
    const single = tensor(rows, { backend });
    expect(await gradgradcheck(softmax, single)).toMatchObject({ dtype: 'float32', ok: true });
    const half = tensor(rows, { backend, dtype: 'float16' });
    expect(await gradgradcheck(logSoftmax, half)).toMatchObject({ dtype: 'float16', ok: true });
    expect(await gradgradcheck(softmax, double([[10000.5, 9998, 10001.25]]))).toMatchObject({ ok: true });
    const removed = double([[1, Number.NEGATIVE_INFINITY, 3]]);
    for (const operation of [softmax, logSoftmax, logSumExp]) {
      expect(await gradgradcheck(operation, removed)).toMatchObject({ ok: true, checked: 2 });
    }
  });

  test('along a tangent of any size', async () => {
    for (const size of [1e-6, 1e6]) {
      const tangent = double(rows.map((row) => row.map((value) => value * size)));
      expect(await gradgradcheck(softmax, double(rows), { tangent })).toMatchObject({ ok: true });
    }
    const tangent = double(rows.map((row) => row.map(() => 0)));
    expect(await gradgradcheck(softmax, double(rows), { tangent })).toMatchObject({ ok: true, maxError: 0 });
    const ofNumbers = {
      name: 'of numbers',
      forward: (x: Float64Array) => {
        expect(x.every(Number.isFinite)).toBe(true);
        return x;
      },
      hvp: (x: Tensor) => tensor(new Float64Array(x.size), { backend, shape: x.shape, dtype: 'float64' }),
    };
    expect(await gradgradcheck(ofNumbers, double(rows), { tangent })).toMatchObject({ ok: true, checked: 12 });
  });
});

describe('gradgradcheck detects mistakes', () => {
  const cube = (curvature: (x: number) => number, more: object = {}) => ({
    name: 'cube',
    forward: (x: Float64Array) => x.map((value) => value ** 3),
    hvp(x: Tensor, g: Tensor, t: Tensor) {
      const [cotangent, tangent] = [g.dataSync(), t.dataSync()];
      return tensor(
        x.dataSync().map((value, i) => cotangent[i] * tangent[i] * curvature(value)),
        { backend, shape: x.shape },
      );
    },
    ...more,
  });

  test('a right second derivative passes, a wrong one fails entry by entry', async () => {
    const x = double([[1, 2, -3]]);
    const right = cube((v) => 6 * v);
    expect(await gradgradcheck(right, x)).toMatchObject({ name: 'cube', ok: true, checked: 3 });
    const wrong = cube((v) => 6 * v * v);
    const report = await gradgradcheck(wrong, x);
    expect(report.entries.map(({ ok }) => ok)).toEqual([true, false, false]);
    expect(report.ok).toBe(false);
    expect((await gradgradcheck(wrong, x, { entries: [0] })).ok).toBe(true);
  });

  test('a factor that is off by a millionth, at a temperature too', async () => {
    for (const temperature of [1, 0.5]) {
      const reference = await gradgradcheck(softmax, double(rows), { temperature });
      const off = {
        name: 'off',
        forward: (x: Float64Array) => {
          const one = softmax(tensor(x, { shape: [3, 4], backend }), { temperature });
          return one.dataSync() as Float64Array;
        },
        hvp: () =>
          tensor(
            reference.entries.map(({ analytic }) => analytic * (1 + 1e-6)),
            { shape: [3, 4], backend, dtype: 'float64' },
          ),
      };
      expect((await gradgradcheck(off, double(rows), { temperature })).ok).toBe(false);
    }
  });

  test('whatever the size of the cotangent, and beside a logit of −Infinity', async () => {
    const x = double([[1, 2, -3]]);
    for (const size of [1e-6, 1, 1e6]) {
      const cotangent = double([[0.3 * size, -0.7 * size, size]]);
      const checked = async (factor: number) =>
        await gradgradcheck(
          cube((v) => factor * 6 * v),
          x,
          { cotangent },
        );
      expect((await checked(1)).ok).toBe(true);
      expect((await checked(1 + 1e-6)).ok).toBe(false);
    }
    const removed = double([[1, Number.NEGATIVE_INFINITY, 2]]);
    const target = [0];
    const loss = (logits: Float64Array) => crossEntropy.loss(double([[...logits]]), target).dataSync() as Float64Array;
    const off = (factor: number) => ({
      name: 'off',
      outputShape: [],
      forward: loss,
      hvp: (logits: Tensor, g: Tensor, t: Tensor) =>
        tensor(
          crossEntropy
            .hvp(logits, target, g, t)
            .dataSync()
            .map((value) => value * factor),
          { shape: [1, 3], backend, dtype: 'float64' },
        ),
    });
    expect(await gradgradcheck(off(1), removed)).toMatchObject({ ok: true, checked: 2 });
    expect((await gradgradcheck(off(1.001), removed)).ok).toBe(false);
  });

  test('NaN', async () => {
    expect(
      (
        await gradgradcheck(
          cube(() => Number.NaN),
          double([[1, 2]]),
        )
      ).ok,
    ).toBe(false);
  });

  test('no difference is computed across or at a kink', async () => {
    const half = cube((v) => (v > 0 ? 6 * v : 0), {
      forward: (x: Float64Array) => x.map((value) => Math.max(0, value) ** 3 + Math.abs(value)),
      kinks: [0],
    });
    expect(await gradgradcheck(half, double([[1e-3, -1e-3, 1]]), { tolerance: 1e-4 })).toMatchObject({ ok: true });
    await expect(gradgradcheck(half, double([[1, 0]]))).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: 'gradgradcheck: x[1] is 0, a kink; there is no second derivative',
    });
  });

  test('every entry stays half of the way from its nearest kink, whatever step is asked for', async () => {
    const seen: number[][] = [];
    const beside = cube((v) => 6 * v, {
      forward: (x: Float64Array) => {
        seen.push([...x]);
        return x.map((value) => value ** 3);
      },
      kinks: [-4, 2],
    });
    const at = [1.5, -3, 10];
    await gradgradcheck(beside, double([at]), { step: 4, tangent: double([[8, -8, 8]]) });
    const farthest = at.map((value, i) => Math.max(...seen.map((x) => Math.abs((x[i] ?? Number.NaN) - value))));
    expect(farthest).toEqual([0.25, 0.25, 0.25]);
  });

  test('the default directions are the fractional parts of multiples of the golden ratio and of √2, twice less 1', async () => {
    const given: number[][] = [];
    const noting = {
      name: 'noting',
      forward: (x: Float64Array) => x,
      hvp: (x: Tensor, g: Tensor, t: Tensor) => {
        given.push([...g.dataSync()], [...t.dataSync()]);
        return double([Array.from(x.dataSync(), () => 0)]);
      },
    };
    expect(await gradgradcheck(noting, double([[1, 2, 3]]))).toMatchObject({ ok: true });
    const parts = (irrational: number) => [1, 2, 3].map((k) => 2 * ((k * irrational) % 1) - 1);
    for (const [k, irrational] of [(Math.sqrt(5) - 1) / 2, Math.SQRT2].entries())
      given[k]?.forEach((value, i) => {
        expect(value).toBeCloseTo(parts(irrational)[i] ?? Number.NaN, 12);
      });
  });

  test('what it cannot check', async () => {
    const x = double([[1, 2]]);
    const failing = [
      [() => gradgradcheck(relu, x), 'gradgradcheck: relu has no hvp to check'],
      [
        () => gradgradcheck(crossEntropy, x),
        'gradgradcheck: crossEntropy needs the option target, class indices or probabilities',
      ],
      [
        () => gradgradcheck((() => x) as never, x),
        'gradgradcheck: unknown operation; pass a built-in one, or { name, forward, hvp } for a function of your own',
      ],
      [() => gradgradcheck(softmax, double([[1, Number.NaN]])), /x\[1\] is NaN; there is no derivative to check/],
      [() => gradgradcheck(softmax, x, { dim: 0 } as object), /^gradgradcheck of softmax: .*'dim'/],
    ] as const;
    for (const [call, message] of failing) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_VALUE', message: expect.stringMatching(message) });
    }
    const tangent = double([[1, 2, 3]]);
    await expect(gradgradcheck(softmax, x, { tangent })).rejects.toMatchObject({ code: 'ERR_SHAPE' });
  });
});

describe('the tolerance of gradgradcheck', () => {
  interface Parabola {
    readonly scale?: number;
    readonly centre?: number;
    readonly constant?: number;
  }

  /** scale · (x − centre)² + constant */
  const parabola = ({ scale = 0, centre = 0, constant = 0 }: Parabola) => ({
    name: 'parabola',
    forward: (x: Float64Array) => x.map((value) => scale * (value - centre) ** 2 + constant),
    hvp(x: Tensor, g: Tensor, t: Tensor) {
      const [cotangent, tangent] = [g.dataSync(), t.dataSync()];
      const products = x.dataSync().map((_, i) => cotangent[i] * tangent[i] * 2 * scale);
      return tensor(products, { backend, shape: x.shape, dtype: x.dtype });
    },
  });

  test.each([
    ['float64', 1e-7, 2 ** -53],
    ['float32', 5e-5, 2 ** -24],
    ['float16', 2e-2, 2 ** -11],
  ] as const)(
    'in %s is a share of the derivative, roundings of the directions, and the rounding of x and of the values',
    async (dtype, share, rounding) => {
      const [values, centre, largest] = [1e6, 32764, 32768];
      for (const { x, g, t, options, relative, rest, ...f } of [
        { x: [1, -2], g: 2, t: 0.25, scale: 3, options: {}, relative: share, rest: 4 * rounding * 2 * 0.25 },
        { x: [1, -2], g: 2, t: 0.25, scale: 3, options: { tolerance: 0.1 }, relative: 0.1, rest: 0 },
        { x: [1, -2], g: 8, t: 0.25, options: {}, relative: share, rest: 64 * rounding * 8 * 0.25 },
        ...[1e-3, 1e-2].map((step) => ({
          ...{ x: [1, -2], g: 0.25, t: 4, constant: values, options: { step }, relative: 0 },
          rest: 64 * rounding + (2 ** -48 * Math.hypot(1, 0.5) * values) / step ** 2,
        })),
        ...[1e-3, 1e-4].map((step) => ({
          ...{ x: [largest, largest - 8], g: 1, t: 1, scale: 2, centre, options: { tolerance: 0, step }, relative: 0 },
          // The slope at both entries is 16, along the tangent (1/4, −1).
          rest: 4 * rounding + (2 ** -48 * Math.hypot(1 / 4, 1 / 2) * 16 * largest) / step ** 2,
        })),
      ]) {
        const like = (entries: readonly number[]) => tensor([[...entries]], { backend, dtype });
        const report = await gradgradcheck(parabola(f), like(x), {
          cotangent: like([-g, g / 2]),
          tangent: like([t / 4, -t]),
          ...options,
        });
        for (const { tolerance, numeric } of report.entries) {
          const expected = relative * Math.abs(numeric) + rest;
          // Up to a quarter of the tolerance more is the uncertainty of the differences.
          expect(tolerance / expected).toBeGreaterThan(0.99);
          expect(tolerance / expected).toBeLessThan(1.3);
        }
      }
    },
  );

  test('the first step is shortened by a temperature below 1 and not lengthened by one above 1', async () => {
    for (const [temperature, step] of [
      [undefined, 2 ** (-52 / 6)],
      [0.25, 2 ** (-52 / 6) / 4],
      [4, 2 ** (-52 / 6)],
    ] as const) {
      const seen: number[] = [];
      const linear = {
        ...parabola({}),
        forward: (x: Float64Array) => {
          seen.push(x[1] - 1);
          return x.map(() => 0);
        },
      };
      await gradgradcheck(linear, double([[1, 1]]), { temperature, tangent: double([[1, 1]]), entries: [0] });
      expect(Math.max(...seen) / step).toBeCloseTo(1, 9);
    }
  });

  test('leaves room for the rounding of x far from 0, and no more', async () => {
    const x = double([[1e8 + 0.5, 1e8 - 2, 1e8 + 1.25]]);
    const right = await gradgradcheck(softmax, x);
    expect(right.ok).toBe(true);
    const off = {
      name: 'off',
      forward: (values: Float64Array) => softmax(double([[...values]])).dataSync() as Float64Array,
      hvp: () => double([right.entries.map(({ analytic }) => analytic * (1 + 1e-3))]),
    };
    expect((await gradgradcheck(off, x)).ok).toBe(false);
  });
});

test('gradgradcheck leaves nothing behind', async () => {
  const counting = counted(backend as Backend);
  const x = tensor(rows, { backend: counting, dtype: 'float64' });
  for (const operation of [softmax, logSoftmax, logSumExp, sigmoid]) await gradgradcheck(operation, x);
  await gradgradcheck(crossEntropy, x, { target: [0, 1, 2] });
  expect(liveBuffers(counting)).toBe(1);
});

test('what it makes is freed where a later allocation or write fails', async () => {
  const counting = counted((await exact.open()) as Backend);
  let left = Number.POSITIVE_INFINITY;
  const limited =
    <A extends readonly unknown[], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      if (left-- <= 0) throw new Error('out of memory');
      return call(...args);
    };
  const failing = delegate(counting, { alloc: limited(counting.alloc), write: limited(counting.write) });
  const x = tensor([[1, 2, 3]], { backend: failing, dtype: 'float64' });
  const before = liveBuffers(counting);
  for (let calls = 0; ; calls++) {
    left = calls;
    const failed = await gradgradcheck(softmax, x).then(
      () => false,
      () => true,
    );
    left = Number.POSITIVE_INFINITY;
    expect([calls, liveBuffers(counting)]).toEqual([calls, before]);
    if (failed) continue;
    expect(calls).toBeGreaterThan(4);
    break;
  }
});

test.each([
  [1e4, 20],
  [5e3, -1.1],
])('the second derivative of sin %dx at %d, across many periods of which the first steps go', async (rate, at) => {
  const of = (factor: number) => ({
    name: 'sine',
    forward: (x: Float64Array) => x.map((v) => Math.sin(rate * v)),
    hvp: (x: Tensor, g: Tensor, t: Tensor) => {
      const value = -(rate ** 2) * Math.sin(rate * Number(x.view()[0])) * Number(g.view()[0]) * Number(t.view()[0]);
      return tensor([[factor * value]], { backend, dtype: 'float64' });
    },
  });
  expect(await gradgradcheck(of(1), double([[at]]))).toMatchObject({ ok: true, checked: 1 });
  for (const factor of [1 / 2199.57, 1.001])
    expect(await gradgradcheck(of(factor), double([[at]]))).toMatchObject({ ok: false });
});
