import type { HostArray } from '@softgrad/core';
import { type Engine, failure, type HostMode, kernelFailed, type Resident } from '../engine.js';
import { type GpuKernel, type GpuLibrary, messageOf } from '../gpu.js';
import {
  inlineQuotient,
  javaScriptHelpers,
  powers,
  roundedShort,
  shortQuotient,
  webAssemblyHelpers,
} from '../program.js';
import { runModule } from './wasm-module.js';

/** Each kernel has its own WebAssembly memory, and engines have address space for about a hundred. */
const mostMemories = 48;

/** WebAssembly kernels whose memories, which contain operands and results, take more than this are destroyed, the least recently used first. */
const memoryBudget = 2 ** 27;

/** Kernels with a result of at least this many elements are counted. */
const large = 2 ** 20;

/** What differs between the modes. */
const ofMode = {
  webasm: {
    device: 'WebAssembly',
    // A module's result and its operands, at most seven, must fit into 4 GiB.
    elements: 2 ** 26,
    arithmetic: 'float32',
    helpers: webAssemblyHelpers,
    // gpu.js calls functions once per lane.
    shortQuotient: inlineQuotient,
    exactDivision: roundedShort,
    // gpu.js imports exp into WebAssembly from JavaScript.
    softmaxPlan: 'stored',
    settings: {},
    mostKernels: mostMemories,
  },
  cpu: {
    device: 'JavaScript, float64 rounded to float32',
    elements: 2 ** 28,
    arithmetic: 'float64',
    helpers: javaScriptHelpers,
    shortQuotient,
    exactDivision: 2 ** 30,
    softmaxPlan: 'row-maxima',
    settings: { constants: { powers } },
    mostKernels: Number.POSITIVE_INFINITY,
  },
} as const;

/**
 * gpu.js on the CPU: kernels are WebAssembly modules or JavaScript, results are arrays.
 *
 * @throws ERR_BACKEND_UNAVAILABLE if a Content-Security-Policy or the engine forbids code generation
 */
export async function openHost(library: GpuLibrary, mode: HostMode): Promise<Engine> {
  const reason = hostReason(mode);
  if (reason !== null) throw failure(mode, 'ERR_BACKEND_UNAVAILABLE', reason);
  const gpu = new library.GPU({ mode });
  const keep = createKeeper(memoryBudget);
  const { device, elements, ...settings } = ofMode[mode];
  return {
    mode,
    gpu,
    device: `${mode}: ${device}`,
    limits: { elements, classes: 2 ** 24 },
    limitedBy: `the limit is ${elements}, because of memory`,
    argumentType: 'Input',
    ...settings,
    asynchronous: false,
    host,
    argument: (resident, length) => {
      const { values } = resident as HostResident;
      return mode === 'webasm' ? values : library.input(values, [length]);
    },
    run: (kernel, values, length) =>
      host(mode === 'webasm' ? runWebAssembly(library, kernel, values, length, keep) : runJavaScript(kernel, values)),
    isLost: () => false,
    check: () => undefined,
    finish: async () => undefined,
    close: () => gpu.destroy(),
  };
}

/** Why a mode cannot run here, or null. */
export function hostReason(mode: HostMode): string | null {
  return mode === 'webasm' ? withoutWebAssembly() : withoutEval();
}

interface HostResident extends Resident {
  readonly values: HostArray;
}

function host(values: HostArray): HostResident {
  return { values, toArray: () => Float32Array.from(values), delete: () => undefined };
}

function runWebAssembly(
  library: GpuLibrary,
  kernel: GpuKernel,
  values: readonly unknown[],
  length: number,
  keep: (kernel: GpuKernel) => void,
): Float32Array {
  try {
    return runModule(library, kernel, values, length);
  } catch (cause) {
    if (kernel.kernel.constructor.mode === 'webasm') throw kernelFailed('webasm', cause);
    throw failure('webasm', 'ERR_UNSUPPORTED', 'gpu.js fell back to its cpu mode for a kernel', cause);
  } finally {
    if (length >= large) keep(kernel);
  }
}

/** Keeps the memories of the kernels that it is called with within a number of bytes: destroys the least recently used. */
export function createKeeper(budget: number): (kernel: GpuKernel) => void {
  const kept = new Set<GpuKernel>();
  const bytesOf = ({ kernel }: GpuKernel) => kernel._active?.f32.byteLength ?? 0;
  return (kernel) => {
    kept.delete(kernel);
    kept.add(kernel);
    let bytes = [...kept].reduce((sum, each) => sum + bytesOf(each), 0);
    for (const oldest of kept) {
      if (bytes <= budget) return;
      bytes -= bytesOf(oldest);
      kept.delete(oldest);
      oldest.destroy();
    }
  };
}

function runJavaScript(kernel: GpuKernel, values: readonly unknown[]): Float32Array {
  try {
    return kernel(...values) as Float32Array;
  } catch (cause) {
    throw kernelFailed('cpu', cause);
  }
}

/** Why WebAssembly cannot be compiled here, or null. */
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

/** Why eval cannot be used here, or null. */
function withoutEval(): string | null {
  try {
    new Function('return 1;');
    return null;
  } catch (error) {
    const advice = "allow 'unsafe-eval' in its script-src, or use the modes webgpu, webgl2 or webasm";
    return `the page's Content-Security-Policy forbids eval, which gpu.js needs for cpu kernels: ${advice} (${messageOf(error)})`;
  }
}
