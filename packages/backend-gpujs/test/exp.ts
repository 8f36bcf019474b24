import { expect, test } from 'vitest';
import type { GpujsBackend } from '../src/index.js';

/**
 * exp as a GPU mode computes it, from where it is 0 to where it is Infinity.
 *
 * @param backendOf gives the backend, which stays open
 */
export function testExp(title: string, backendOf: () => Promise<GpujsBackend>, points: number): void {
  test(`${title}: exp is within 1 ULP, and as IEEE 754 specifies beyond`, async () => {
    const backend = await backendOf();
    const exp = async (values: Float32Array) => {
      const [x, y] = [backend.alloc(values.length, 'float32'), backend.alloc(values.length, 'float32')];
      backend.write(x, values);
      backend.basis?.unary(y, 'exp', x, x.length);
      return (await backend.read(y)) as Float32Array;
    };
    const x = Float32Array.from({ length: points }, (_, i) => -104 + (192.72 * (i + 0.5)) / points);
    const flushes = backend.supports.subnormals === 'flush';
    const errors = (await exp(x)).map((y, i) => {
      const expected = Math.exp(x[i] ?? Number.NaN);
      if (flushes && expected < 2 ** -125.9) return y < 2 ** -125.9 && y >= 0 ? 0 : Number.NaN;
      return Math.abs(y - expected) / 2 ** Math.max(-149, Math.floor(Math.log2(expected)) - 23);
    });
    expect(errors.reduce((a, b) => Math.max(a, b), 0)).toBeLessThan(1);
    const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
    const special = Float32Array.of(nan, infinity, -infinity, 0, -0, 89, 3e38, -104.1, -1e9, -3e38);
    expect([...(await exp(special))]).toEqual([nan, infinity, 0, 1, 1, infinity, infinity, 0, 0, 0]);
  });
}
