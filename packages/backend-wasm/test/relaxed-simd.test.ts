import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { isSoftgradError } from '@softgrad/core';
import { expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { hasRelaxedSimd } from '../src/module.js';

test('conforms with relaxed SIMD in a Node that has it', { timeout: 300_000 }, () => {
  const flags = hasRelaxedSimd() ? [] : ['--experimental-wasm-relaxed-simd'];
  const script = fileURLToPath(new URL('relaxed-simd.mjs', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, script], { encoding: 'utf8' });
  expect({ status, stderr, stdout }).toEqual({
    status: 0,
    stderr: '',
    stdout: expect.stringMatching(/^\d{4} passed\n$/),
  });
});

test('says which build runs, and refuses relaxed SIMD where the engine has none', async () => {
  const plain = await wasm.open({ relaxedSimd: false });
  expect(plain.supports.device).toBe('WebAssembly SIMD, 1 thread');
  const relaxed = await wasm.open({ relaxedSimd: true }).catch((error: unknown) => error);
  if (hasRelaxedSimd()) expect(relaxed).toMatchObject({ supports: { device: 'WebAssembly relaxed SIMD, 1 thread' } });
  else expect(isSoftgradError(relaxed) && relaxed.code).toBe('ERR_BACKEND_UNAVAILABLE');
});
