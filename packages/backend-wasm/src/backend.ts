import { type Backend, SoftgradError } from '@softgrad/core';
import { createBasis } from './basis.js';
import type { WasmBuffer } from './buffer.js';
import { createHeap, heapLimit } from './heap.js';
import { controlBytes } from './job.js';
import { createKernels } from './kernel-calls.js';
import { compile, type Exports, instantiate } from './module.js';
import { createRunner } from './run.js';
import { spawnThread, threadsMissing } from './spawn.js';
import { createStorage } from './storage.js';
import { openPool, type Pool, type PoolOptions } from './threads.js';

/** How the backend is opened, once the options have their defaults. */
export interface BackendSettings {
  readonly threads: number;
  readonly relaxedSimd: boolean;
  readonly spawn?: PoolOptions['spawn'];
  readonly patienceMs?: number;
}

const stackBytes = 16 * 1024;

/** The backend over a memory of its own. */
export async function openBackend(settings: BackendSettings): Promise<Backend<WasmBuffer>> {
  const wanted = settings.threads;
  const withoutThreads = wanted > 1 ? threadsMissing() : null;
  const shared = wanted > 1 && withoutThreads === null;
  const [{ module }, memory] = [await compile(settings.relaxedSimd, shared), createMemory(shared)];
  const instance = await instantiate(module, memory);
  const exports = instance as unknown as Exports;
  const heap = createHeap(memory, (instance.__heap_base as WebAssembly.Global).value);
  const storage = createStorage(memory, heap);
  const constants = storage.alloc(3, 'float64');

  let pool: Pool | null = null;
  let reason = withoutThreads;
  if (shared) {
    const control = heap.allocate(controlBytes);
    const stackTops = Array.from({ length: wanted - 1 }, () => heap.allocate(stackBytes) + stackBytes);
    const { spawn = spawnThread, ...rest } = settings;
    const patience = rest.patienceMs === undefined ? {} : { patienceMs: rest.patienceMs };
    try {
      pool = await openPool({ module, memory, exports, control, stackTops, spawn, ...patience });
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
  }
  const runner = createRunner(exports, heap, pool);
  const basis = createBasis(runner, storage, constants);
  let closed = false;

  return {
    name: 'wasm',
    supports: {
      dtypes: ['float32', 'float64'],
      inPlace: true,
      limits: { elements: heapLimit / 4 - 2 ** 20, classes: 2 ** 26 },
      device: describe(settings.relaxedSimd, pool ? pool.threads : 1, reason),
      subnormals: 'preserve',
      nonFinite: 'ieee',
      expUlp: { base: 2, slope: 0 },
    },
    get closed() {
      return closed;
    },
    ...storage,
    read: async (buffer) => storage.readSync(buffer),
    sync: async () => {},
    close() {
      closed = true;
      pool?.close();
    },
    ...createKernels(runner, basis),
    basis,
  };
}

/** A memory that can grow to 4 GiB, or to as much as this engine lets a memory ask for. */
function createMemory(shared: boolean): WebAssembly.Memory {
  for (let maximum = 65536; maximum >= 4096; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial: 32, maximum, shared });
    } catch {
      // A smaller maximum may be granted: engines reserve all of it.
    }
  }
  throw new SoftgradError('ERR_OUT_OF_MEMORY', 'wasm: this engine grants no WebAssembly memory of 256 MiB or more');
}

function describe(isRelaxed: boolean, threads: number, reason: string | null): string {
  const kind = isRelaxed ? 'WebAssembly relaxed SIMD' : 'WebAssembly SIMD';
  if (reason !== null) return `${kind}, 1 thread (${reason})`;
  return `${kind}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
}
