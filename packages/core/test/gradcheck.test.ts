import { describe, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import {
  crossEntropy,
  gradcheck,
  logSoftmax,
  logSumExp,
  relu,
  sigmoid,
  softmax,
  softmin,
  type Tensor,
  tensor,
} from '../src/index.js';
import { minimal } from './minimal-backend.js';

const backend = await exact.open();
const double = (values: number[][]) => tensor(values, { backend, dtype: 'float64' });
const rows = [
  [0.3, -1.2, 2.5, 0.1],
  [4, 3.5, -7, 0],
  [-0.5, 0.25, 1, -3],
];

describe('gradcheck agrees with every derivative that core has', () => {
  const operations = { softmax, softmin, logSoftmax, logSumExp };

  test.for(Object.entries(operations))('%s, over both axes, with temperature and mask', async ([, operation]) => {
    const mask = [[true, true, false, true]];
    for (const options of [{}, { axis: 0 }, { temperature: 0.05 }, { temperature: 3, mask }]) {
      const report = await gradcheck(operation, double(rows), options);
      expect(report).toMatchObject({ ok: true, checked: 12, backend: 'exact', dtype: 'float64' });
      expect(report.maxError).toBeLessThan(1e-9);
    }
  });

  test('sigmoid and relu', async () => {
    expect(await gradcheck(sigmoid, double(rows))).toMatchObject({ name: 'sigmoid', ok: true, checked: 12 });
    expect(await gradcheck(relu, double(rows))).toMatchObject({ name: 'relu', ok: true, checked: 12 });
  });

  test('crossEntropy with class indices, probabilities, smoothing, weights and every reduction', async () => {
    const soft = [
      [0.1, 0.2, 0.3, 0.4],
      [1, 0, 0, 0],
      [0.25, 0.25, 0.25, 0.25],
    ];
    const weight = [1, 2, 0.5, 3];
    for (const options of [
      { target: [3, 0, 1] },
      { target: Int32Array.of(3, -100, 1), labelSmoothing: 0.1, weight },
      { target: soft, reduction: 'sum', weight },
      { target: tensor(soft, { backend, dtype: 'float64' }), reduction: 'none', temperature: 2 },
      { target: tensor(Int32Array.of(3, 0, 1), { backend }), reduction: 'none' },
    ] as const) {
      expect(await gradcheck(crossEntropy, double(rows), options)).toMatchObject({ ok: true, checked: 12 });
    }
  });

  test('in float32 and float16, and on a backend without float64', async () => {
    const here = await minimal.open();
    expect(await gradcheck(softmax, tensor(rows, { backend: here }))).toMatchObject({
      backend: 'minimal',
      dtype: 'float32',
      ok: true,
    });
    const half = tensor(rows, { backend, dtype: 'float16' });
    expect(await gradcheck(logSoftmax, half)).toMatchObject({ dtype: 'float16', ok: true });
  });

  test('where all logits are far from 0', async () => {
    const far = double([[10000.5, 9998, 10001.25]]);
    expect((await gradcheck(softmax, far)).maxError).toBeLessThan(1e-10);
  });
});

describe('gradcheck finds what is wrong', () => {
  const forward = (x: Float64Array) => x.map((value) => value ** 3);
  const cube = (slope: (x: number) => number) => ({
    name: 'cube',
    forward,
    vjp(x: Tensor, g: Tensor) {
      const cotangent = g.dataSync();
      return tensor(
        x.dataSync().map((value, i) => cotangent[i] * slope(value)),
        { backend, shape: x.shape },
      );
    },
  });

  test('a right derivative of a function of your own passes, a wrong one fails entry by entry', async () => {
    const x = double([[1, 2, -3]]);
    expect(
      await gradcheck(
        cube((v) => 3 * v * v),
        x,
      ),
    ).toMatchObject({ name: 'cube', ok: true, checked: 3 });
    const report = await gradcheck(
      cube((v) => 3 * v),
      x,
    );
    expect(report.ok).toBe(false);
    expect(report.entries.map(({ ok }) => ok)).toEqual([true, false, false]);
    expect(report.entries[1].error).toBeGreaterThan(report.entries[1].tolerance);
  });

  test('a derivative that is NaN fails', async () => {
    expect(
      (
        await gradcheck(
          cube(() => Number.NaN),
          double([[1, 2]]),
        )
      ).ok,
    ).toBe(false);
  });

  test('the summed rows of the Jacobian, which are 0 for every input', async () => {
    const zeros = {
      name: 'summed rows',
      forward: (x: Float64Array) => {
        const e = x.map(Math.exp);
        const sum = e.reduce((a, b) => a + b, 0);
        return e.map((value) => value / sum);
      },
      vjp: (x: Tensor) => tensor(new Float64Array(x.size), { backend, shape: x.shape }),
    };
    expect((await gradcheck(zeros, double([[1, 2, 3]]))).ok).toBe(false);
  });

  test('only the entries asked for are checked', async () => {
    const report = await gradcheck(
      cube((v) => (v === 2 ? 12 : 0)),
      double([[1, 2, 3]]),
      { entries: [1] },
    );
    expect(report).toMatchObject({ ok: true, checked: 1, entries: [{ index: 1 }] });
  });

  test('the cotangent given is the one used', async () => {
    const cotangent = double([[0, 1, 0]]);
    const { entries } = await gradcheck(
      cube((v) => 3 * v * v),
      double([[1, 2, 3]]),
      { cotangent },
    );
    expect(entries.map(({ numeric }) => Math.round(numeric))).toEqual([0, 12, 0]);
    expect(cotangent.disposed).toBe(false);
  });
});

describe('where there is no derivative', () => {
  test('at a kink every slope between those on both sides is right', async () => {
    const report = await gradcheck(relu, double([[0, -0, 1e-9, -1e-9]]));
    expect(report).toMatchObject({ ok: true, checked: 4 });
    const steep = { ...reluWithSlope(2), name: 'steep' };
    expect((await gradcheck(steep, double([[0, 1]]))).entries.map(({ ok }) => ok)).toEqual([false, true]);
  });

  test('−Infinity is listed and not compared; nothing compared is no success', async () => {
    const x = double([[0, Number.NEGATIVE_INFINITY, 1]]);
    const report = await gradcheck(softmax, x);
    expect(report).toMatchObject({ ok: true, checked: 2 });
    expect(report.entries[1]).toMatchObject({ analytic: 0, numeric: Number.NaN, ok: true });
    expect(await gradcheck(softmax, x, { entries: [1] })).toMatchObject({ ok: false, checked: 0 });
  });

  test('NaN and +Infinity are refused, so is crossEntropy without a target', async () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(gradcheck(softmax, double([[value, 1]]))).rejects.toMatchObject({ code: 'ERR_VALUE' });
    }
    await expect(gradcheck(crossEntropy, double([[1, 2]]))).rejects.toMatchObject({ code: 'ERR_VALUE' });
    await expect(gradcheck({} as never, double([[1, 2]]))).rejects.toMatchObject({ code: 'ERR_VALUE' });
  });

  /** relu that claims another slope at 0. */
  function reluWithSlope(atZero: number) {
    return {
      kinks: [0],
      forward: (x: Float64Array) => x.map((value) => Math.max(value, 0)),
      vjp(x: Tensor, g: Tensor) {
        const cotangent = g.dataSync();
        const slopes = x.dataSync().map((value, i) => cotangent[i] * (value > 0 ? 1 : atZero));
        return tensor(slopes, { backend, shape: x.shape });
      },
    };
  }
});
