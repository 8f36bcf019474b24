import type { HostArray } from '@softgrad/core';
import { type Engine, failure, kernelFailed, type Mode, type Resident } from '../engine.js';
import { type GpuKernel, type GpuLibrary, messageOf } from '../gpu.js';

/** Each kernel has a memory of its own, and engines have address space for about a hundred. */
const mostMemories = 48;

/** Elements past which a WebAssembly kernel's memory, which holds its operands and its result, is given back after it ran. */
const large = 2 ** 20;

/**
 * gpu.js on the processor: kernels as a WebAssembly module or as JavaScript, results as arrays.
 *
 * @throws ERR_BACKEND_UNAVAILABLE where a Content-Security-Policy, or the engine, does not let code be made
 */
export async function openHost(library: GpuLibrary, mode: 'webasm' | 'cpu'): Promise<Engine> {
  const reason = hostReason(mode);
  if (reason !== null) throw failure(mode, 'ERR_BACKEND_UNAVAILABLE', reason);
  const gpu = new library.GPU({ mode });
  // A module addresses 4 GiB with all its operands, seven at most, and its result.
  const elements = mode === 'webasm' ? 2 ** 26 : 2 ** 28;
  const device = mode === 'webasm' ? 'WebAssembly' : 'JavaScript, float64 rounded to float32';
  return {
    mode,
    gpu,
    device: `${mode}: ${device}`,
    limits: { elements, classes: 2 ** 24 },
    limitedBy: `the limit is ${elements}, for memory's sake`,
    argumentType: 'Input',
    settings: {},
    mostKernels: mode === 'webasm' ? mostMemories : Number.POSITIVE_INFINITY,
    asynchronous: false,
    host,
    argument: (resident, length) => library.input((resident as HostResident).values, [length]),
    run: (kernel, values, length) => run(kernel, values, length, mode),
    check: () => undefined,
    finish: async () => undefined,
    close: () => gpu.destroy(),
  };
}

/** Why a mode can't run here, or null. */
export function hostReason(mode: 'webasm' | 'cpu'): string | null {
  return mode === 'webasm' ? withoutWebAssembly() : withoutEval();
}

interface HostResident extends Resident {
  readonly values: HostArray;
}

function host(values: HostArray): HostResident {
  return { values, toArray: () => Float32Array.from(values), delete: () => undefined };
}

function run(kernel: GpuKernel, values: readonly unknown[], length: number, mode: Mode): Resident {
  // A module and a memory for each shape would be kept: of kernels there is one for each layout already.
  if (mode === 'webasm') kernel.kernel.moduleCacheLimit = 1;
  const result = started(kernel, values, mode);
  if (kernel.kernel.constructor.mode !== mode) {
    throw failure(mode, 'ERR_UNSUPPORTED', 'gpu.js fell back to its cpu mode for a kernel');
  }
  if (mode === 'webasm' && length >= large) kernel.destroy();
  return host(result as Float32Array);
}

function started(kernel: GpuKernel, values: readonly unknown[], mode: Mode): unknown {
  try {
    return kernel(...values);
  } catch (cause) {
    throw kernelFailed(mode, cause);
  }
}

/** Why no WebAssembly module can be made here, or null. */
function withoutWebAssembly(): string | null {
  if (typeof WebAssembly === 'undefined') return 'WebAssembly is missing in this engine';
  try {
    new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    return null;
  } catch (error) {
    const advice = "allow 'wasm-unsafe-eval' in its script-src, or use the modes webgpu or webgl2";
    return `the page's Content-Security-Policy forbids WebAssembly: ${advice} (${messageOf(error)})`;
  }
}

/** Why no code can be made from text here, or null. */
function withoutEval(): string | null {
  try {
    new Function('return 1;');
    return null;
  } catch (error) {
    const advice = "allow 'unsafe-eval' in its script-src, or use the modes webgpu, webgl2 or webasm";
    return `the page's Content-Security-Policy forbids eval, with which gpu.js makes cpu kernels: ${advice} (${messageOf(error)})`;
  }
}
