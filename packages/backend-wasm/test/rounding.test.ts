import { plain, reference } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { compute, logits, random, ulp } from './ulp.js';

/** float64 logarithms and the loss of cross-entropy are within 2 ULP; the error of log-sum-exp is relative to the larger of the result and the maximum. */

const backend = await wasm.open({ relaxedSimd: false });
const { logSoftmax, logSumExp } = backend.kernels ?? {};
if (!logSoftmax || !logSumExp) throw new Error('the backend has no kernels for logarithms');

/** Rows whose largest logit is 0, while the exponentials of the others add up to 2^−gap, of which a float64 sum with 1 keeps few digits. */
function nearlyOneHot(rows: number, classes: number, gap: number): Float64Array {
  const next = random(gap);
  return Float64Array.from({ length: rows * classes }, (_, k) =>
    k % classes === 0 ? 0 : -Math.LN2 * gap - Math.log(classes - 1) - next() / 2,
  );
}

const uniform = [2, 3, 10, 17, 128, 300].flatMap((classes) =>
  [1, 20, 80].flatMap((spread) =>
    [1, 2.87].map((temperature) => ({
      label: `${classes} classes, ±${spread} T, T = ${temperature}`,
      classes,
      temperature,
      x: logits('float64', Math.ceil(4000 / classes) * classes, spread * temperature, 0, classes),
    })),
  ),
);
const oneHot = [17, 128, 300].flatMap((classes) =>
  [1, 20, 31, 33, 40, 46, 47, 49, 60].map((gap) => ({
    label: `${classes} classes, 1 − s = 2^−${gap}`,
    classes,
    temperature: 1,
    x: nearlyOneHot(40, classes, gap),
  })),
);

describe.each([...uniform, ...oneHot])('$label', ({ classes, temperature, x }) => {
  const rows = { outer: x.length / classes, classes, inner: 1 };
  const parameters = { ...plain, temperature };

  test('log-softmax is within two ULP', () => {
    const actual = compute(backend, [x], (out, input) => logSoftmax(out, input, rows, parameters));
    const expected = reference.logSoftmax(x, rows, { temperature });
    const worst = expected.reduce(
      (most, value, k) => Math.max(most, Math.abs(actual[k] - value) / ulp(value, 'float64')),
      0,
    );
    expect(worst).toBeLessThanOrEqual(2);
  });

  test('log-sum-exp is within two ULP', () => {
    const actual = compute(backend, [x], (out, input) => logSumExp(out, input, rows, parameters));
    const expected = reference.logSumExp(x, rows, { temperature });
    const worst = expected.reduce((most, value, row) => {
      const largest = Math.max(...x.subarray(row * classes, (row + 1) * classes)) / temperature;
      return Math.max(
        most,
        Math.abs(actual[row] - value) / ulp(Math.max(Math.abs(value), Math.abs(largest)), 'float64'),
      );
    }, 0);
    expect(worst).toBeLessThanOrEqual(2);
  });
});
