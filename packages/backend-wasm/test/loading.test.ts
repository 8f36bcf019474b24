import { isSoftgradError, setBackend } from '@softgrad/core';
import { exact } from '@softgrad/core/conformance';
import { expect, test } from 'vitest';
import { openBackend } from '../src/backend.js';
import { builds } from '../src/builds.js';
import { createProvider } from '../src/provider.js';

// Parts of the package are loaded when they are needed, and then the page may be offline, or newer on the server.

const message = 'Failed to fetch dynamically imported module';
const offline = () => Promise.reject(new TypeError(message));
const refusal = (error: unknown) => (isSoftgradError(error) ? [error.code, error.message] : error);

test('a backend whose kernels do not load is unavailable, and the next candidate is chosen', async () => {
  const provider = createProvider({ simd: offline });
  const expected = `wasm: the kernels did not load: ${message}`;
  expect(await provider.open().catch(refusal)).toEqual(['ERR_BACKEND_UNAVAILABLE', expected]);
  expect((await setBackend(provider, exact)).name).toBe('exact');
});

test('one thread computes where the code that starts others does not load, unless they are required', async () => {
  const settings = { threads: 2, relaxedSimd: false, kernels: builds.simd, loadThreading: offline };
  const reason = `threads did not load: ${message}`;
  expect((await openBackend(settings)).supports.device).toBe(`WebAssembly SIMD, 1 thread (${reason})`);
  expect(await openBackend({ ...settings, required: true }).catch(refusal)).toEqual([
    'ERR_BACKEND_UNAVAILABLE',
    `wasm: 2 threads are required, but only one is available: ${reason}`,
  ]);
});
