import { exact } from '@softgrad/core/conformance';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { delegate } from '../conformance/delegate.js';
import type { ExactBuffer } from '../conformance/exact.js';
import * as reference from '../reference/functions.js';
import { type Backend, logSoftmax, logSumExp, softmax, tensor } from '../src/index.js';

let composed: Backend<ExactBuffer>;
beforeAll(async () => {
  composed = delegate(await exact.open(), { name: 'composed', kernels: {} });
});
afterAll(() => composed.close());

const settings = {
  float32: { unit: 2 ** -24, temperatures: [1e-36, 1e-31, 1e-20, 1e-9, 1, 1e9, 1e20, 1e31] },
  float64: { unit: 2 ** -53, temperatures: [1e-145, 1e-100, 1e-20, 1, 1e20, 1e100, 1e145] },
} as const;

describe.each(['float32', 'float64'] as const)('composed, %s', (dtype) => {
  const { unit, temperatures } = settings[dtype];

  test.each(temperatures)('second derivatives that are in the range are right at T = %d', async (temperature) => {
    for (const classes of [2, 3, 10, 17, 128]) {
      const rows = { outer: 1, classes, inner: 1 };
      for (const gap of [0, 1, 8]) {
        const row = (value: (c: number) => number) =>
          tensor([Array.from({ length: classes }, (_, c) => value(c))], { backend: composed, dtype });
        const x = row((c) => (c === 1 ? gap : Math.cos(c)) * temperature);
        // As large as T, so that the result is about 1.
        const g = row((c) => Math.sin(3 * c + 1) * temperature);
        const t = row((c) => Math.cos(c * c) * temperature);
        const of = tensor([temperature], { backend: composed, dtype });
        const s = softmax(x, { temperature });
        const y = logSoftmax(x, { temperature });
        const [xs, gs, ts, ss, ys] = await Promise.all([x, g, t, s, y].map((operand) => operand.data()));
        const scale = { temperature };
        for (const [found, expected] of [
          [softmax.hvp(s, g, t), reference.softmaxHvp(ss, gs, ts, rows, scale)],
          [logSoftmax.hvp(y, g, t), reference.logSoftmaxHvp(ys, gs, ts, rows, scale)],
          [logSumExp.hvp(x, of, t, scale), reference.logSumExpHvp(xs, await of.data(), ts, rows, scale)],
        ] as const) {
          const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          for (const [k, value] of (await found.data()).entries()) {
            const error = Math.abs(value - expected[k]);
            expect(error, `${classes} classes, gap ${gap}, entry ${k}`).toBeLessThanOrEqual(200 * unit * largest);
          }
        }
      }
    }
  });
});
