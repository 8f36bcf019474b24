import { logSoftmax, logSumExp, softmax, softmin, tensor } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { cpu } from '../src/index.js';
import { lengths, row, testLargestCotangents } from './largest-cotangents.js';
import { expectWithin } from './layouts.js';
import { testSmallDivisors } from './small-divisors.js';

const backend = cpu.openSync();

testLargestCotangents(backend);
testSmallDivisors(backend);

test('second derivatives along the largest float32 cotangents and tangents', async () => {
  const s = tensor([[0.25, 0.25, 0.5]], { backend });
  const y = tensor([[Math.log(0.25), Math.log(0.25), Math.log(0.5)]], { backend });
  for (const [g, t] of [
    [3e38, 1],
    [1, 3e38],
    [3e38, 1e-30],
  ] as const) {
    const cotangent = tensor([[g, -g, g]], { backend });
    const tangent = tensor([[t, t, -t]], { backend });
    const relative = (values: Float32Array) => [...values].map((value) => (value / (g * t)).toFixed(5));
    const d = relative(await softmax.hvp(s, cotangent, tangent).data());
    expect(d).toEqual(['0.25000', '-0.25000', '0.00000']);
    const e = relative(await logSoftmax.hvp(y, cotangent, tangent).data());
    expect(e).toEqual(['-0.25000', '-0.25000', '0.50000']);
  }
});

test('the second derivative of sigmoid along float64 cotangents whose rounding errors are beyond the range is that of ordinary ones', () => {
  const y = Float64Array.from({ length: 99 }, (_, k) => (k + 1) / 100);
  const [ordinary, large] = [2 ** -3, 2 ** 1020].map((size) => {
    const out = new Float64Array(99);
    const cotangent = y.map((_, k) => size * Math.cos(k));
    backend.kernels?.sigmoidHvp?.(out, y, cotangent, y, 99);
    return out.map((value) => value / size);
  });
  expectWithin(4, large, ordinary, 'float64', '2^1020');
});

test('the second derivative of sigmoid along float64 directions whose product is beyond the range is finite where it is', () => {
  const y = Float64Array.of(0, 1, 0.5, 2 ** -1000, 2 ** -40, 0.25, 0.25);
  const g = Float64Array.of(1e300, 1e300, 1e300, 2 ** 1000, 2 ** 10, 2 ** 1000, 2 ** 1020);
  const t = Float64Array.of(-1e300, 1e200, -1e300, 2 ** 1010, 2 ** 1020, 2 ** 24, -(2 ** 900));
  const out = new Float64Array(7);
  backend.kernels?.sigmoidHvp?.(out, y, g, t, 7);
  const expected = [0, 0, 0, 2 ** 1010, 2 ** 990, 1.5 * 2 ** 1020, Number.NEGATIVE_INFINITY];
  expect(Array.from(out, (value) => value + 0)).toEqual(expected.map((value, k) => (k === 4 ? out[4] : value)));
  expect(Math.abs(out[4] / 2 ** 990 - 1)).toBeLessThan(2 ** -37);
});

test('a derivative in float32 that is too small before it is divided by a tiny temperature is not lost', async () => {
  for (const classes of lengths.filter((length) => length > 1)) {
    const made = (first: number, others: number) =>
      tensor([Array.from({ length: classes }, (_, c) => (c === 0 ? first : others))], { dtype: 'float32', backend });
    // Their product, 2⁻¹⁵⁶, is 0 in float32.
    const [s, g] = [made(2 ** -126, 1 / (classes - 1)), made(2 ** -30, 0)];
    const at = async (temperature: number) => (await softmax.vjp(s, g, { temperature }).data())[0];
    expect((await at(2 ** -60)) * 2 ** 96).toBeCloseTo(1, 5);
    expect(await at(2 ** -970)).toBe(Number.POSITIVE_INFINITY);
  }
});

test('log-sum-exp is NaN if a logit is, also where the quotient of the largest logit overflows', () => {
  for (const [row, expected] of [
    [[1e10, Number.NaN, 1], Number.NaN],
    [[Number.NaN, 1e10, 1e10], Number.NaN],
    [[1e10, 1e10, Number.NEGATIVE_INFINITY], Number.POSITIVE_INFINITY],
    [[-1e10, Number.NaN, -1e11], Number.NaN],
    [[-1e10, -1e11, -1e11], Number.NEGATIVE_INFINITY],
  ] as const) {
    const x = tensor([row], { dtype: 'float64', backend });
    expect(logSumExp(x, { temperature: 1e-300 }).dataSync()[0], `${row}`).toBe(expected);
  }
});

test('softmin of logits whose differences overflow takes the smallest, along each axis and masked', async () => {
  const column = [1.7e308, -1.7e308, 0];
  for (const sign of [1, -1]) {
    const x = tensor(
      column.map((value) => [sign * value, -sign * value]),
      { dtype: 'float64', backend },
    );
    const mask = [
      [true, true],
      [true, true],
      [true, false],
    ];
    const smallest = sign === 1 ? [0, 1, 1, 0, 0, 0] : [1, 0, 0, 1, 0, 0];
    for (const options of [{ axis: 0 }, { axis: 0, mask }]) {
      expect([...(await softmin(x, options).data())]).toEqual(smallest);
      expect([...(await softmax(x, options).data())]).toEqual(smallest.map((p, k) => (k < 4 ? 1 - p : p)));
    }
  }
});

test('at negative temperatures, logits whose differences overflow are negated', () => {
  const rows = { outer: 1, classes: 3, inner: 1 };
  const logSoftmaxOf = (values: readonly number[], temperature: number) => {
    const [x, out] = [backend.alloc(3, 'float64'), backend.alloc(3, 'float64')];
    backend.write(x, Float64Array.from(values));
    backend.kernels?.logSoftmax?.(out, x, rows, { temperature, mask: null });
    return [...(backend.readSync?.(out) ?? [])];
  };
  const logits = [1.7e308, -1.6e308, 3];
  const expected = logSoftmaxOf(logits, 1);
  expect(expected).toEqual([0, Number.NEGATIVE_INFINITY, -1.7e308]);
  expect(
    logSoftmaxOf(
      logits.map((x) => -x),
      -1,
    ),
  ).toEqual(expected);
});

test('the sum of a long row of cotangents is as exact as that of a short one', async () => {
  const classes = 2 ** 18;
  const y = tensor(new Float64Array(classes).fill(-Math.log(classes)), { shape: [1, classes], backend });
  const g = tensor(new Float64Array(classes).fill(0.1), { shape: [1, classes], backend });
  // g − exp(y) Σ g = 0, but for the rounding of exp(y).
  const dx = await logSoftmax.vjp(y, g).data();
  const p = Math.exp(-Math.log(classes)) * classes;
  const expected = 0.1 - 0.1 * p;
  expect(Math.max(...Array.from(dx.subarray(0, 100), (d) => Math.abs(d - expected)))).toBeLessThan(2 ** -50);
});

test('derivatives of the smallest cotangents keep their bits', async () => {
  for (const dtype of ['float32', 'float64'] as const) {
    const smallest = dtype === 'float64' ? 2 ** -1074 : 2 ** -149;
    const y = tensor([[1, 1, 1, 1].map((p) => Math.log(p / 4))], { dtype, backend });
    const g = tensor([[64, 0, -16, 16].map((multiple) => multiple * smallest)], { dtype, backend });
    // g − Σ g / 4, exactly.
    const dx = await logSoftmax.vjp(y, g).data();
    expect(Array.from(dx, (d) => d / smallest)).toEqual([48, -16, -32, 0]);
    const dy = await logSoftmax.jvp(y, g).data();
    expect(Array.from(dy, (d) => d / smallest)).toEqual([48, -16, -32, 0]);
  }
});

describe('the vjp of softmax in float64 keeps its digits where one of its factors is at an end of the range', () => {
  const unit = 2 ** -53;
  const of = (values: readonly number[]) => tensor([values], { dtype: 'float64', backend });

  test('small cotangents and a tiny temperature', () => {
    for (const classes of lengths) {
      const p = Array.from(softmax(of(row(classes))).dataSync(), Number);
      const s = of(p);
      const g = Array.from({ length: classes }, (_, c) => Math.cos(3 * c));
      const ordinary = softmax.vjp(s, of(g)).dataSync();
      const small = of(g.map((value) => value * 2 ** -1000));
      for (const exponent of [-65, -100]) {
        const actual = softmax.vjp(s, small, { temperature: 2 ** exponent }).dataSync();
        const wrong = ordinary.findIndex((value, i) => {
          const error = Math.abs(Number(actual[i]) * 2 ** (1000 + exponent) - Number(value));
          return !(error <= 8 * unit * (p[i] ?? 0));
        });
        expect([classes, exponent, wrong]).toEqual([classes, exponent, -1]);
      }
    }
  });

  test('huge cotangents and a large temperature', () => {
    // The quotients of these probabilities by the temperature are subnormal.
    const tiny = Math.SQRT2 * 2 ** -960;
    const huge = Math.SQRT1_2 * 2 ** 1000;
    for (const classes of lengths) {
      const s = of(row(classes).map((_, c) => (c === 0 ? 1 : tiny)));
      const g = of(row(classes).map((_, c) => (c === 0 ? huge : 0)));
      const actual = softmax.vjp(s, g, { temperature: 2 ** 100 }).dataSync();
      const wrong = actual.findIndex((value, i) => i > 0 && !(Math.abs(Number(value) * 2 ** 60 + 1) <= 8 * unit));
      expect([classes, wrong]).toEqual([classes, -1]);
    }
  });
});

describe('second derivatives in float64 leave the range only if the result does', () => {
  /** Exponents of 2 of the cotangent, the tangent and the temperature. */
  const exponents = [
    [1000, -1000, 0],
    [-1000, 1000, 0],
    [1020, 0, 510],
    [0, 1020, 510],
    [600, 600, 600],
    [1020, 1020, 1020],
    [-600, -600, -600],
    [-1000, -1070, -1035],
    [-1070, 500, -285],
    [-450, 0, -225],
    [0, 0, -450],
    [300, 600, 450],
  ] as const;
  const small = (c: number, r: number) => ((c * 7 + r) % 5) - 2;
  const scaled = (value: number, exponent: number) => {
    const half = Math.trunc(exponent / 2);
    return value * 2 ** half * 2 ** (exponent - half);
  };
  const result = (values: ArrayLike<number>, exponent: number) =>
    Array.from(values, (value) => scaled(value, exponent));

  /** Rows of which those with an even number are scaled, along an axis. The last class has probability 0 and large directions. */
  const problem = (classes: number, axis: 0 | 1) => {
    const count = 3;
    const shape = axis === 1 ? [count, classes] : [classes, count];
    const of = (value: (c: number, r: number) => number) =>
      tensor(
        Float64Array.from({ length: count * classes }, (_, i) =>
          axis === 1 ? value(i % classes, Math.floor(i / classes)) : value(Math.floor(i / count), i % count),
        ),
        { shape, backend },
      );
    const rowOf = (i: number) => (axis === 1 ? Math.floor(i / classes) : i % count);
    return { count, of, rowOf };
  };

  test.each([
    ['softmax', softmax.hvp],
    ['log-softmax', logSoftmax.hvp],
    ['log-sum-exp', null],
  ] as const)('of %s', (name, hvp) => {
    for (const classes of [2, 3, 5, 17, 300]) {
      for (const axis of [0, 1] as const) {
        const { count, of, rowOf } = problem(classes, axis);
        const logits = row(classes, 3).map((x, c) =>
          c === classes - 1 && classes > 2 ? Number.NEGATIVE_INFINITY : Math.round(256 * x) / 256,
        );
        const last = (c: number) => classes > 2 && c === classes - 1;
        for (const [ofG, ofT, ofTemperature] of exponents) {
          const at = (g: number, t: number, temperature: number) => {
            const cotangent = of((c, r) =>
              r % 2 === 0 && last(c) && name === 'softmax' ? 1e300 : scaled(small(c, r) + 0.5, r % 2 ? -g : g),
            );
            const tangent = of((c, r) => (r % 2 === 0 && last(c) ? -1e300 : scaled(small(2 * c, r), r % 2 ? -t : t)));
            const options = { axis, temperature: scaled(1, temperature) };
            const x = of((c) => scaled(logits[c] ?? 0, temperature));
            if (hvp === null) {
              const perRow = tensor(
                Float64Array.from({ length: count }, (_, r) => scaled(1.25, r % 2 ? -g : g)),
                { backend },
              );
              return logSumExp.hvp(x, perRow, tangent, options).dataSync();
            }
            const f = name === 'softmax' ? softmax : logSoftmax;
            return hvp(f(x, options), cotangent, tangent).dataSync();
          };
          const [ordinary, actual] = [at(0, 0, 0), at(ofG, ofT, ofTemperature)];
          const power = ofG + ofT - 2 * ofTemperature;
          const largest = Math.max(...Array.from(ordinary, Math.abs));
          const restored = result(actual, -power);
          const wrong = restored.findIndex(
            (value, i) => rowOf(i) % 2 === 0 && !(Math.abs(value - Number(ordinary[i])) <= 2 ** -52 * largest),
          );
          expect([classes, axis, ofG, ofT, ofTemperature, wrong]).toEqual([classes, axis, ofG, ofT, ofTemperature, -1]);
        }
      }
    }
  });
});

test('the Jacobian of softmax in float64 at a tiny temperature has the products of small probabilities', () => {
  const size = 2 ** -600;
  for (const classes of [2, 3, 5, 17]) {
    for (const axis of [0, 1]) {
      const row = Array.from({ length: classes }, (_, c) => (c === 0 ? 1 : size));
      const s = tensor(axis === 1 ? [row] : row.map((p) => [p]), { dtype: 'float64', backend });
      for (const exponent of [-65, -200, -1000]) {
        const matrix = Array.from(softmax.jacobian(s, { axis, temperature: 2 ** exponent }).dataSync(), Number);
        const expected = row.flatMap((p, r) =>
          row.map((q, c) => {
            const first = r === c ? (r === 0 ? (classes - 1) * size : 1) : -q;
            return p * 2 ** (-exponent / 2) * first * 2 ** (-exponent / 2);
          }),
        );
        const wrong = matrix.findIndex((value, k) => !(Math.abs(value / (expected[k] ?? 0) - 1) < 2 ** -50));
        expect([classes, axis, exponent, wrong === -1 || expected[wrong] === 0]).toEqual([
          classes,
          axis,
          exponent,
          true,
        ]);
      }
    }
  }
});
