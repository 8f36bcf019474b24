import { expect, test, vi } from 'vitest';
import { tfjs } from '../src/index.js';

test('a browser without WebGL, or with WebGL 1 alone, is told what engine webgl needs', async () => {
  const getContext = vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockReturnValue(null);
  const offscreen = vi.spyOn(OffscreenCanvas.prototype, 'getContext').mockReturnValue(null);
  await expect(tfjs.open({ engine: 'webgl' })).rejects.toMatchObject({
    code: 'ERR_BACKEND_UNAVAILABLE',
    message: expect.stringContaining('engine webgl needs a browser with WebGL 2'),
  });
  getContext.mockRestore();
  offscreen.mockRestore();
});
