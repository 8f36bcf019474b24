import { type BackendProvider, checkOptions, describeOption, namesOf, SoftgradError } from '@softgrad/core';
import { type Candidate, createCandidate, type GpujsBackend } from './backend.js';
import { type Engine, failure, gpuModes, hostModes, type Mode, modes } from './engine.js';
import { openGl } from './engines/gl.js';
import { hostReason, openHost } from './engines/host.js';
import { openWebGpu } from './engines/webgpu.js';
import { type GpuLibrary, loadGpu, messageOf } from './gpu.js';
import type { GpujsBuffer } from './storage.js';

export interface GpujsOptions {
  /**
   * The mode of gpu.js. 'auto', the default, chooses the first of webgpu, webgl2, webgl and headlessgl that computes correctly. GPUs are not
   * measured: how they compare with a CPU depends on the size of the data. Without a GPU, a softmax is measured in the modes cpu and webasm, which
   * takes about 25 ms; webasm is chosen if cpu cannot run or takes more than 1.25 times as long, because cpu is more exact.
   */
  readonly mode?: Mode | 'auto' | undefined;
  /** Maximum number of compiled kernels, at least 2, with least-recently-used eviction. Default 256. Mode webasm keeps at most 48. */
  readonly kernels?: number | undefined;
}

/** The backend's provider: its `open` gives a `GpujsBackend`, which counts its compiled kernels. */
export interface GpujsProvider extends BackendProvider<GpujsBuffer, GpujsOptions> {
  /** @throws ERR_BACKEND_UNAVAILABLE if the mode cannot run here, with what is missing; ERR_VALUE for an invalid option */
  open(options?: GpujsOptions): Promise<GpujsBackend>;
}

/** @param now the clock, in milliseconds, by which mode auto measures */
export function createProvider(now: () => number): GpujsProvider {
  const open = (options: GpujsOptions = {}) => openBackend(options, now);
  return { name: 'gpujs', unavailable: () => unavailable(open), open };
}

async function unavailable(open: GpujsProvider['open']): Promise<string | null> {
  // Modes without a GPU are checked first, because a GPU mode must be opened to find out whether it works; webasm before cpu, because where a
  // Content-Security-Policy forbids eval, trying it is reported as a violation.
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

async function openBackend(options: GpujsOptions, now: () => number): Promise<GpujsBackend> {
  const { mode = 'auto', kernels = 256 } = checkOptions('gpujs.open', options, optionNames);
  if (mode !== 'auto' && !modes.includes(mode)) {
    throw new SoftgradError('ERR_VALUE', `gpujs: ${describeOption('mode', mode)}; expected auto, ${modes.join(', ')}`);
  }
  if (!Number.isInteger(kernels) || kernels < 2) {
    throw new SoftgradError('ERR_VALUE', `gpujs: ${describeOption('kernels', kernels)}; expected an integer ≥ 2`);
  }
  const library = await loadGpu();
  return mode === 'auto' ? openAny(library, kernels, now) : openMode(library, mode, kernels);
}

async function openAny(library: GpuLibrary, kernels: number, now: () => number): Promise<GpujsBackend> {
  const reasons: string[] = [];
  for (const mode of gpuModes) {
    try {
      return await openMode(library, mode, kernels);
    } catch (error) {
      reasons.push(messageOf(error));
    }
  }
  const candidates: Candidate[] = [];
  for (const mode of hostModes) {
    try {
      candidates.push(await openCandidate(library, mode, kernels));
    } catch (error) {
      reasons.push(messageOf(error));
    }
  }
  let chosen: Candidate | undefined;
  try {
    chosen = fastest(candidates, now);
  } finally {
    for (const candidate of candidates) if (candidate !== chosen) await candidate.close();
  }
  if (chosen) return chosen.backend();
  throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `gpujs: no mode can run here: ${reasons.join('; ')}`);
}

/** How many times as fast as an earlier candidate a later one must be: less may be noise. */
const margin = 1.25;

function fastest(candidates: readonly Candidate[], now: () => number): Candidate | undefined {
  const [first, ...others] = candidates;
  if (!first || others.length === 0) return first;
  let chosen = first;
  let least = first.softmaxTime(now);
  for (const candidate of others) {
    const time = candidate.softmaxTime(now);
    if (time * margin >= least) continue;
    chosen = candidate;
    least = time;
  }
  return chosen;
}

async function openMode(library: GpuLibrary, mode: Mode, kernels: number): Promise<GpujsBackend> {
  const candidate = await openCandidate(library, mode, kernels);
  return candidate.backend();
}

/** Opens an engine, which is closed if its first softmax or the measurement of `supports` fails. */
async function openCandidate(library: GpuLibrary, mode: Mode, kernels: number): Promise<Candidate> {
  // Where an extension of the browser blocks WebGPU or WebGL, any of their functions may throw.
  const engine = await openEngine(library, mode).catch((cause) => {
    throw unavailableBecause(mode, 'it could not be opened', cause);
  });
  const closingOnFailure = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      await engine.close();
      throw unavailableBecause(mode, 'the first kernel failed', cause);
    }
  };
  const candidate = await closingOnFailure(() => createCandidate(library, engine, kernels));
  return { ...candidate, backend: () => closingOnFailure(candidate.backend) };
}

function unavailableBecause(mode: Mode, what: string, cause: unknown): SoftgradError {
  if (cause instanceof SoftgradError) return cause;
  return failure(mode, 'ERR_BACKEND_UNAVAILABLE', `${what}: ${messageOf(cause)}`, cause);
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
