import { expect, test, vi } from 'vitest';
import { tfjs } from '../src/index.js';

// By an alias to `false` webpack replaces a package by an empty module.
vi.mock('@tensorflow/tfjs-backend-wasm', () => ({}));

test('an engine whose package is an empty module is unavailable', async () => {
  await expect(tfjs.open({ engine: 'wasm' })).rejects.toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE' });
});
