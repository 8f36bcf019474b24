import { SoftgradError } from '@softgrad/core';
import type { KernelBackend } from '@tensorflow/tfjs-core';
import type { Core, EngineName } from './peers.js';

/** Engines that are being made, so that two calls of `open` get one. */
const pending = new Map<string, Promise<KernelBackend>>();

/**
 * tfjs's own instance of an engine, made if there is none: the only place that touches tfjs's global state. It fills
 * the registry entry that `tf.setBackend` would fill, and never asks or changes which engine is set: kernels are called
 * with the instance in hand.
 *
 * An instance whose device was lost is put out and made anew, also for the user's own code if it was the engine set.
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
    instance = await factory();
  } catch (cause) {
    throw unavailable(name, cause);
  }
  // tf.setBackend may have been quicker; two instances of one engine must not be told apart by chance.
  const other = engine.registry[name];
  if (other) {
    instance.dispose();
    return other;
  }
  engine.registry[name] = instance;
  for (const { setupFunc } of core.getKernelsForBackend(name)) setupFunc?.(instance);
  return instance;
}

async function renew(core: Core, name: EngineName): Promise<KernelBackend> {
  const engine = core.engine();
  const { factory, priority } = engine.registryFactory[name];
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
  wasm: 'WebAssembly and its .wasm files: pass { wasmPaths } where they are served elsewhere than a bundler puts them',
  cpu: 'nothing but JavaScript',
};

/** @returns the error for an engine that can't run here; `cause` is what tfjs said */
export function unavailable(name: EngineName, cause: unknown, missing?: string): SoftgradError {
  const said = cause instanceof Error ? cause.message : (cause as { message?: string } | undefined)?.message;
  const reason = missing ?? `engine ${name} needs ${requirements[name]}${said ? ` (${said})` : ''}`;
  return new SoftgradError('ERR_BACKEND_UNAVAILABLE', `tfjs: ${reason}`, { cause });
}
