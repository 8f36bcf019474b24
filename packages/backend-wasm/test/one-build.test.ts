import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { isSoftgradError, openShared, softmax, tensor } from '@softgrad/core';
import { build, type Rolldown } from 'vite';
import { describe, expect, test } from 'vitest';
import type { WasmOptions } from '../src/index.js';
import { createProvider } from '../src/provider.js';
import { module as relaxedBuild } from '../src/relaxed.generated.js';
import { wasm as relaxed } from '../src/relaxed.js';
import { module as simdBuild } from '../src/simd.generated.js';
import { wasm as simd } from '../src/simd.js';

const flag = '--experimental-wasm-relaxed-simd';

/** Runs with relaxed SIMD, which Node 20 has behind a flag. */
async function withRelaxedSimd<T>(use: () => Promise<T>): Promise<T> {
  setFlagsFromString(flag);
  try {
    return await use();
  } finally {
    setFlagsFromString(flag.replace('--', '--no-'));
  }
}

/** What it computes on, and softmax of equal logits there; or the code of the error. */
async function outcome(provider: typeof simd, options: WasmOptions = {}): Promise<unknown> {
  try {
    const backend = await provider.open(options);
    return [backend.supports.device, ...softmax(tensor([[0, 0]], { backend })).dataSync()];
  } catch (error) {
    return isSoftgradError(error) ? error.code : error;
  }
}

test('a build that does not load, as in a page that is offline, leaves another backend to be used', async () => {
  const cause = new TypeError('Failed to fetch dynamically imported module: https://example.org/simd.generated.js');
  const missing = () => Promise.reject(cause);
  const provider = createProvider({ simd: missing, float32: { simd: missing } });
  for (const options of [{}, { float64: false }]) {
    const error: unknown = await provider.open(options).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: `wasm: the kernels did not load: ${cause.message}`,
      cause,
    });
  }
  expect((await openShared(provider, { ...simd, name: 'other' })).supports.device).toBe('WebAssembly SIMD, 1 thread');
});

describe('an entry with one build', () => {
  test('without relaxed SIMD opens with it, also where the engine has relaxed SIMD', async () => {
    const expected = ['WebAssembly SIMD, 1 thread', 0.5, 0.5];
    expect(await simd.unavailable()).toBeNull();
    expect(await outcome(simd)).toEqual(expected);
    expect(await outcome(simd, { relaxedSimd: false })).toEqual(expected);
    expect(await withRelaxedSimd(() => outcome(simd))).toEqual(expected);
    expect(await withRelaxedSimd(() => outcome(simd, { relaxedSimd: true }))).toBe('ERR_VALUE');
  });

  test('with relaxed SIMD opens with it, and is unavailable where the engine has none', async () => {
    const expected = ['WebAssembly relaxed SIMD, 1 thread', 0.5, 0.5];
    expect(await withRelaxedSimd(() => relaxed.unavailable())).toBeNull();
    expect(await withRelaxedSimd(() => outcome(relaxed))).toEqual(expected);
    expect(await withRelaxedSimd(() => outcome(relaxed, { relaxedSimd: true }))).toEqual(expected);
    expect(await outcome(relaxed, { relaxedSimd: false })).toBe('ERR_VALUE');
    expect(await outcome(relaxed)).toBe('ERR_BACKEND_UNAVAILABLE');
    expect(await relaxed.unavailable()).toBe('this engine has no relaxed SIMD with a fused multiply-add');
  });

  test('has the kernels of both dtypes, and says which entry has others', async () => {
    const refusal = (error: unknown) => (isSoftgradError(error) ? [error.code, error.message] : error);
    for (const [provider, relaxedSimd] of [
      [simd, false],
      [relaxed, true],
    ] as const) {
      expect(await withRelaxedSimd(() => provider.open({ float64: false }).catch(refusal))).toEqual([
        'ERR_VALUE',
        `wasm: this entry has no build for relaxedSimd ${relaxedSimd} and float64 false; import @softgrad/backend-wasm, which has all`,
      ]);
      expect(await withRelaxedSimd(() => outcome(provider, { float64: true }))).toEqual([
        expect.stringMatching(/1 thread$/),
        0.5,
        0.5,
      ]);
    }
  });

  test.each([
    ['simd', simdBuild, relaxedBuild],
    ['relaxed', relaxedBuild, simdBuild],
  ])('%s is bundled without the other build', async (name, own, other) => {
    const [{ output }] = (await build({
      configFile: false,
      logLevel: 'error',
      build: {
        write: false,
        minify: false,
        lib: { entry: fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url)), formats: ['es'] },
      },
    })) as readonly Rolldown.RolldownOutput[];
    const codes = output.map((chunk) => (chunk.type === 'chunk' ? chunk.code : ''));
    expect([own, other].map((kernels) => codes.some((code) => code.includes(kernels)))).toEqual([true, false]);
  });
});
