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
  const { threading, reason: ofEngine } = wanted > 1 ? await loadThreading() : { threading: null, reason: null };
  const { module, memory, instance, shared, reason: ofModule } = await load(settings, threading !== null);
  const exports = instance as unknown as Exports;
  const heap = createHeap(memory, (instance.__heap_base as WebAssembly.Global).value);
  const storage = createStorage(memory, heap);
  // Not of the storage, whose memory() counts what the caller holds.
  const constants: WasmBuffer = { address: heap.allocate(24), length: 3, dtype: 'float64', memory };
  const hasFloat64 = 'softmax_f64' in exports;

  let pool: Pool | null = null;
  let reason = ofEngine ?? ofModule;
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
      reason = messageOf(error);
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
    memory: () => (closed ? { buffers: 0, bytes: 0 } : storage.memory()),
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

interface Threading {
  /** What starts threads, null if there can be none. */
  readonly threading: typeof import('./threading.js') | null;
  /** Why there can be none. */
  readonly reason: string | null;
}

/** What starts threads, if they are possible here. Its file may fail to load, as on a page that is offline: one thread needs nothing of it. */
async function loadThreading(): Promise<Threading> {
  try {
    const threading = await import('./threading.js');
    const reason = threading.threadsMissing();
    return { threading: reason === null ? threading : null, reason };
  } catch (error) {
    return { threading: null, reason: `the code that starts threads did not load: ${messageOf(error)}` };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
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

/**
 * The kernels with a memory that is shared if possible. A precompiled module imports only one kind of memory.
 *
 * @throws ERR_BACKEND_UNAVAILABLE if the file of the kernels does not load, so that `setBackend` tries the next candidate
 */
async function load({ kernels }: BackendSettings, shared: boolean): Promise<Loaded> {
  if (typeof kernels === 'function') {
    const compiled = kernels().then((build) => compile(build, shared));
    const module = await compiled.catch((cause: unknown) => {
      throw new SoftgradError('ERR_BACKEND_UNAVAILABLE', `wasm: the kernels did not load: ${messageOf(cause)}`, {
        cause,
      });
    });
    const memory = createMemory(shared);
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
