import { expect, test } from 'vitest';
import { gpujs, type Mode } from '../src/index.js';
import { everywhere } from './everywhere.js';
import { nodeModes } from './node-modes.js';

// Mode cpu indexes in float64, so indices above 2²⁴ are not critical.
everywhere(
  nodeModes,
  nodeModes.filter((mode) => mode !== 'cpu'),
);

test.each([
  ['webgpu', /WebGPU is missing/],
  ['webgl2', /WebGL2 is missing/],
  ['webgl', /WebGL is missing/],
  ['headlessgl', /native package gl/],
] as const)('mode %s runs, or its error says what is missing', async (mode, missing) => {
  const name = await gpujs.open({ mode }).then(
    async (backend) => {
      await backend.close();
      return backend.name;
    },
    (error) => {
      expect(error).toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE', message: expect.stringMatching(missing) });
      return null;
    },
  );
  const runs: readonly Mode[] = nodeModes;
  expect(name).toBe(runs.includes(mode) ? `gpujs-${mode}` : null);
});

test('auto chooses the best mode that works', async () => {
  expect(await gpujs.unavailable()).toBeNull();
  const backend = await gpujs.open();
  expect(backend.name).toBe(`gpujs-${nodeModes[0]}`);
  await backend.close();
});
