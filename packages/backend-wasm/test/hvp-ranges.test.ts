import type { Backend, FloatDType } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { type WasmBuffer, wasm } from '../src/index.js';
import { withRelaxedSimd } from './relaxed.js';
import { compute, logits, softmaxRow } from './ulp.js';

type Host = Float32Array | Float64Array;

const builds = {
  simd: await wasm.open({ relaxedSimd: false }),
  relaxed: await withRelaxedSimd(() => wasm.open({ relaxedSimd: true })),
};

/** 0 for −0. */
const unsigned = (value: number) => value + 0;

const classes = 5;
const rows = { outer: 3, classes, inner: 1 };
const columns = { outer: 1, classes, inner: 5 };

/** The second derivatives over rows: p are the probabilities of their operand, and the cotangent of log-sum-exp has a number for each row. */
const derivatives = ['softmaxHvp', 'logSoftmaxHvp', 'logSumExpHvp'] as const;

interface Given {
  readonly backend: Backend<WasmBuffer>;
  readonly of: (typeof derivatives)[number];
  readonly layout: typeof rows;
  readonly p: Host;
  readonly g: Host;
  readonly t: Host;
  readonly temperature?: number;
}

function hvp({ backend, of, layout, p, g, t, temperature = 1 }: Given): number[] {
  // For any temperature the same probabilities.
  const operand =
    of === 'softmaxHvp' ? p : p.map((value) => Math.log(value) * (of === 'logSumExpHvp' ? temperature : 1));
  const parameters = { temperature, mask: null };
  return Array.from(
    compute(backend, [operand, g, t], (out, a, b, c) => {
      expect(backend.kernels?.[of]?.(out, a, b, c, layout, parameters)).not.toBe(false);
    }),
  );
}

function probabilities(dtype: FloatDType, { outer, inner }: typeof rows): Host {
  const x = logits(dtype, outer * classes * inner, 2, 0, 5);
  const s = x.slice() as Host;
  for (let row = 0; row < outer * inner; row++) {
    const at = (c: number) => (Math.floor(row / inner) * classes + c) * inner + (row % inner);
    // One row has a probability above one half.
    if (row === 1) x[at(2)] = 6;
    softmaxRow(x, at, classes).forEach((value, c) => {
      s[at(c)] = value;
    });
  }
  return s;
}

/** Exponents by which the directions are multiplied, and the temperature: intermediate results would leave the range of the dtype, and results do not. */
const powers = {
  float32: [
    [100, -100, 0],
    [-100, 127, 0],
    [127, -100, 0],
    [99, 99, 99],
    [-98, -98, -98],
    [127, 0, 40],
  ],
  float64: [
    [1000, -1000, 0],
    [-900, 1023, 0],
    [1023, -900, 0],
    [600, 300, 0],
    [550, 550, 99],
    [-600, -600, -98],
    [1023, 1, 98],
  ],
} as const;

describe.each(['simd', 'relaxed'] as const)('%s', (build) => {
  const backend = builds[build];
  describe.each(['float32', 'float64'] as const)('%s', (dtype) => {
    const scaledBy = (v: Host, power: number) => v.map((value) => value * 2 ** power) as Host;

    test.each(derivatives)(
      '%s of directions times a power of 2 is that multiple of it, to the ends of the range',
      (of) => {
        for (const layout of [rows, columns]) {
          const p = probabilities(dtype, layout);
          const [g, t] = [3, 4].map((seed) => logits(dtype, p.length, 0.8, 1.1, seed).map((v, i) => (i % 2 ? v : -v)));
          const base = hvp({ backend, of, layout, p, g, t });
          expect(base.every((value) => Number.isFinite(value) && value !== 0)).toBe(true);
          for (const [a, b, k] of powers[dtype]) {
            const given = { backend, of, layout, p, g: scaledBy(g, a), t: scaledBy(t, b), temperature: 2 ** k };
            const expected = base.map((value) => value * 2 ** a * 2 ** (-2 * k) * 2 ** b);
            // exp of a logit that is rounded again may have another last bit.
            const unit = of === 'logSumExpHvp' && k !== 0 ? 1e-6 : 0;
            const actual = hvp(given);
            const wrong = actual.filter((value, i) => !(Math.abs(value - expected[i]) <= unit * Math.abs(expected[i])));
            expect({ a, b, k, wrong }).toEqual({ a, b, k, wrong: [] });
          }
        }
      },
    );

    test('an entry of probability 0 has no influence, however large its directions are', () => {
      const huge = dtype === 'float32' ? 3e38 : 1.7e308;
      const host = (values: readonly number[]) =>
        dtype === 'float32' ? Float32Array.from(values) : Float64Array.from(values);
      const p = host([0.25, 0, 0.5, 0.125, 0.125]);
      const layout = { outer: 1, classes, inner: 1 };
      for (const power of dtype === 'float32' ? [0, -60] : [0, -600]) {
        const direction = (own: number) =>
          scaledBy(host([1, 0, 2, -3, 0.5]), power).map((v, c) => (c === 1 ? own : v)) as Host;
        const result = (own: number) =>
          hvp({
            backend,
            of: 'softmaxHvp',
            layout,
            p,
            g: direction(own),
            t: direction(own),
            temperature: 2 ** (power / 8),
          });
        expect(result(huge).map(unsigned)).toEqual(result(0).map(unsigned));
        expect(result(0)[0]).not.toBe(0);
      }
    });

    test('logSoftmaxHvp has the infinities of an infinite cotangent, with any tangent', () => {
      const p = probabilities(dtype, rows);
      const t = logits(dtype, p.length, 1, 0, 6);
      const infinite = p.map((_, i) => (i % classes === 0 ? Number.POSITIVE_INFINITY : 0)) as Host;
      const given = { backend, of: 'logSoftmaxHvp', layout: rows, p } as const;
      const signs = hvp({ ...given, g: p, t }).map(Math.sign);
      for (const power of dtype === 'float32' ? [0, 127, -100] : [0, 1023, -900]) {
        expect(hvp({ ...given, g: infinite, t: scaledBy(t, power) })).toEqual(signs.map((sign) => sign / 0));
      }
    });

    test('sigmoidHvp is finite where a product of its directions alone is not', () => {
      const [power, small] = dtype === 'float32' ? [100, -120] : [800, -1000];
      const host = (values: readonly number[]) =>
        dtype === 'float32' ? Float32Array.from(values) : Float64Array.from(values);
      const y = host([0, 1, 0.5, 2 ** small, 2 ** small]);
      const [g, t] = [host([3, 3, 3, 3, 1]), host([5, 5, 5, 5, 1])];
      const result = compute(backend, [y, scaledBy(g, power), scaledBy(t, power)], (out, a, b, c) =>
        backend.kernels?.sigmoidHvp?.(out, a, b, c, 5),
      );
      const expected = 2 ** (power + small) * 2 ** power;
      expect(Array.from(result, unsigned)).toEqual([0, 0, 0, 15 * expected, expected]);
      const uneven = compute(backend, [y, scaledBy(g, 2 * power - 1000), scaledBy(t, 1000)], (out, a, b, c) =>
        backend.kernels?.sigmoidHvp?.(out, a, b, c, 5),
      );
      if (dtype === 'float64') expect(Array.from(uneven, unsigned)).toEqual(Array.from(result, unsigned));
    });
  });
});
