import { deviceLost, type Engine, failure, kernelFailed, type Mode, outOfMemory, type Resident } from '../engine.js';
import { type GpuKernel, type GpuLibrary, messageOf } from '../gpu.js';
import { gpuHelpers, short, shortQuotient } from '../program.js';

type GlMode = 'webgl2' | 'webgl' | 'headlessgl';
type Gl = WebGLRenderingContext | WebGL2RenderingContext;

/** gpu.js's texture object, which delegates deleting and reading to `kernel`. */
interface GlTexture extends Resident {
  readonly texture: WebGLTexture;
  kernel: unknown;
}

/** Results of at least this many elements are checked for out-of-memory errors at once; smaller ones later, because a check waits for the driver. */
const large = 2 ** 20;

const floatTextures = {
  webgl2: 'EXT_color_buffer_float',
  webgl: 'OES_texture_float',
  headlessgl: 'OES_texture_float',
} as const;

/**
 * gpu.js on WebGL: float textures with four elements per texel.
 *
 * @throws ERR_BACKEND_UNAVAILABLE if the context or its float textures are missing
 */
export async function openGl(library: GpuLibrary, mode: GlMode): Promise<Engine> {
  const { gpu, gl } = mode === 'headlessgl' ? headless(library) : inBrowser(library, mode);
  if (gl.getExtension(floatTextures[mode]) === null) {
    releaseContext(gl);
    const missing = `the device has no float textures (${floatTextures[mode]})`;
    throw failure(mode, 'ERR_BACKEND_UNAVAILABLE', `${missing}; the modes webasm and cpu do not need them`);
  }
  const texels = gl.getParameter(gl.MAX_TEXTURE_SIZE) as number;
  const integerBits = gl.getShaderPrecisionFormat(gl.FRAGMENT_SHADER, gl.HIGH_INT)?.rangeMax ?? 24;
  const elements = Math.min(4 * texels ** 2, 2 ** integerBits, 2 ** 30);
  const limitedBy = `the limit is ${elements}: textures have at most ${texels} × ${texels} texels of 4 elements`;
  const framebuffer = gl.createFramebuffer();
  // A destroyed kernel releases its context, so that its remaining textures could be neither read nor deleted.
  const keeper = {
    debug: false,
    deleteTexture: (texture: WebGLTexture) => gl.deleteTexture(texture),
    getRawValueFramebuffer: () => framebuffer,
  };
  let exhausted = false;
  const check = () => {
    if (gl.isContextLost()) throw deviceLost(mode);
    // It is unknown which allocation failed, so all present data may be invalid.
    exhausted ||= hasFailed(gl);
    if (!exhausted) return;
    throw failure(
      mode,
      'ERR_OUT_OF_MEMORY',
      `the device is out of memory for a texture; ${limitedBy}; close the backend and open it again`,
    );
  };
  return {
    mode,
    gpu,
    device: `${mode}: ${rendererOf(gl)}`,
    limits: { elements, classes: 2 ** 24 },
    limitedBy,
    argumentType: 'MemoryOptimizedNumberTexture',
    arithmetic: 'float32',
    helpers: gpuHelpers,
    shortQuotient,
    exactDivision: short,
    softmaxPlan: 'fewest',
    // 'precision' means highp: by default gpu.js uses the lowest precision that can index the texels.
    settings: { optimizeFloatMemory: true, tactic: 'precision' },
    mostKernels: Number.POSITIVE_INFINITY,
    asynchronous: false,
    argument: (resident) => resident,
    run(kernel, values, length) {
      if (gl.isContextLost()) throw deviceLost(mode);
      const texture = runKernel(kernel, values, mode, gl);
      texture.kernel = keeper;
      release(kernel, texture);
      if (length >= large && hasFailed(gl)) {
        texture.delete();
        throw outOfMemory(mode, length, limitedBy);
      }
      return texture;
    },
    isLost: () => gl.isContextLost(),
    check,
    async finish() {
      gl.finish();
      check();
    },
    async close() {
      gl.deleteFramebuffer(framebuffer);
      await gpu.destroy();
      releaseContext(gl);
    },
  };
}

/**
 * A separate context on a canvas of one pixel: kernels draw into textures, but gpu.js would enlarge the canvas to the size of the
 * largest. Instead of a canvas it accepts any object with a width and a height.
 */
function inBrowser(library: GpuLibrary, mode: 'webgl2' | 'webgl') {
  const title = mode === 'webgl2' ? 'WebGL2' : 'WebGL';
  const context = newCanvas()?.getContext(mode, { alpha: false, antialias: false, depth: false }) ?? null;
  if (context === null) {
    const missing = `${title} is missing: this is not a browser, or it has no graphics driver or too many contexts`;
    throw failure(mode, 'ERR_BACKEND_UNAVAILABLE', `${missing}; the modes webasm and cpu do not need it`);
  }
  const gl = context as Gl;
  try {
    return { gl, gpu: new library.GPU({ canvas: { width: 1, height: 1 }, context: gl }) };
  } catch (cause) {
    releaseContext(gl);
    const reason = `gpu.js does not support this device's ${title}: ${messageOf(cause)}`;
    throw failure(mode, 'ERR_BACKEND_UNAVAILABLE', reason, cause);
  }
}

function headless(library: GpuLibrary) {
  try {
    const gpu = new library.GPU({ mode: 'headlessgl' });
    gpu.createKernel('function() { return 1; }', { argumentTypes: {}, functions: [], output: [1] });
    return { gpu, gl: gpu.context as Gl };
  } catch (cause) {
    const advice = 'it needs Node and the native package gl (npm install gl, which compiles from source)';
    throw failure('headlessgl', 'ERR_BACKEND_UNAVAILABLE', `headless WebGL is missing: ${advice}`, cause);
  }
}

function newCanvas(): HTMLCanvasElement | OffscreenCanvas | null {
  if (typeof document !== 'undefined') return document.createElement('canvas');
  return typeof OffscreenCanvas === 'undefined' ? null : new OffscreenCanvas(1, 1);
}

function runKernel(kernel: GpuKernel, values: readonly unknown[], mode: Mode, gl: Gl): GlTexture {
  try {
    const result = kernel(...values);
    if (typeof result === 'object' && result !== null && 'texture' in result) return result as GlTexture;
  } catch (cause) {
    if (gl.isContextLost()) throw deviceLost(mode, cause);
    throw kernelFailed(mode, cause);
  }
  throw failure(mode, 'ERR_UNSUPPORTED', 'gpu.js fell back to its cpu mode for a kernel');
}

/**
 * Takes ownership of a texture. Otherwise gpu.js deletes it with the kernel (WebGL 1 only), and a kernel that gets its own last result as
 * an argument would draw into a texture of an earlier argument, which may have another size.
 */
function release(kernel: GpuKernel, { texture }: GlTexture): void {
  const { kernel: internal } = kernel;
  const index = internal.textureCache?.indexOf(texture) ?? -1;
  if (index >= 0) internal.textureCache?.splice(index, 1);
  internal.texture?.delete();
  internal.texture = null;
}

/** Whether an allocation has failed since the last call. A texture without memory also makes its framebuffer incomplete. */
function hasFailed(gl: Gl): boolean {
  let failed = false;
  for (let error = gl.getError(); error !== gl.NO_ERROR && error !== gl.CONTEXT_LOST_WEBGL; error = gl.getError()) {
    failed ||= error === gl.OUT_OF_MEMORY || error === gl.INVALID_FRAMEBUFFER_OPERATION;
  }
  return failed;
}

function rendererOf(gl: Gl): string {
  const info = gl.getExtension('WEBGL_debug_renderer_info');
  return String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
}

function releaseContext(gl: Gl): void {
  if (!gl.isContextLost()) gl.getExtension('WEBGL_lose_context')?.loseContext();
}
