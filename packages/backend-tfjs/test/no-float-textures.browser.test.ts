import { expect, test, vi } from 'vitest';
import { tfjs } from '../src/index.js';

test('without float32 textures engine webgl is unavailable, since half floats would give wrong numbers', async () => {
  const { getExtension } = WebGL2RenderingContext.prototype;
  vi.spyOn(WebGL2RenderingContext.prototype, 'getExtension').mockImplementation(function (
    this: WebGL2RenderingContext,
    name: string,
  ) {
    return name === 'EXT_color_buffer_float' ? null : getExtension.call(this, name as 'WEBGL_multi_draw');
  });
  await expect(tfjs.open({ engine: 'webgl' })).rejects.toMatchObject({
    code: 'ERR_BACKEND_UNAVAILABLE',
    message: expect.stringContaining('EXT_color_buffer_float'),
  });
});
