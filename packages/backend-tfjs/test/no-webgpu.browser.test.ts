import { expect, test, vi } from 'vitest';
import { tfjs } from '../src/index.js';

test('without navigator.gpu engine webgpu says what it needs, and open() takes the next engine', async () => {
  vi.spyOn(navigator as unknown as { gpu: unknown }, 'gpu', 'get').mockReturnValue(undefined);
  await expect(tfjs.open({ engine: 'webgpu' })).rejects.toMatchObject({
    code: 'ERR_BACKEND_UNAVAILABLE',
    message: expect.stringContaining('navigator.gpu'),
  });
  const backend = await tfjs.open();
  expect(backend.engine).toBe('webgl');
  await backend.close();
});
