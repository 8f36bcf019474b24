import { type Backend, isSoftgradError, SoftgradError } from '@softgrad/core';
import { createBasis } from './basis.js';
import type { WasmBuffer } from './buffer.js';
import { checkedModule } from './checks.js';
import { createHeap, heapLimit } from './heap.js';
import { createKernels } from './kernel-calls.js';
import { type Build, compile, type Exports, instantiate } from './module.js';
import type { CompiledModule, WorkerSource } from './options.js';
import { createRunner } from './run.js';
import { createStorage } from './storage.js';
import type { Pool, PoolOptions } from './threads.js';

/** The options of `open` with their defaults filled in. */
export interface BackendSettings {
  readonly threads: number;
  readonly relaxedSimd: boolean;
  /** Whether fewer threads than `threads` are an error. */
  readonly required?: boolean;
  /** The kernels: loaded with or without relaxed SIMD, or compiled by the caller. */
  readonly kernels: (() => Promise<Build>) | { readonly module: CompiledModule };
  readonly worker?: WorkerSource | undefined;
  /** How a thread is started, in place of `worker`. */
  readonly spawn?: PoolOptions['spawn'];
  readonly patienceMs?: number;
}

const stackBytes = 16 * 1024;

/** The backend with its own WebAssembly memory. */
export async function openBackend(settings: BackendSettings): Promise<Backend<WasmBuffer>> {
  const wanted = settings.threads;
  const threading = wanted > 1 ? await part(import('./threading.js')) : null;
  const withoutThreads = threading?.threadsMissing() ?? null;
  const {
    module,
    memory,
    instance,
    shared,
    reason: ofModule,
  } = await load(settings, threading !== null && withoutThreads === null);
  const exports = instance as unknown as Exports;
  const heap = createHeap(memory, (instance.__heap_base as WebAssembly.Global).value);
  const storage = createStorage(memory, heap);
  const constants = storage.alloc(3, 'float64');
  const hasFloat64 = 'softmax_f64' in exports;

  let pool: Pool | null = null;
  let reason = withoutThreads ?? ofModule;
  if (threading !== null && shared) {
    const control = heap.allocate(threading.controlBytes);
    const stackTops = Array.from({ length: wanted - 1 }, () => heap.allocate(stackBytes) + stackBytes);
    const { spawn = threading.spawner(settings.worker), patienceMs } = settings;
    const patience = patienceMs === undefined ? {} : { patienceMs };
    try {
      pool = await threading.openPool({ module, memory, exports, control, stackTops, spawn, ...patience });
    } catch (error) {
      // The caller's mistake, not a property of this engine.
      if (isSoftgradError(error)) throw error;
      reason = error instanceof Error ? error.message : String(error);
    }
  }
  if (settings.required && reason !== null) {
    throw new SoftgradError(
      'ERR_BACKEND_UNAVAILABLE',
      `wasm: ${wanted} threads are required, but only one is available: ${reason}`,
    );
  }
  const runner = createRunner(exports, heap, pool);
  const basis = createBasis(runner, storage, constants);
  let closed = false;

  return {
    name: 'wasm',
    supports: {
      dtypes: hasFloat64 ? ['float32', 'float64'] : ['float32'],
      inPlace: true,
      limits: { elements: heapLimit / 4 - 2 ** 20, classes: 2 ** 26 },
      device: describe(settings.relaxedSimd, hasFloat64, pool ? pool.threads : 1, reason),
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

interface Loaded {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly instance: WebAssembly.Exports;
  /** Whether the memory is shared. */
  readonly shared: boolean;
  /** Why the memory is not shared although threads were requested. */
  readonly reason: string | null;
}

/** The kernels with a memory that is shared if possible. A precompiled module imports only one kind of memory. */
async function load({ kernels }: BackendSettings, shared: boolean): Promise<Loaded> {
  if (typeof kernels === 'function') {
    const [module, memory] = [await compile(await part(kernels()), shared), createMemory(shared)];
    return { module, memory, instance: await instantiate(module, memory), shared, reason: null };
  }
  const module = checkedModule(kernels.module);
  const over = async (isShared: boolean, reason: string | null): Promise<Loaded> => {
    const memory = createMemory(isShared);
    return { module, memory, instance: await instantiate(module, memory), shared: isShared, reason };
  };
  try {
    return await over(shared, null);
  } catch (error) {
    if (!(error instanceof WebAssembly.LinkError)) throw error;
    return shared
      ? over(
          false,
          'the module that was given imports a memory that is not shared; those named -shared.wasm import a shared one',
        )
      : over(true, null);
  }
}

/** A part that a bundler puts into a file of its own. Without it another backend can be used. */
function part<T>(loading: Promise<T>): Promise<T> {
  return loading.catch((cause: unknown) => {
    throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `wasm: a part of it did not load: ${cause}`, { cause });
  });
}

/** A memory that can grow to 4 GiB, or to the largest maximum that this engine allows. */
function createMemory(shared: boolean): WebAssembly.Memory {
  for (let maximum = 65536; maximum >= 4096; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial: 32, maximum, shared });
    } catch {
      // Engines reserve the whole maximum, so a smaller one may succeed.
    }
  }
  throw new SoftgradError('ERR_OUT_OF_MEMORY', 'wasm: this engine grants no WebAssembly memory of 256 MiB or more');
}

function describe(isRelaxed: boolean, hasFloat64: boolean, threads: number, reason: string | null): string {
  const simd = isRelaxed ? 'relaxed SIMD' : 'SIMD';
  const kind = `WebAssembly ${simd}${hasFloat64 ? '' : ' with float64: false'}`;
  if (reason !== null) return `${kind}, 1 thread (${reason})`;
  return `${kind}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
}
