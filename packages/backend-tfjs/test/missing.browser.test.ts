import { setWebGLContext } from '@tensorflow/tfjs-backend-webgl';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, expect, test, vi } from 'vitest';
import { tfjs } from '../src/index.js';

afterEach(() => {
  vi.restoreAllMocks();
  tf.env().reset();
});

/** Makes the browser support only these kinds of contexts. */
function leaveContexts(kinds: readonly string[]): void {
  for (const { prototype } of [HTMLCanvasElement, OffscreenCanvas]) {
    const getContext = prototype.getContext as (this: object, kind: string, options?: unknown) => unknown;
    vi.spyOn(prototype as { getContext: typeof getContext }, 'getContext').mockImplementation(function (
      this: object,
      kind,
      options,
    ) {
      return kinds.includes(kind) ? getContext.call(this, kind, options) : null;
    });
  }
}

test('without navigator.gpu engine webgpu says what it needs, and open() takes the next engine', async () => {
  vi.spyOn(navigator as unknown as { gpu: unknown }, 'gpu', 'get').mockReturnValue(undefined);
  await expect(tfjs.open({ engine: 'webgpu' })).rejects.toMatchObject({
    code: 'ERR_BACKEND_UNAVAILABLE',
    message: expect.stringContaining('navigator.gpu'),
  });
  const backend = await tfjs.open();
  expect(backend.engine).toBe('webgl');
  await backend.close();

  // tfjs keeps the engine and its context: the next tests ask the browser again.
  const { factory } = tf.engine().registryFactory.webgl;
  tf.removeBackend('webgl');
  tf.registerBackend('webgl', factory);
  setWebGLContext(2, null as unknown as WebGLRenderingContext);
});

test('without WebGL engine webgl says what it needs', async () => {
  leaveContexts([]);
  await expect(tfjs.open({ engine: 'webgl' })).rejects.toMatchObject({
    code: 'ERR_BACKEND_UNAVAILABLE',
    message: expect.stringContaining('engine webgl needs a browser with WebGL 2'),
  });
});

test('with only WebGL 1, too', async () => {
  leaveContexts(['webgl']);
  await expect(tfjs.open({ engine: 'webgl' })).rejects.toMatchObject({
    code: 'ERR_BACKEND_UNAVAILABLE',
    message: expect.stringContaining('engine webgl needs WebGL 2; this is WebGL 1'),
  });
});

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
