import * as tf from '@tensorflow/tfjs-core';
import { backendOf, type TfjsBackend } from '../src/backend.js';
import { type Device, deviceOf } from '../src/device.js';
import { type Engine, engineOf } from '../src/engine.js';
import { type EngineName, tfjs } from '../src/index.js';
import { loadEngine } from '../src/peers.js';
import { measure } from '../src/supports.js';

/** The engine that `tfjs.open` opens, with some functions of its device replaced. */
export async function engineWith(
  name: EngineName,
  replaced: (device: Device, instance: tf.KernelBackend) => Partial<Device>,
): Promise<Engine> {
  await (await tfjs.open({ engine: name })).close();
  const instance = tf.engine().registry[name];
  const device = deviceOf(tf, name, instance, (await loadEngine(name)).module);
  return engineOf(tf, name, instance, { ...device, ...replaced(device, instance) });
}

export async function backendWith(...parts: Parameters<typeof engineWith>): Promise<TfjsBackend> {
  const engine = await engineWith(...parts);
  return backendOf(engine, await measure(engine));
}
