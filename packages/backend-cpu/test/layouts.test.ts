import type { Rows } from '@softgrad/core';
import { plain, reference } from '@softgrad/core/conformance';
import { beforeAll, describe, expect, test } from 'vitest';
import { type CpuBackend, cpu } from '../src/index.js';
import type { FloatArray } from '../src/storage.js';
import { computed, dtypes, everyLayout, expectWithin, floats } from './layouts.js';

let backend: CpuBackend;
let kernels: CpuBackend['kernels'];
beforeAll(async () => {
  backend = await cpu.open();
  kernels = backend.kernels;
});

// Results stand between guard values and are computed in place too, see `computed`.
describe.each(dtypes)('in %s, in every layout and with every mask', (dtype) => {
  // Smaller probabilities have fewer digits.
  const least = dtype === 'float32' ? 2 ** -126 : 2 ** -1022;
  const floor = (values: Float64Array) => values.map((value) => Math.max(Math.abs(value), least));

  test('softmax, log-softmax and log-sum-exp are those of the reference', () => {
    const { logSoftmax, logSumExp } = kernels;
    for (const { x, rows, mask, temperature, label } of everyLayout(dtype)) {
      const parameters = { temperature, mask };
      const options = { temperature, mask: mask?.whole ?? null };
      const s = computed(x.length, x, dtype, (out, logits) => backend.softmax(out, logits, rows, parameters));
      const probabilities = reference.softmax(x, rows, options);
      expectWithin(1, s, probabilities, dtype, `softmax ${label}`, floor(probabilities));
      const y = computed(x.length, x, dtype, (out, logits) => logSoftmax(out, logits, rows, parameters));
      expectWithin(2, y, reference.logSoftmax(x, rows, options), dtype, `log-softmax ${label}`);
      const sums = computed(rows.outer * rows.inner, x, dtype, (out, logits) =>
        logSumExp(out, logits, rows, parameters),
      );
      // The largest logit and the logarithm may cancel.
      const expected = reference.logSumExp(x, rows, options);
      const sizes = expected.map((sum) => Math.abs(sum) + 1);
      expectWithin(2, sums, expected, dtype, `log-sum-exp ${label}`, sizes);
      if (temperature !== 1 || mask) continue;
      expect(computed(x.length, x, dtype, (out, logits) => backend.softmax(out, logits, rows, plain))).toEqual(s);
    }
  });

  test('the derivatives of softmax are those of the reference', () => {
    for (const { x, rows, mask, temperature, label } of everyLayout(dtype)) {
      const s = floats(x.length, dtype);
      backend.softmax(s, x, rows, { temperature, mask });
      const g = s.map((_, k) => Math.cos(7 * k));
      const vjp = computed(x.length, g, dtype, (out, v) => backend.vjp(out, s, v, rows, { temperature }));
      const sizes = Float64Array.from(s, (p) => Math.max(least, p) / Math.abs(temperature));
      expectWithin(4, vjp, reference.softmaxVjp(s, g, rows, { temperature }), dtype, `vjp ${label}`, sizes);
      const jacobian = computed(x.length * rows.classes, s, dtype, (out, p) =>
        backend.jacobian(out, p, rows, { temperature }),
      );
      const expected = jacobianOf(s, rows, temperature);
      expectWithin(4, jacobian, expected, dtype, `Jacobian ${label}`, floor(expected));
      if (temperature !== 1) continue;
      const again = computed(x.length, g, dtype, (out, v) => backend.vjp(out, s, v, rows, plain));
      expect(again).toEqual(vjp);
      const square = computed(x.length * rows.classes, s, dtype, (out, p) => backend.jacobian(out, p, rows, plain));
      expect(square).toEqual(jacobian);
    }
  });

  test('the derivatives of log-softmax are those of the reference', () => {
    const { logSoftmax, logSoftmaxVjp, logSoftmaxJvp, logSoftmaxJacobian } = kernels;
    for (const { x, rows, mask, temperature, label } of everyLayout(dtype)) {
      const y = floats(x.length, dtype);
      logSoftmax(y, x, rows, { temperature, mask });
      const g = y.map((_, k) => Math.cos(7 * k));
      const sizes = Float64Array.from(y, (log) => (1 + rows.classes * Math.exp(log)) / Math.abs(temperature));
      const vjp = computed(x.length, g, dtype, (out, v) => logSoftmaxVjp(out, y, v, rows, { temperature }));
      const options = { temperature };
      expectWithin(4, vjp, reference.logSoftmaxVjp(y, g, rows, options), dtype, `vjp ${label}`, sizes);
      const jvp = computed(x.length, g, dtype, (out, v) => logSoftmaxJvp(out, y, v, rows, { temperature }));
      expectWithin(4, jvp, reference.logSoftmaxJvp(y, g, rows, options), dtype, `jvp ${label}`, sizes.fill(2));
      const jacobian = computed(x.length * rows.classes, y, dtype, (out, logs) =>
        logSoftmaxJacobian(out, logs, rows, { temperature }),
      );
      const expected = reference.logSoftmaxJacobian(y, rows, options);
      expectWithin(4, jacobian, expected, dtype, `Jacobian ${label}`, floor(expected));
    }
  });
});

/** `−s_r s_c / T`, and on the diagonal `s_r Σ_{c≠r} s_c / T`: 1 − s_r would be known to the rounding of s only. */
function jacobianOf(s: FloatArray, rows: Rows, temperature: number): Float64Array {
  const out = reference.softmaxJacobian(s, rows, { temperature });
  const { classes } = rows;
  reference.rowIndices(rows).forEach((at, row) => {
    at.forEach((own, r) => {
      let others = 0;
      for (const other of at) if (other !== own) others += s[other];
      out[(row * classes + r) * classes + r] = (s[own] * others) / temperature;
    });
  });
  return out;
}
