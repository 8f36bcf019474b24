import { SoftgradError } from '@softgrad/core';
import type { KernelBackend } from '@tensorflow/tfjs-core';
import type { Core, EngineName } from './peers.js';

/** Engines that are being created, so that concurrent calls of `open` share one. */
const pending = new Map<string, Promise<KernelBackend>>();

/**
 * Returns tfjs's instance of an engine, creating it if necessary. This is the only place that changes tfjs's global state: it sets
 * the registry entry that `tf.setBackend` would set, and lets tfjs's own code find it, but neither reads nor changes which engine is set, because
 * kernels are called with the instance.
 *
 * An instance whose device was lost is replaced by a new one, also for the user's own code if this engine was set.
 *
 * @throws ERR_BACKEND_UNAVAILABLE
 */
export async function connect(
  core: Core,
  name: EngineName,
  isLost: (instance: KernelBackend) => boolean,
): Promise<KernelBackend> {
  const engine = core.engine();
  const present = engine.registry[name];
  if (present && !isLost(present)) return present;
  const started = pending.get(name) ?? (present ? renew(core, name) : create(core, name));
  pending.set(name, started);
  try {
    return await started;
  } finally {
    pending.delete(name);
  }
}

async function create(core: Core, name: EngineName): Promise<KernelBackend> {
  const engine = core.engine();
  const factory = core.findBackendFactory(name);
  if (!factory) throw unavailable(name, undefined);
  let instance: KernelBackend;
  try {
    instance = await withinLimit(factory);
  } catch (cause) {
    throw unavailable(name, cause);
  }
  // tf.setBackend may have created an instance meanwhile; an engine must not have two.
  const other = engine.registry[name];
  if (other) {
    instance.dispose();
    return other;
  }
  engine.registry[name] = instance;
  keepInstance(core, name);
  for (const { setupFunc } of core.getKernelsForBackend(name)) setupFunc?.(instance);
  return instance;
}

/** The factories of `keepInstance`. */
const keeping = new WeakSet<() => unknown>();

/**
 * As long as no engine was set, `tf.ready()` and the first operation of tfjs call the factories without looking for an instance, and put what they get in its
 * place: the factory gives the instance, while there is one.
 */
function keepInstance(core: Core, name: EngineName): void {
  const { registry, registryFactory } = core.engine();
  const registered = registryFactory[name];
  if (registered === undefined || keeping.has(registered.factory)) return;
  const { factory } = registered;
  registered.factory = () => registry[name] ?? factory();
  keeping.add(registered.factory);
}

/** Most seconds that tfjs may take to create an engine, the download of its files included. */
export const limitSeconds = 60;

/**
 * What the factory gives. In a page that is minified and cross-origin isolated, the threads of tfjs's engine wasm may never start, and its promise never settles: an
 * engine that comes after the limit is disposed.
 */
async function withinLimit(factory: () => KernelBackend | Promise<KernelBackend>): Promise<KernelBackend> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let late = false;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late = true;
      reject(new Error(`it was not ready after ${limitSeconds} s`));
    }, limitSeconds * 1000);
  });
  // Also an error that the factory throws at once arrives by the promise, so that the timer is cleared.
  const created = Promise.resolve().then(factory);
  created.then(
    (instance) => {
      if (late) instance.dispose();
    },
    () => {},
  );
  try {
    return await Promise.race([created, limit]);
  } finally {
    clearTimeout(timer);
  }
}

async function renew(core: Core, name: EngineName): Promise<KernelBackend> {
  const engine = core.engine();
  const registered = engine.registryFactory[name];
  if (registered === undefined) throw unavailable(name, undefined);
  const { factory, priority } = registered;
  const wasSet = engine.backendName === name;
  core.removeBackend(name);
  core.registerBackend(name, factory, priority);
  const instance = await create(core, name);
  if (wasSet) await core.setBackend(name);
  return instance;
}

const requirements: Readonly<Record<EngineName, string>> = {
  webgpu: 'a browser with WebGPU (navigator.gpu) and an adapter',
  webgl: 'a browser with WebGL 2',
  wasm: 'WebAssembly and its .wasm files: pass { wasmPaths } unless they are served where a bundler puts them',
  cpu: 'nothing but JavaScript',
};

/** @returns the error for an engine that cannot run here; `cause` is tfjs's error */
export function unavailable(name: EngineName, cause: unknown, missing?: string): SoftgradError {
  const message = cause instanceof Error ? cause.message : (cause as { message?: string } | undefined)?.message;
  const reason = missing ?? `engine ${name} needs ${requirements[name]}${message ? ` (${message})` : ''}`;
  return new SoftgradError('ERR_BACKEND_UNAVAILABLE', `tfjs: ${reason}`, { cause });
}
