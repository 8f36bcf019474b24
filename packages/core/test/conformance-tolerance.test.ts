import { describe, expect, test } from 'vitest';
import { toleranceUsed } from '../conformance/check.js';
import { exact, logits, reference, tolerance } from '../conformance/index.js';
import { operations } from '../conformance/operations/all.js';
import { expectation, precisionIn, problemOf } from '../conformance/problem.js';
import type { Backend } from '../src/index.js';

const announced = { expUlp: { base: 0.5, slope: 0 }, subnormals: 'preserve' } as const;
const precision = tolerance.precisionOf(announced, 'float32');

/** Softmax with every step rounded to float32, like an ordinary correct implementation. */
function softmaxInFloat32(x: Float64Array): Float64Array {
  const f = Math.fround;
  const max = x.reduce((a, b) => Math.max(a, b));
  const exponentials = x.map((value) => f(Math.exp(f(value - max))));
  const sum = exponentials.reduce((a, b) => f(a + b), 0);
  return exponentials.map((e) => f(e / sum));
}

/** The largest share of the bound that a result uses. */
function used(actual: Float64Array, expected: Float64Array, bound: ArrayLike<number>): number {
  return expected.reduce((most, value, i) => Math.max(most, toleranceUsed(actual[i], value, bound[i])), 0);
}

describe('the bound of softmax', () => {
  // Nearly one-hot rows are not among them: over thousands of classes a running sum loses every term but the largest.
  const inputs = ['narrow', 'broad', 'wide'] as const;

  test.for([130, 4000])('leaves room for float32 rounding at f = %i, and not much more', (classes) => {
    const rows = { outer: 1, classes, inner: 1 };
    const shares = inputs.map((input) => {
      const x = logits(input, [1, classes], 1, 'float32');
      const expected = reference.softmax(x, rows);
      return used(softmaxInFloat32(x), expected, tolerance.softmaxTolerance(precision, x, expected, rows));
    });
    expect(Math.max(...shares)).toBeLessThan(0.8);
    expect(Math.max(...shares)).toBeGreaterThan(0.15);
  });

  test('is relative to the probability, so that zeros are wrong at any length', () => {
    const rows = { outer: 1, classes: 1000, inner: 1 };
    const x = logits('narrow', [1, 1000], 1, 'float32');
    const expected = reference.softmax(x, rows);
    const bound = tolerance.softmaxTolerance(precision, x, expected, rows);
    expected.forEach((probability, i) => {
      expect(bound[i] / probability).toBeLessThan(1e-4);
    });
  });

  test('grows with the announced exp, never with a name', () => {
    const coarse = tolerance.precisionOf({ expUlp: { base: 3, slope: 2 }, subnormals: 'flush' }, 'float32');
    expect(coarse.exp(10)).toBe(10 + 2 * (3 + 20));
    expect(precision.exp(10)).toBe(11);
    expect([coarse.floor, precision.floor]).toEqual([2 ** -126, 2 ** -149]);
    expect(tolerance.precisionOf(announced, 'float64').unit).toBe(2 ** -53);
  });

  test('is one object for all backends that announce the same, so that they share bounds, and another for others', async () => {
    const right = (await exact.open()) as Backend;
    const announcing = (other: object) => ({ ...right, supports: { ...right.supports, ...other } });
    for (const of of ['kernel', 'operation'] as const) {
      for (const dtype of ['float32', 'float64', 'float16'] as const) {
        const usual = precisionIn(right, dtype, of);
        expect(precisionIn(announcing({ expUlp: { ...right.supports.expUlp } }), dtype, of)).toBe(usual);
        for (const expUlp of [
          { base: 0.75, slope: 0 },
          { base: 1, slope: 0.25 },
        ])
          expect(precisionIn(announcing({ expUlp }), dtype, of).exp(10)).not.toBe(usual.exp(10));
      }
    }
    expect(precisionIn(right, 'float64', 'kernel').unit).toBe(2 ** -53);
    expect(precisionIn(right, 'float16', 'kernel').unit).toBe(2 ** -24);
    expect(precisionIn(right, 'float16', 'operation').unit).toBe(2 ** -11);
    expect(precisionIn(announcing({ subnormals: 'flush' }), 'float32', 'kernel').floor).toBe(2 ** -126);
  });

  test('has no bound for a fully masked row, and no bound that is NaN', () => {
    const rows = { outer: 1, classes: 2, inner: 1 };
    const mask = [0, 0];
    const expected = reference.softmax([1, 2], rows, { mask });
    const bound = tolerance.softmaxTolerance(precision, [1, 2], expected, rows, { mask });
    expect(toleranceUsed(0.5, expected[0], bound[0])).toBe(Number.POSITIVE_INFINITY);
    expect(toleranceUsed(1, 2, Number.NaN)).toBe(Number.POSITIVE_INFINITY);
    expect(toleranceUsed(1, 2, Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
    expect(toleranceUsed(Number.NaN, Number.NaN, 0)).toBe(0);
    expect(toleranceUsed(1, Number.NaN, 1)).toBe(Number.POSITIVE_INFINITY);
  });
});

test('the bound of the Jacobian’s diagonal admits s (1 − s) up to a probability of ½, and not above', () => {
  const rows = { outer: 1, classes: 2, inner: 1 };
  const excess = 2 ** -16;
  const boundOf = (p: number) => {
    const s = [p, 1 - p + excess];
    const expected = reference.softmaxJacobian(s, rows);
    return tolerance.softmaxJacobianTolerance(precision, s, expected, rows)[0];
  };
  for (const p of [0.25, 0.5]) expect(boundOf(p) / (p * excess)).toBeCloseTo(1, 1);
  expect(boundOf(0.5 + 2 ** -20) / (0.5 * excess)).toBeLessThan(0.1);
});

test('the bound of vjp admits the forms that avoid cancellation, and no other cotangent', () => {
  const rows = { outer: 1, classes: 2, inner: 1 };
  const s = reference.softmax([37.42994775023705, 0], rows);
  const expected = reference.softmaxVjp(s, [1, 0], rows);
  const double = tolerance.precisionOf(announced, 'float64');
  const bound = tolerance.softmaxVjpTolerance(double, s, [1, 0], expected, rows);
  expect(toleranceUsed(5.551115123125776e-17, expected[0], bound[0])).toBeLessThan(1);
  expect(toleranceUsed(1e-14, expected[0], bound[0])).toBeGreaterThan(1);
  expect(toleranceUsed(0, expected[1], bound[1])).toBeGreaterThan(1);
});

test.each(['softmax.vjp', 'softmax.hvp', 'logSoftmax.vjp', 'logSoftmax.hvp'])(
  'where a mask removes an entry, the tolerance of %s has no room for its cotangent',
  async (name) => {
    const operation = operations.find((one) => one.name === name);
    if (!operation) throw new Error(`no operation ${name}`);
    const problem = problemOf({ shape: [6, 9], axis: 1, input: 'narrow', temperature: 0.37, mask: 'full' });
    const { expected, tolerance } = expectation((await exact.open()) as Backend, operation, problem);
    const removed = [...expected.keys()].filter((i) => !problem.parameters.mask?.[i]);
    expect(removed.length).toBeGreaterThan(9);
    for (const i of removed) {
      expect(expected[i]).toBe(0);
      expect(tolerance[i]).toBeLessThan(1e-40);
    }
  },
);

test('the tolerance of logSoftmax.hvp is that of the sum of the cotangents that a mask keeps', async () => {
  const operation = operations.find((one) => one.name === 'logSoftmax.hvp');
  if (!operation) throw new Error('no hvp of log-softmax');
  // Σ g over all classes is a twentieth of that over the classes that are kept: the result has more underflow than the former admits.
  const problem = problemOf({ shape: [66, 45], axis: 0, input: 'spread', temperature: 0.37, mask: 'row' });
  const flushing = { ...(await exact.open()), supports: { ...announced, subnormals: 'flush' } } as unknown as Backend;
  const { expected, tolerance } = expectation(flushing, operation, problem);
  expect(expected[2361]).toBeLessThan(tolerance[2361] ?? 0);
});

test.each(['huge', 'lowest'] as const)(
  'the Jacobian of log-softmax at logits that are %s has a finite bound',
  (input) => {
    for (const name of ['logSoftmax.linearize.toDense', 'logSoftmax.linearize.diagonal']) {
      const operation = operations.find((one) => one.name === name) ?? expect.unreachable();
      const problem = problemOf({ shape: [7, 5], axis: 1, input, temperature: 2.87 });
      const operands = operation.operands(problem).map(({ values }) => values);
      const expected = operation.expected(operands, problem);
      const bound = Array.from(operation.tolerance(precision, operands, expected, problem));
      expect(Math.max(...bound), name).toBeLessThan(1e-5);
      expect(used(expected.map(Math.fround), expected, bound), name).toBeLessThan(1);
    }
  },
);

test('the bound of the vjp of logSoftmax has room for the rounding of the others, however large the cotangent of the probability near 1', () => {
  const rows = { outer: 1, classes: 3, inner: 1 };
  const y = [0, -600, -600];
  for (const largest of [1, 1e10, 1e20, 1e30]) {
    const g = [largest, 3, 0.7];
    const expected = reference.logSoftmaxVjp(y, g, rows);
    const bound = tolerance.logSoftmaxVjpTolerance(precision, y, g, expected, rows);
    expect(expected[0]).toBeCloseTo(-3.7, 12);
    expect(bound[0]).toBeGreaterThan(2 ** -24 * 3.7);
    expect(bound[0]).toBeLessThan(2 ** -19 * 3.7);
  }
});

test('the bound of the jvp of logSoftmax has room for 0 where all tangents are equal', () => {
  const rows = { outer: 1, classes: 3, inner: 1 };
  for (const [dtype, y] of [
    ['float64', [-0.38203679348020025, -1.1471827952156193, -26.54493614899756]],
    ['float32', [-0.694037914276123, -0.6922572255134583, Number.NEGATIVE_INFINITY]],
  ] as const) {
    for (const temperature of [1, 0.5, 0.07]) {
      const t = [2, 2, 2];
      const expected = reference.logSoftmaxJvp(y, t, rows, { temperature });
      const of = tolerance.precisionOf(announced, dtype);
      const bound = tolerance.logSoftmaxJvpTolerance(of, y, t, expected, rows, { temperature });
      expect(expected.every((value) => value !== 0)).toBe(true);
      expect(used(new Float64Array(3), expected, bound)).toBeLessThanOrEqual(1);
    }
  }
});
