import type { Rows } from '@softgrad/core';
import { plain } from '@softgrad/core/conformance';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type WebgpuBackend, webgpu } from '../src/index.js';

let backend: WebgpuBackend;
beforeAll(async () => {
  backend = await webgpu.open();
});
afterAll(() => backend.close());

// Above 512 classes tiles of 256 replace whole rows; some numbers of classes are multiples of 4 and some are not.
const shapes: readonly Rows[] = [
  { outer: 3, classes: 255, inner: 1 },
  { outer: 1, classes: 300, inner: 2 },
  { outer: 2, classes: 512, inner: 1 },
  { outer: 2, classes: 513, inner: 1 },
  { outer: 1, classes: 516, inner: 2 },
];

test.each(shapes)(
  'each entry of $outer × $classes × $inner is computed from the right two probabilities',
  async (rows) => {
    const { outer, classes, inner } = rows;
    const count = outer * inner;
    // All values of all rows differ, so that a wrong index changes the result.
    const s = Float32Array.from({ length: count * classes }, (_, i) => (i + 1) / (2 * count * classes));
    const y = Float32Array.from(s, Math.log);
    const [from, logarithms] = [s, y].map((values) => {
      const buffer = backend.alloc(values.length, 'float32');
      backend.write(buffer, values);
      return buffer;
    });
    const [out, ofLogarithms] = [0, 0].map(() => backend.alloc(count * classes ** 2, 'float32'));
    backend.jacobian(out, from, rows, plain);
    backend.kernels.logSoftmaxJacobian(ofLogarithms, logarithms, rows, { temperature: 2 });
    const [entries, halves] = [await backend.read(out), await backend.read(ofLogarithms)];
    let worst = 0;
    for (let row = 0, i = 0; row < count; row++) {
      const first = Math.floor(row / inner) * classes * inner + (row % inner);
      for (let r = 0; r < classes; r++) {
        for (let c = 0; c < classes; c++, i++) {
          const delta = (r === c ? 1 : 0) - s[first + c * inner];
          const error = Math.abs(entries[i] / (s[first + r * inner] * delta) - 1);
          worst = Math.max(worst, error, 0.1 * Math.abs(halves[i] / (delta / 2) - 1));
        }
      }
    }
    expect(worst).toBeLessThan(2 ** -22);
    for (const buffer of [from, logarithms, out, ofLogarithms]) backend.free(buffer);
  },
);
