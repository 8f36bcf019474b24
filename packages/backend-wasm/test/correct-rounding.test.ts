import { plain, reference, referenceCrossEntropy } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { crossEntropyOf } from './cross-entropy.js';
import { withRelaxedSimd } from './relaxed.js';
import { compute, random, ulp } from './ulp.js';

// Bounds of an ULP or two do not notice that the error of one step is no longer taken into account. The share of results that are the nearest number does.

const backend = await wasm.open({ relaxedSimd: false });

/** Rows of random logits with all digits, in which the target of every other row is the largest. */
function problems(temperature: number) {
  const next = random(5);
  const sizes = [2, 3, 5, 11, 24, 80].flatMap((classes) =>
    [1.1, 4.3, 21.7].flatMap((spread) => (classes < 20 ? [1, 3] : [1]).map((inner) => ({ classes, spread, inner }))),
  );
  return sizes.map(({ classes, spread, inner }) => {
    const outer = Math.max(4, Math.ceil(150 / classes / inner));
    const x = Float64Array.from({ length: outer * classes * inner }, () => (next() * 2 - 1) * spread * temperature);
    const indices = Int32Array.from({ length: outer * inner }, () => Math.floor(next() * classes));
    const places = Array.from(indices, (c, row) => (Math.floor(row / inner) * classes + c) * inner + (row % inner));
    const large = places.filter((_, row) => row % 2 === 1);
    for (const at of large) x[at] = spread * temperature * (1 + next() / 3);
    const others = Array.from(x.keys()).filter((at) => !places.includes(at));
    return { x, rows: { outer, classes, inner }, indices, large, others };
  });
}

/** The share of results that are not the nearest number, which the expected values are, and the largest error in ULP. */
function quality(pairs: readonly { readonly actual: number; readonly expected: number }[]) {
  const errors = pairs.map(({ actual, expected }) => Math.abs(actual - expected) / ulp(expected, 'float64'));
  const most = Math.max(...errors);
  return { share: errors.filter((error) => error !== 0).length / errors.length, most };
}

const pairsOf = (actual: ArrayLike<number>, expected: ArrayLike<number>, places: readonly number[]) =>
  places.map((at) => ({ actual: actual[at] ?? Number.NaN, expected: expected[at] ?? Number.NaN }));

describe.each([
  { temperature: 1, gradient: 0.4, target: 0.5 },
  { temperature: 2.87, gradient: 0.52, target: 0.6 },
])('of float64 results at T = $temperature, few are not the nearest number', ({ temperature, ...limits }) => {
  const options = { temperature };
  const parameters = { ...plain, temperature };
  const cases = problems(temperature);
  const all = (values: ArrayLike<number>) => Array.from(values, (_, at) => at);

  test('softmax and log-softmax', () => {
    const s = cases.flatMap(({ x, rows }) => {
      const actual = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, parameters));
      return pairsOf(actual, reference.softmax(x, rows, options), all(x));
    });
    expect(quality(s).share).toBeLessThan(0.3);
    expect(quality(s).most).toBeLessThanOrEqual(2);
    const y = cases.flatMap(({ x, rows }) => {
      const actual = compute(backend, [x], (out, input) => backend.kernels?.logSoftmax?.(out, input, rows, parameters));
      return pairsOf(actual, reference.logSoftmax(x, rows, options), all(x));
    });
    expect(quality(y).share).toBeLessThan(0.115);
    expect(quality(y).most).toBeLessThanOrEqual(2);
  });

  test('losses and gradients of cross-entropy', () => {
    const found = cases.map(({ x, rows, indices, large, others }) => {
      const actual = crossEntropyOf(backend, x, rows, indices, { temperature });
      const target = { kind: 'indices', values: indices } as const;
      const expected = referenceCrossEntropy(x, target, rows, { temperature, reduction: 'none' });
      return {
        loss: pairsOf(actual.loss, expected.loss, all(indices)),
        target: pairsOf(actual.gradient, expected.gradient, large),
        others: pairsOf(actual.gradient, expected.gradient, others),
      };
    });
    const loss = quality(found.flatMap((results) => results.loss));
    expect(loss.share).toBeLessThan(0.275);
    expect(loss.most).toBeLessThanOrEqual(2);
    expect(quality(found.flatMap((results) => results.target)).share).toBeLessThan(limits.target);
    expect(quality(found.flatMap((results) => results.others)).share).toBeLessThan(limits.gradient);
  });
});

test('⟨s, g⟩ of a float64 row is rounded once, whichever lanes its terms are in', () => {
  const next = random(11);
  const classes = 16;
  const outer = 400;
  const share = 1 / classes;
  const g = new Float64Array(outer * classes);
  const significand = () => (next() < 0.5 ? -1 : 1) * (1 + next() + next() * 2 ** -26);
  /** A number as a multiple of 2^−260. */
  const exact = (value: number) => BigInt(value * 2 ** 260);
  const expected = Array.from({ length: outer }, (_, row) => {
    const first = significand() * 2 ** Math.floor(next() * 12);
    const few = (next() < 0.5 ? -1 : 1) * Math.floor(1 + next() * 63) * ulp(first, 'float64');
    // The second term is independent of the first or almost cancels it; the third is about the error of their sum.
    const second = row % 2 === 1 ? significand() * 2 ** Math.floor(next() * 12) : few - first;
    const third =
      significand() * ulp(first + second, 'float64') * (row % 4 === 0 ? 2 ** -10 : 2 ** Math.floor(next() * 4 - 3));
    g.set([first, second, 0, 0, third], row * classes);
    return -Number(exact(first) + exact(second) + exact(third)) * 2 ** -260 * share * share;
  });
  const s = new Float64Array(outer * classes).fill(share);
  const rows = { outer, classes, inner: 1 };
  const dx = compute(backend, [s, g], (out, a, b) => backend.vjp(out, a, b, rows, plain));
  // Where g is 0, the result is −s ⟨s, g⟩, and s is a power of two.
  const wrong = expected.flatMap((value, row) => (dx[row * classes + 2] === value ? [] : [row]));
  expect(wrong).toEqual([]);
});

test.each([false, true])('float32 exponentials are not biased, relaxed SIMD: %s', async (relaxedSimd) => {
  const on = await withRelaxedSimd(() => wasm.open({ relaxedSimd }));
  const count = 40_000;
  const next = random(1);
  // The ends of the interval of the polynomial, where a coefficient has the largest effect.
  for (const [from, to] of [
    [-0.3465, -0.3],
    [-0.3, 0.3],
    [0.3, 0.3465],
  ] as const) {
    const x = Float32Array.from({ length: count }, () => from + (to - from) * next());
    const y = compute(on, [x], (out, input) => on.basis?.unary(out, 'exp', input, count));
    const bias = x.reduce((sum, value, i) => sum + (y[i] - Math.exp(value)) / ulp(Math.exp(value), 'float32'), 0);
    expect({ from, isSmall: Math.abs(bias / count) < 0.04 }).toEqual({ from, isSmall: true });
  }
});
