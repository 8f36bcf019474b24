import { type BackendProvider, openShared, sigmoid, softmax, tensor } from '@softgrad/core';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { openedOnce } from '../../backend-tfjs/test/opened-once.js';
import { loadGpu } from '../src/gpu.js';
import { type GpujsBackend, gpujs, type Mode } from '../src/index.js';
import { createProvider } from '../src/provider.js';

// gpu.js detects the browser's features once: trigger this before a test removes a feature.
beforeAll(async () => {
  const { GPU } = (await loadGpu()) as unknown as { readonly GPU: Readonly<Record<string, boolean>> };
  expect([GPU.isWebGL2Supported, GPU.isWebGLSupported]).toEqual([true, true]);
});

afterEach(() => {
  vi.restoreAllMocks();
});

const refusal = (message: RegExp) => ({ code: 'ERR_BACKEND_UNAVAILABLE', message: expect.stringMatching(message) });
const lost = expect.objectContaining({ code: 'ERR_DEVICE_LOST' });

const inMode = (mode: Mode): BackendProvider => ({ ...gpujs, open: () => gpujs.open({ mode }) }) as BackendProvider;
const providers = { webgpu: inMode('webgpu'), webgl2: inMode('webgl2') };
const openIn = async (mode: 'webgl2' | 'webgpu') => (await openShared(providers[mode])) as unknown as GpujsBackend;

/** Opens a backend and returns it with its device. */
async function openWithDevice(mode: 'webgl2' | 'webgpu') {
  if (mode === 'webgpu') {
    const request = vi.spyOn(GPUAdapter.prototype, 'requestDevice');
    const backend = await openIn(mode);
    const device = (await request.mock.results[0].value) as GPUDevice;
    return { backend, lose: () => device.destroy() };
  }
  const context = vi.spyOn(HTMLCanvasElement.prototype, 'getContext');
  const backend = await openIn(mode);
  // Not the contexts of gpu.js's feature detection, which have default attributes.
  const own = context.mock.calls.findIndex(([, attributes]: readonly unknown[]) => attributes !== undefined);
  const gl = context.mock.results[own].value as WebGL2RenderingContext;
  return { backend, lose: () => gl.getExtension('WEBGL_lose_context')?.loseContext() };
}

/** Backends on devices that are not lost, for several tests. */
const opened = {
  webgpu: openedOnce(() => openIn('webgpu')),
  webgl2: openedOnce(() => openIn('webgl2')),
};

// Must run first, before gpu.js has requested the device that all its kernels in a page share. Mode webgl has the same engine as webgl2.
describe.each(['webgpu', 'webgl2'] as const)('a device lost during work, mode %s', (mode) => {
  test('is ERR_DEVICE_LOST for its data; host data is intact, and choosing the provider again gives a backend that works', async () => {
    const { backend, lose } = await openWithDevice(mode);
    const x = tensor([1, 2, 3], { backend });
    const s = softmax(x);
    const read = s.data();
    expect(backend.lost).toBe(false);
    lose();
    await read.catch((error) => expect(error).toEqual(lost));
    await expect(Promise.resolve().then(() => s.data())).rejects.toEqual(lost);
    await expect(Promise.resolve().then(() => sigmoid(s).data())).rejects.toEqual(lost);
    await expect(backend.sync()).rejects.toEqual(lost);
    expect([...(await x.data())]).toEqual([1, 2, 3]);
    expect(backend.lost).toBe(true);
    const anew = await opened[mode]();
    expect(anew.lost).toBe(false);
    const again = softmax(await x.to(anew));
    s.dispose();
    await backend.close();
    expect((await again.data())[2]).toBeCloseTo(0.66524096, 6);
  });
});

describe('the error names what is missing', () => {
  test('WebGPU', async () => {
    vi.spyOn(navigator, 'gpu', 'get').mockReturnValue(undefined as unknown as GPU);
    await expect(gpujs.open({ mode: 'webgpu' })).rejects.toMatchObject(refusal(/WebGPU is missing: navigator\.gpu/));
  });

  test('or that reading navigator.gpu, or making a context, throws', async () => {
    vi.spyOn(navigator, 'gpu', 'get').mockImplementation(() => {
      throw new Error('blocked');
    });
    vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockImplementation(() => {
      throw new Error('blocked');
    });
    for (const mode of ['webgpu', 'webgl2', 'webgl'] as const) {
      const message = new RegExp(`^gpujs \\(${mode}\\): it could not be opened: blocked$`);
      await expect(gpujs.open({ mode })).rejects.toMatchObject(refusal(message));
    }
    const backend = await gpujs.open();
    expect(['gpujs-cpu', 'gpujs-webasm']).toContain(backend.name);
    await backend.close();
  });

  test.each([
    ['webgl2', /WebGL2 is missing/],
    ['webgl', /WebGL is missing/],
  ] as const)('%s', async (mode, missing) => {
    vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockReturnValue(null);
    await expect(gpujs.open({ mode })).rejects.toMatchObject(refusal(missing));
  });

  test.each([
    ['webgl2', WebGL2RenderingContext, 'EXT_color_buffer_float'],
    ['webgl', WebGLRenderingContext, 'OES_texture_float'],
  ] as const)('float textures, mode %s', async (mode, { prototype }, extension) => {
    const original = prototype.getExtension;
    vi.spyOn(prototype, 'getExtension').mockImplementation(function (this: WebGLRenderingContext, name: string) {
      return name === extension ? null : (Reflect.apply(original, this, [name]) as unknown);
    } as typeof original);
    await expect(gpujs.open({ mode })).rejects.toMatchObject(
      refusal(new RegExp(`no float textures \\(${extension}\\)`)),
    );
  });

  test('headless WebGL, in a browser', async () => {
    await expect(gpujs.open({ mode: 'headlessgl' })).rejects.toMatchObject(refusal(/native package gl/));
  });

  test('WebAssembly', async () => {
    vi.stubGlobal('WebAssembly', undefined);
    await expect(gpujs.open({ mode: 'webasm' })).rejects.toMatchObject(refusal(/WebAssembly is missing/));
    vi.unstubAllGlobals();
  });
});

describe('auto', () => {
  const chosen = async (): Promise<Mode> => {
    const backend = await createProvider(() => 0).open();
    await backend.close();
    return backend.name.slice('gpujs-'.length) as Mode;
  };

  // bundle.test.ts tests that it prefers WebGPU.
  test('chooses WebGL2 without WebGPU, and JavaScript without both', async () => {
    vi.spyOn(navigator, 'gpu', 'get').mockReturnValue(undefined as unknown as GPU);
    expect(await chosen()).toBe('webgl2');
    vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockReturnValue(null);
    expect(await chosen()).toBe('cpu');
  });

  test('skips WebGL2 and WebGL where the device computes wrong results', async () => {
    vi.spyOn(navigator, 'gpu', 'get').mockReturnValue(undefined as unknown as GPU);
    const [inWebGl2, inWebGl] = [WebGL2RenderingContext, WebGLRenderingContext].map(({ prototype }) =>
      vi.spyOn(prototype, 'drawArrays').mockImplementation(() => undefined),
    );
    expect(await chosen()).toBe('cpu');
    expect(inWebGl2).toHaveBeenCalled();
    expect(inWebGl).toHaveBeenCalledAfter(inWebGl2);
  });
});

describe('a failed allocation', () => {
  test('of a texture is ERR_OUT_OF_MEMORY with the limit for every later read', async () => {
    const backend = await opened.webgl2();
    const x = softmax(tensor([1, 2], { backend }));
    vi.spyOn(WebGL2RenderingContext.prototype, 'getError').mockReturnValueOnce(0x0505);
    const { elements } = backend.supports.limits;
    const message = expect.stringMatching(`the limit is ${elements}:.*; close the backend and open it again$`);
    await expect(x.data()).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY', message });
    await expect(x.data()).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
  });

  test('of a storage buffer is ERR_OUT_OF_MEMORY for its result, and for results computed from it', async () => {
    const backend = await opened.webgpu();
    const x = tensor([1, 2], { backend });
    const before = sigmoid(x);
    const create = GPUDevice.prototype.createBuffer;
    await before.data();
    const results = 0x80 | 0x04; // STORAGE and COPY_SRC
    const spy = vi.spyOn(GPUDevice.prototype, 'createBuffer').mockImplementation(function (
      this: GPUDevice,
      descriptor,
    ) {
      const size = descriptor.usage === results ? this.limits.maxBufferSize : descriptor.size;
      return Reflect.apply(create, this, [{ ...descriptor, size }]) as GPUBuffer;
    });
    const exhausted = {
      code: 'ERR_OUT_OF_MEMORY',
      message: expect.stringContaining(`${backend.supports.limits.elements}`),
    };
    const many = Array.from({ length: 8 }, () => sigmoid(x));
    await expect(Promise.all(many.map((s) => s.data()))).rejects.toMatchObject(exhausted);
    const after = sigmoid(many[many.length - 1]);
    spy.mockRestore();
    await expect(after.data()).rejects.toMatchObject(exhausted);
    expect([...(await before.data())]).toHaveLength(2);
  });
});

test("loading gpu.js does not change the page's global GPU", async () => {
  const backend = await gpujs.open({ mode: 'cpu' });
  expect(String(globalThis.GPU)).toContain('[native code]');
  await backend.close();
});
