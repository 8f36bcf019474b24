import { expect, test } from 'vitest';
import { gpujs } from '../src/index.js';
import { everywhere } from './everywhere.js';

everywhere(['webasm', 'cpu'], ['webasm', 'cpu']);

test('Node has neither WebGPU nor WebGL, and is told so', async () => {
  for (const [mode, missing] of [
    ['webgpu', /WebGPU is missing/],
    ['webgl2', /WebGL2 is missing/],
    ['webgl', /WebGL is missing/],
  ] as const) {
    const refusal = { code: 'ERR_BACKEND_UNAVAILABLE', message: expect.stringMatching(missing) };
    await expect(gpujs.open({ mode })).rejects.toMatchObject(refusal);
  }
});

test('auto takes the best mode that is left', async () => {
  expect(await gpujs.unavailable()).toBeNull();
  const backend = await gpujs.open();
  expect(['gpujs-headlessgl', 'gpujs-webasm']).toContain(backend.name);
  await backend.close();
});
