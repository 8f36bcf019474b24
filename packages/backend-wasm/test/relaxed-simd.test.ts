import { isSoftgradError } from '@softgrad/core';
import { afterEach, expect, test, vi } from 'vitest';
import { wasm } from '../src/index.js';
import { hasFusedMultiplyAdd } from '../src/module.js';

afterEach(() => {
  vi.restoreAllMocks();
});

test('the device names the build, and relaxed SIMD is refused if the engine lacks it', async () => {
  const plain = await wasm.open({ relaxedSimd: false });
  expect(plain.supports.device).toBe('WebAssembly SIMD, 1 thread');
  const relaxed = await wasm.open({ relaxedSimd: true }).catch((error: unknown) => error);
  if (hasFusedMultiplyAdd())
    expect(relaxed).toMatchObject({ supports: { device: 'WebAssembly relaxed SIMD, 1 thread' } });
  else expect(isSoftgradError(relaxed) && relaxed.code).toBe('ERR_BACKEND_UNAVAILABLE');
});

test.each([
  ['fused in both dtypes', { f: 2 ** -24, d: 2 ** -58 }, true],
  ['not fused', { f: 0, d: 0 }, false],
  ['not fused in float32', { f: 0, d: 2 ** -58 }, false],
  ['not fused in float64', { f: 2 ** -24, d: 0 }, false],
] as const)('relaxed SIMD is used only if its multiply-add is fused: %s', async (_, { f, d }, used) => {
  vi.spyOn(WebAssembly, 'validate').mockReturnValue(true);
  vi.spyOn(WebAssembly, 'Module').mockImplementation(function module() {
    return {};
  });
  const instances = vi.spyOn(WebAssembly, 'Instance').mockImplementation(function instance() {
    return { exports: { f: () => f, d: () => d } };
  });
  expect(hasFusedMultiplyAdd()).toBe(used);
  instances.mockRestore();
});

test('the probe computes by fused multiply-add where V8 has relaxed SIMD', async () => {
  const { setFlagsFromString } = await import('node:v8');
  setFlagsFromString('--experimental-wasm-relaxed-simd');
  try {
    expect(hasFusedMultiplyAdd()).toBe(true);
  } finally {
    setFlagsFromString('--no-experimental-wasm-relaxed-simd');
  }
});
