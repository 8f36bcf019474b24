import { isSoftgradError } from '@softgrad/core';
import { expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { hasRelaxedSimd } from '../src/module.js';

test('the device names the build, and relaxed SIMD is refused if the engine lacks it', async () => {
  const plain = await wasm.open({ relaxedSimd: false });
  expect(plain.supports.device).toBe('WebAssembly SIMD, 1 thread');
  const relaxed = await wasm.open({ relaxedSimd: true }).catch((error: unknown) => error);
  if (hasRelaxedSimd()) expect(relaxed).toMatchObject({ supports: { device: 'WebAssembly relaxed SIMD, 1 thread' } });
  else expect(isSoftgradError(relaxed) && relaxed.code).toBe('ERR_BACKEND_UNAVAILABLE');
});
