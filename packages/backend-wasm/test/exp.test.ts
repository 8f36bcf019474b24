import { expect, inject, test } from 'vitest';
import { wasm } from '../src/index.js';
import { ulp } from './ulp.js';

/** Every 64th bit pattern of float32, in `npm test` every 512th, shifted by an odd number so that mantissas vary. */
const stride = inject('everything') ? 64 : 512;
const first = 7;
const batch = 2 ** 20;

test(`exp is within 1.5 ULP for every ${stride}th float32 argument, and exact if the result is 0, 1 or infinite`, {
  timeout: 300_000,
}, async () => {
  const backend = await wasm.open({ relaxedSimd: false });
  const x = backend.alloc(batch, 'float32');
  const y = backend.alloc(batch, 'float32');
  const bits = new Uint32Array(batch);
  const host = new Float32Array(bits.buffer);
  const least = 2 ** -149;
  let worst = 0;
  for (let start = first; start < 2 ** 32; start += stride * batch) {
    for (let i = 0; i < batch; i++) bits[i] = start + i * stride;
    backend.write(x, host);
    backend.basis?.unary(y, 'exp', x, batch);
    const actual = backend.readSync?.(y) ?? [];
    for (let i = 0; i < batch; i++) {
      const expected = Math.exp(host[i]);
      const value = actual[i];
      if (Object.is(value, Math.fround(expected))) continue;
      const unit = expected < 2 ** -126 ? least : ulp(Math.min(expected, 3.4028234663852886e38), 'float32');
      const error = Math.abs(value - expected) / unit;
      if (!(error <= worst)) worst = error;
    }
  }
  expect(worst).toBeLessThanOrEqual(1.5);
  backend.free(x);
  backend.free(y);
});

test('float64 exp is within 1 ULP of Math.exp, whose own error is below 1 ULP', async () => {
  const backend = await wasm.open({ relaxedSimd: false });
  const count = 200_001;
  const host = Float64Array.from({ length: count }, (_, i) => -745.2 + (i * 1455.1) / (count - 1));
  const x = backend.alloc(count, 'float64');
  backend.write(x, host);
  backend.basis?.unary(x, 'exp', x, count);
  const actual = backend.readSync?.(x) ?? [];
  const worst = host.reduce((largest, value, i) => {
    const expected = Math.exp(value);
    return expected === actual[i]
      ? largest
      : Math.max(largest, Math.abs(actual[i] - expected) / ulp(expected, 'float64'));
  }, 0);
  expect(worst).toBeLessThanOrEqual(1);
});
