import { plain } from '@softgrad/core/conformance';
import { beforeAll, describe, expect, test } from 'vitest';
import { type CpuBackend, cpu } from '../src/index.js';

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
