import { cpu } from '@softgrad/backend-cpu';
import { gpujs } from '@softgrad/backend-gpujs';
import { tfjs } from '@softgrad/backend-tfjs';
import { wasm } from '@softgrad/backend-wasm';
import { webgpu } from '@softgrad/backend-webgpu';
import { type Backend, getBackend, setBackend, softmax, type Tensor, tensor } from '@softgrad/core';
import { reference, tolerance } from '@softgrad/core/conformance';
import { afterAll, beforeAll, expect, test } from 'vitest';

const rows = { outer: 3, classes: 5, inner: 1 };
const logits = Float32Array.from({ length: 15 }, (_, k) => Math.fround(7 * Math.sin(3 * k)));
const cotangent = Float32Array.from({ length: 15 }, (_, k) => Math.fround(Math.cos(5 * k)));

const opened: Backend[] = [];
beforeAll(async () => {
  opened.push(
    await cpu.open(),
    await gpujs.open({ mode: 'webgpu' }),
    await tfjs.open({ engine: 'webgl' }),
    await wasm.open(),
    await webgpu.open(),
  );
});
afterAll(async () => {
  for (const backend of opened) await backend.close();
});

/** Compares softmax and its vjp, on the operands' backend, with the reference within that backend's bound. */
async function expectRight(x: Tensor, g: Tensor): Promise<void> {
  const { supports, name } = x.backend;
  const precision = tolerance.precisionOf(supports, 'float32');
  const s = softmax(x);
  const dx = softmax.vjp(s, g);
  const probabilities = await s.data();
  const expected = reference.softmax(logits, rows);
  const slopes = reference.softmaxVjp(probabilities, cotangent, rows);
  const bounds = {
    softmax: tolerance.softmaxTolerance(precision, logits, expected, rows),
    vjp: tolerance.softmaxVjpTolerance(precision, probabilities, cotangent, slopes, rows),
  };
  const gradient = await dx.data();
  for (let k = 0; k < expected.length; k++) {
    expect(Math.abs(probabilities[k] - expected[k]), `${name}: softmax[${k}]`).toBeLessThanOrEqual(bounds.softmax[k]);
    expect(Math.abs(gradient[k] - slopes[k]), `${name}: vjp[${k}]`).toBeLessThanOrEqual(bounds.vjp[k]);
  }
  s.dispose();
  dx.dispose();
}

test('a tensor moves from cpu through every engine and back, with correct results on each, and is unchanged at the end', async () => {
  const [home, ...abroad] = opened;
  let x = tensor(logits, { shape: [3, 5], backend: home });
  let g = tensor(cotangent, { shape: [3, 5], backend: home });
  for (const backend of [home, ...abroad, home]) {
    const [movedX, movedG] = [await x.to(backend), await g.to(backend)];
    x.dispose();
    g.dispose();
    [x, g] = [movedX, movedG];
    expect(x.backend).toBe(backend);
    await expectRight(x, g);
  }
  expect(await x.data()).toEqual(logits);
  x.dispose();
  g.dispose();
});

test('the backend of new tensors can be changed at run time; existing tensors stay where they are', async () => {
  const made: Tensor[] = [];
  for (const backend of opened) {
    await setBackend(backend);
    expect(getBackend()).toBe(backend);
    made.push(tensor(logits, { shape: [3, 5] }));
  }
  expect(made.map((x) => x.backend)).toEqual(opened);
  for (const x of made) {
    const s = softmax(x);
    expect(s.backend).toBe(x.backend);
    s.dispose();
    x.dispose();
  }
});

test('all backends work side by side in parallel promises', async () => {
  const pairs = opened.map((backend) => ({
    x: tensor(logits, { shape: [3, 5], backend }),
    g: tensor(cotangent, { shape: [3, 5], backend }),
  }));
  await Promise.all(pairs.flatMap(({ x, g }) => [expectRight(x, g), expectRight(x, g), expectRight(x, g)]));
  for (const { x, g } of pairs) {
    x.dispose();
    g.dispose();
  }
});

test('operands on two backends are refused, naming both', () => {
  const [a, b] = opened.slice(1).map((backend) => tensor(logits, { shape: [3, 5], backend }));
  expect(() => softmax.vjp(softmax(a), b)).toThrow(
    expect.objectContaining({ code: 'ERR_BACKEND_MISMATCH', message: expect.stringMatching(/tfjs.*gpujs/) }),
  );
  a.dispose();
  b.dispose();
});
