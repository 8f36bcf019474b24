import { type BackendProvider, checkOptions, describeOption, namesOf, SoftgradError } from '@softgrad/core';
import { createBackend, type GpujsBackend } from './backend.js';
import { type Engine, type Mode, modes } from './engine.js';
import { openGl } from './engines/gl.js';
import { hostReason, openHost } from './engines/host.js';
import { openWebGpu } from './engines/webgpu.js';
import { type GpuLibrary, loadGpu, messageOf } from './gpu.js';
import type { GpujsBuffer } from './storage.js';

export type { GpujsBackend } from './backend.js';
export type { Mode } from './engine.js';
export type { GpujsBuffer } from './storage.js';

export interface GpujsOptions {
  /** The mode of gpu.js. 'auto', the default, chooses the first of webgpu, webgl2, webgl, headlessgl, webasm and cpu that computes correctly. */
  readonly mode?: Mode | 'auto' | undefined;
  /** Maximum number of compiled kernels, at least 2, with least-recently-used eviction. Default 256. Mode webasm keeps at most 48. */
  readonly kernels?: number | undefined;
}

/** The backend's provider: its `open` gives a `GpujsBackend`, which counts its compiled kernels. */
export interface GpujsProvider extends BackendProvider<GpujsBuffer, GpujsOptions> {
  /** @throws ERR_BACKEND_UNAVAILABLE if the mode cannot run here, with what is missing; ERR_VALUE for an invalid option */
  open(options?: GpujsOptions): Promise<GpujsBackend>;
}

/**
 * softgrad on gpu.js: WebGPU, WebGL, WebAssembly or plain JavaScript, in float32. `supports.device` names the mode that was chosen.
 *
 * @example
 * const backend = await gpujs.open({ mode: 'webasm' });
 * backend.supports.device; // 'webasm: WebAssembly'
 */
export const gpujs: GpujsProvider = { name: 'gpujs', unavailable, open };

export default gpujs;

async function unavailable(): Promise<string | null> {
  // Modes without a GPU are checked first, because a GPU mode must be opened to find out whether it works.
  if (hostReason('webasm') === null || hostReason('cpu') === null) return null;
  try {
    const backend = await open();
    await backend.close();
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

const optionNames = namesOf<GpujsOptions>({ mode: true, kernels: true });

async function open(options: GpujsOptions = {}): Promise<GpujsBackend> {
  const { mode = 'auto', kernels = 256 } = checkOptions('gpujs.open', options, optionNames);
  if (mode !== 'auto' && !modes.includes(mode)) {
    throw new SoftgradError('ERR_VALUE', `gpujs: mode '${mode}'; expected auto, ${modes.join(', ')}`);
  }
  if (!Number.isInteger(kernels) || kernels < 2) {
    throw new SoftgradError('ERR_VALUE', `gpujs: ${describeOption('kernels', kernels)}; expected an integer ≥ 2`);
  }
  const library = await loadGpu();
  if (mode !== 'auto') return openMode(library, mode, kernels);
  const reasons: string[] = [];
  for (const candidate of modes) {
    try {
      return await openMode(library, candidate, kernels);
    } catch (error) {
      reasons.push(messageOf(error));
    }
  }
  throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `gpujs: no mode can run here: ${reasons.join('; ')}`);
}

/** Opens an engine and the backend on it; closes the engine if the backend fails. */
async function openMode(library: GpuLibrary, mode: Mode, kernels: number): Promise<GpujsBackend> {
  const engine = await openEngine(library, mode);
  try {
    return await createBackend(library, engine, kernels);
  } catch (cause) {
    await engine.close();
    if (cause instanceof SoftgradError) throw cause;
    const reason = `gpujs (${mode}): the first kernel failed: ${messageOf(cause)}`;
    throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', reason, { cause });
  }
}

function openEngine(library: GpuLibrary, mode: Mode): Promise<Engine> {
  switch (mode) {
    case 'webgpu':
      return openWebGpu(library);
    case 'webgl2':
    case 'webgl':
    case 'headlessgl':
      return openGl(library, mode);
    case 'webasm':
    case 'cpu':
      return openHost(library, mode);
  }
}
