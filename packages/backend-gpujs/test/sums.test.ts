import { reference } from '@softgrad/core/conformance';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GpujsBackend, gpujs } from '../src/index.js';

/** Sums of up to 256 terms by one element: added one by one they cost softmax and its vjp 8 ULP. */

let backend: GpujsBackend;
beforeAll(async () => {
  backend = await gpujs.open({ mode: 'webasm' });
});
afterAll(() => backend.close());

const ulp = (x: number) => 2 ** (Math.floor(Math.log2(x)) - 23);

/** The largest error in ULP of the sizes; Infinity if a result is NaN. */
function worst(actual: ArrayLike<number>, expected: ArrayLike<number>, sizes: ArrayLike<number>): number {
  let most = 0;
  for (let k = 0; k < expected.length; k++) {
    const error = Math.abs((actual[k] ?? Number.NaN) - (expected[k] ?? Number.NaN)) / ulp(sizes[k] ?? Number.NaN);
    most = Math.max(most, Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
  }
  return most;
}

async function computed(
  values: readonly Float32Array[],
  work: (...buffers: ReturnType<GpujsBackend['alloc']>[]) => void,
) {
  const length = values[0]?.length ?? 0;
  const buffers = [new Float32Array(length), ...values].map((value) => {
    const buffer = backend.alloc(length, 'float32');
    backend.write(buffer, value);
    return buffer;
  });
  work(...buffers);
  const [out] = buffers;
  if (out === undefined) throw new Error('no buffers');
  const result = await backend.read(out);
  for (const buffer of buffers) backend.free(buffer);
  return result;
}

test.each([128, 256, 1000])('softmax and its vjp of %d classes are within five ULP', async (classes) => {
  const rows = { outer: 40, classes, inner: 1 };
  const x = Float32Array.from({ length: rows.outer * classes }, (_, k) => Math.sin(k * k));
  const g = x.map((_, k) => Math.cos(3 * k * k));
  const plain = { temperature: 1, mask: null };
  const s = Float32Array.from(reference.softmax(x, rows));
  const probabilities = await computed([x], (out, logits) => {
    if (out && logits) backend.softmax(out, logits, rows, plain);
  });
  const exact = reference.softmax(x, rows);
  expect(worst(probabilities, exact, exact)).toBeLessThanOrEqual(5);
  const products = await computed([s, g], (out, p, cotangent) => {
    if (out && p && cotangent) backend.vjp(out, p, cotangent, rows, plain);
  });
  const sizes = new Float64Array(s.length);
  for (let row = 0; row < rows.outer; row++) {
    const at = [...Array(classes).keys()].map((c) => row * classes + c);
    const mean = at.reduce((sum, k) => sum + (s[k] ?? 0) * Math.abs(g[k] ?? 0), 0);
    for (const k of at) sizes[k] = (s[k] ?? 0) * (Math.abs(g[k] ?? 0) + mean);
  }
  expect(worst(products, reference.softmaxVjp(s, g, rows), sizes)).toBeLessThanOrEqual(5);
});
