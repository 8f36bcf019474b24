import { exact } from '@softgrad/core/conformance';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import type { ExactBuffer } from '../conformance/exact.js';
import { summation } from '../conformance/tolerance.js';
import { type Backend, logSoftmax, softmax, tensor } from '../src/index.js';

let composed: Backend<ExactBuffer>;
beforeAll(async () => {
  composed = delegate(await exact.open(), { name: 'composed', kernels: {} });
});
afterAll(() => composed.close());

const settings = {
  float32: { unit: 2 ** -24, offsets: [0, 1e3, -1e5], distances: [0, 1, 4, 20, 60] },
  float64: { unit: 2 ** -53, offsets: [0, 1e4, -1e12], distances: [0, 1, 4, 20, 60] },
} as const;

/** Logits at temperature 1 between a flat row (distance 0) and one whose other probabilities add up to about 2^−distance. */
function logits(classes: number, distance: number): number[] {
  return Array.from({ length: classes }, (_, c) => (c === 1 ? 0 : -Math.LN2 * distance - (c % 5) / 10));
}

describe.each(['float32', 'float64'] as const)('composed, %s', (dtype) => {
  const { unit, offsets, distances } = settings[dtype];

  /** Logits of a row, and directions for it whose entries have a constant in common. */
  function* beside(classes: number, temperatures: readonly number[]) {
    const options = { backend: composed, dtype };
    for (const temperature of temperatures) {
      for (const distance of distances) {
        const x = tensor([logits(classes, distance).map((logit) => logit * temperature)], options);
        for (const offset of offsets) {
          const direction = tensor([Array.from({ length: classes }, (_, c) => offset + Math.cos(c * c))], options);
          yield { x, direction, temperature, label: `${offset} at T = ${temperature}, distance ${distance}` };
        }
      }
    }
  }

  test.each([2, 3, 4, 10, 17, 128, 1000])(
    'the jvp of log-softmax of %i classes keeps the digits of tangents beside a constant that all have in common',
    async (classes) => {
      // At the last temperature, tangents are divided before the product.
      for (const { x, direction, temperature, label } of beside(classes, [1, 0.3, 7e-25])) {
        const y = logSoftmax(x, { temperature });
        const p = Array.from(await y.data(), Math.exp);
        const found = await logSoftmax.jvp(y, direction, { temperature }).data();
        const expected = differences(p, await direction.data(), temperature);
        // An exp of up to −60 errs by its exponent; two sums and a few steps.
        const most = (70 + 2 * summation(classes)) * unit;
        const wrong = expected.flatMap(({ value, size }, c) =>
          Math.abs(found[c] - value) <= most * size ? [] : [{ c, found: found[c], value }],
        );
        expect(wrong, label).toEqual([]);
      }
    },
  );

  test.each([2, 3, 4, 10, 17, 128])(
    'the vjp of softmax of %i classes keeps the digits of cotangents beside such a constant at small temperatures',
    async (classes) => {
      for (const { x, direction, temperature, label } of beside(classes, [1, 3e-11, 7e-25])) {
        const s = softmax(x, { temperature });
        const p = await s.data();
        const found = await softmax.vjp(s, direction).data();
        const expected = differences(p, await direction.data(), temperature);
        const most = (20 + 2 * summation(classes)) * unit;
        for (const [c, { value, size }] of expected.entries()) {
          expect(Math.abs(found[c] - p[c] * value), `${label}, entry ${c}`).toBeLessThanOrEqual(most * p[c] * size);
        }
      }
    },
  );
});

/** `Σ_j p_j (t_i − t_j) / T` and the size of its terms: differences of numbers of one dtype have no digits that float64 drops here. */
function differences(p: ArrayLike<number>, t: ArrayLike<number>, temperature: number) {
  return Array.from(t, (own) => {
    let value = 0;
    let size = 0;
    for (let j = 0; j < p.length; j++) {
      const term = ((p[j] ?? Number.NaN) * (own - (t[j] ?? Number.NaN))) / temperature;
      value += term;
      size += Math.abs(term);
    }
    return { value, size };
  });
}
