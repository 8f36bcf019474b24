import { plain, plainCrossEntropy } from '@softgrad/core/conformance';
import { beforeAll, describe, expect, test } from 'vitest';
import { type CpuBackend, cpu } from '../src/index.js';
import { tileElements } from '../src/tiles.js';
import { randomFrom, ulp } from './accuracy.js';
import { dtypes, floats } from './layouts.js';

/** Rows of float64 in which a difference or a sum of cotangents overflows, among rows in which none does. */

let backend: CpuBackend;
beforeAll(async () => {
  backend = await cpu.open();
});

const large = 1.5e308;

function rowsOf(...rows: readonly (readonly number[])[]) {
  return { values: Float64Array.from(rows.flat()), rows: { outer: rows.length, classes: rows[0].length, inner: 1 } };
}

describe.each([2, 3, 5])('of %i classes', (classes) => {
  const ordinary = Array.from({ length: classes }, (_, c) => c - 1);
  const wide = Array.from({ length: classes }, (_, c) => (c % 2 === 0 ? large : -large));
  const { values: g, rows } = rowsOf(ordinary, wide, ordinary, wide);
  const alone = { ...rows, outer: 1 };
  const one = (k: number) => [k * classes, (k + 1) * classes] as const;

  test('the vjp of softmax is that of each row alone, in place of either operand too', () => {
    const s = g.map((_, k) => ((k % classes) + 1) / ((classes * (classes + 1)) / 2));
    const out = g.slice();
    backend.vjp(out, s, g, rows, plain);
    expect(out.every(Number.isFinite)).toBe(true);
    for (let row = 0; row < rows.outer; row++) {
      const single = new Float64Array(classes);
      backend.vjp(single, s.slice(...one(row)), g.slice(...one(row)), alone, plain);
      expect(out.slice(...one(row))).toEqual(single);
    }
    const inPlace = [s.slice(), g.slice()];
    backend.vjp(inPlace[0], inPlace[0], g, rows, plain);
    backend.vjp(inPlace[1], s, inPlace[1], rows, plain);
    expect(inPlace).toEqual([out, out]);
  });

  test.each(['logSoftmaxVjp', 'logSoftmaxJvp'] as const)('%s is that of each row alone', (kernel) => {
    // Half, since the result may be larger than a cotangent.
    const half = g.map((x) => x / 2);
    const same = g.map((x, k) => (Math.floor(k / classes) % 2 === 0 ? x : large / 2));
    for (const v of [half, same]) {
      const y = v.map(() => -Math.log(classes));
      const out = v.slice();
      backend.kernels[kernel](out, y, v, rows, plain);
      for (let row = 0; row < rows.outer; row++) {
        const single = new Float64Array(classes);
        backend.kernels[kernel](single, y.slice(...one(row)), v.slice(...one(row)), alone, plain);
        expect(out.slice(...one(row))).toEqual(single);
        // All exponentials are the same: g − mean(g), which no sum of large numbers may turn into an infinity.
        const mean = v.slice(...one(row)).reduce((sum, x) => sum + x / classes, 0);
        single.forEach((d, c) => {
          const x = v[row * classes + c];
          expect(Math.abs(d - (x - mean))).toBeLessThanOrEqual(1e-14 * Math.max(1, Math.abs(x)) * classes);
        });
      }
    }
  });
});

test.each([2, 3, 5, 17, 200])(
  'of %i classes, any cotangents up to the largest have the derivatives of smaller ones',
  (classes) => {
    const random = randomFrom(classes);
    const outer = classes < 100 ? 300 : 30;
    const rows = { outer, classes, inner: 1 };
    /** 0, around 1, the largest, or near where a constant still changes the largest when it is subtracted. */
    const cotangent = () => {
      const size = [0, random(), Number.MAX_VALUE, Number.MAX_VALUE / 8, 2 ** (955 + Math.floor(69 * random()))];
      return (random() < 0.5 ? -1 : 1) * size[Math.floor(random() * size.length)];
    };
    const [s, g] = [new Float64Array(outer * classes), new Float64Array(outer * classes)];
    for (let row = 0; row < outer; row++) {
      const top = Math.floor(random() * classes);
      // Even rows, and others that are nearly one-hot.
      const share = 2 ** (-32 * (row % 9));
      const shares = Array.from({ length: classes }, (_, c) => (c === top ? 1 : random() * share));
      const total = shares.reduce((sum, p) => sum + p);
      for (const [c, p] of shares.entries()) s[row * classes + c] = p / total;
      // Every third row has one sign, of which the sum overflows.
      for (let c = 0; c < classes; c++) g[row * classes + c] = row % 3 === 0 ? Math.abs(cotangent()) : cotangent();
    }
    const scale = 2 ** -100;
    const smaller = g.map((value) => value * scale);
    const y = s.map(Math.log);
    const sizes = s.map((p, k) => {
      const start = k - (k % classes);
      const row = s.subarray(start, start + classes);
      const isDominated = row.some((other) => other > 0.5);
      const distance = (c: number) =>
        isDominated ? Math.abs(smaller[k] - smaller[start + c]) : Math.abs(smaller[start + c]);
      return (
        p * (row.reduce((sum, other, c) => sum + other * distance(c), 0) + (isDominated ? 0 : Math.abs(smaller[k])))
      );
    });
    const largest = g.map((_, k) =>
      Math.max(...smaller.slice(k - (k % classes), k - (k % classes) + classes).map(Math.abs)),
    );
    for (const [name, bounds, kernel] of [
      ['softmax.vjp', sizes, (out, v) => backend.vjp(out, s, v, rows, plain)],
      ['logSoftmax.vjp', largest, (out, v) => backend.kernels.logSoftmaxVjp(out, y, v, rows, plain)],
      ['logSoftmax.jvp', largest, (out, v) => backend.kernels.logSoftmaxJvp(out, y, v, rows, plain)],
    ] as const satisfies readonly (readonly [
      string,
      Float64Array,
      (out: Float64Array, v: Float64Array) => unknown,
    ])[]) {
      const [actual, expected] = [g.slice(), g.slice()];
      kernel(actual, g);
      kernel(expected, smaller);
      for (let k = 0; k < g.length; k++) {
        // The result itself is not in the range.
        if (!Number.isFinite(expected[k] / scale)) continue;
        const error = Math.abs(actual[k] * scale - expected[k]);
        if (!(error <= 16 * ulp(bounds[k], 'float64')))
          expect.fail(
            `${name}: ${actual[k]} at ${k}, expected ${expected[k] / scale}, for ${g.slice(k - (k % classes), k - (k % classes) + classes)}`,
          );
      }
    }
  },
);

test.each([1, 1.3])(
  'constants that are too large only as a sum are not subtracted from the largest cotangents: T = %d',
  (temperature) => {
    // The constant is g₀ + ⅛ (g₁ − g₀) = 2^970, half an ULP of the largest number.
    const g = [2 ** 969, 2 ** 969 + 2 ** 972, -Number.MAX_VALUE];
    for (const classes of [4, 20]) {
      const rows = { outer: 1, classes, inner: 1 };
      const [s, v, out] = [0, 1, 2].map(() => new Float64Array(classes));
      s.set([7 / 8, 1 / 8]);
      v.set(g);
      backend.vjp(out, s, v, rows, { temperature });
      expect([...out].map((value) => (value * temperature) / 2 ** 966 + 0)).toEqual([-7, 7, ...s.subarray(2)]);
      // Divided by T, the difference is in the range.
      backend.kernels.logSoftmaxJvp(out, s.map(Math.log), v, rows, { temperature: 2 });
      expect(out[2] / 2 ** 1023).toBeCloseTo(-1, 12);
    }
  },
);

test.each(dtypes)(
  'an infinite cotangent or tangent, unless it is that of a probability above ½, has the derivative of log-softmax that the formula gives: %s',
  (dtype) => {
    for (const classes of [3, 5, 20, 300]) {
      for (const [largest, at, infinite] of [
        [0.2, 0, Number.POSITIVE_INFINITY],
        [0.2, 1, Number.NEGATIVE_INFINITY],
        [0.2, classes - 1, Number.POSITIVE_INFINITY],
        [0.9, 0, Number.POSITIVE_INFINITY],
        [0.9, 2, Number.NEGATIVE_INFINITY],
      ]) {
        const [y, v, out] = [0, 1, 2].map(() => floats(classes, dtype));
        y.fill(Math.log((1 - largest) / (classes - 1))).fill(Math.log(largest), 1, 2);
        v.fill(0.5).fill(infinite, at, at + 1);
        const expected = Array.from(v, (_, c) => (c === at ? Number.NaN : -infinite));
        for (const name of ['logSoftmaxVjp', 'logSoftmaxJvp'] as const) {
          backend.kernels[name](out, y, v, { outer: 1, classes, inner: 1 }, plain);
          expect([...out], `${name}, ${classes} classes, ${largest}, ${infinite} at ${at}`).toEqual(expected);
        }
      }
    }
  },
);

test('cross-entropy of float64 logits whose differences overflow has the losses that are in the range', () => {
  const x = Float64Array.of(1.7e308, 1.7e308, -1.7e308);
  const rows = { outer: 1, classes: 3, inner: 1 };
  const lossOf = (
    target: { kind: 'indices' | 'probabilities'; buffer: Float64Array | Int32Array },
    temperature: number,
    scale: number,
  ) => {
    const loss = new Float64Array(1);
    const settings = { ...plainCrossEntropy, temperature, scale };
    backend.kernels.crossEntropy({ loss, gradient: null }, x, rows, { ...settings, target });
    return loss[0];
  };
  for (const [index, temperature, scale, expected] of [
    [0, 1, 1, Math.LN2],
    [2, 1, 0.1, 3.4e307],
    // x / T − max is beyond the range by a factor of 2^61, in which its rounding error has no part.
    [2, 2 ** -60, 2 ** -80, 1.7e308 * 2 ** -19],
  ]) {
    const q = Float64Array.from(x, (_, k) => Number(k === index));
    for (const target of [
      { kind: 'indices', buffer: Int32Array.of(index) },
      { kind: 'probabilities', buffer: q },
    ] as const)
      expect(
        Math.abs(lossOf(target, temperature, scale) / expected - 1),
        `${target.kind}, target ${index}`,
      ).toBeLessThan(1e-15);
  }
});

test.each([1, 3])(
  'among rows of several tiles, those whose differences overflow have the losses that they have alone, inner %i',
  (inner) => {
    const [outer, classes] = [3 * tileElements, 3];
    const rows = { outer, classes, inner };
    const x = Float64Array.from(
      { length: outer * classes * inner },
      (_, k) => (k % 2 === 0 ? 1 : -1) * 1e308 * (1 + (k % 7) / 10),
    );
    const mask = { buffer: Uint8Array.from({ length: classes * inner }, (_, k) => Number(k !== 0)), outer: 1 };
    const target = {
      kind: 'indices',
      buffer: Int32Array.from({ length: outer * inner }, (_, k) => 1 + (k % 2)),
    } as const;
    const settings = { ...plainCrossEntropy, mask, scale: 2 ** -40, temperature: 2 ** -10 };
    const loss = new Float64Array(outer * inner);
    backend.kernels.crossEntropy({ loss, gradient: null }, x, rows, { ...settings, target });
    for (let row = 0; row < loss.length; row += 997) {
      const at = (c: number) => (Math.floor(row / inner) * classes + c) * inner + (row % inner);
      const kept = [0, 1, 2].map((c) => (mask.buffer[at(c) % mask.buffer.length] === 1 ? x[at(c)] : -Infinity));
      const largest = Math.max(...kept);
      // Logarithms of sums are far too small to count.
      const expected = (largest * 2 ** -40 - x[at(target.buffer[row])] * 2 ** -40) * 2 ** 10;
      expect(Math.abs(loss[row] - expected), `row ${row}`).toBeLessThanOrEqual(Math.abs(expected) * 2 ** -51);
    }
  },
);
