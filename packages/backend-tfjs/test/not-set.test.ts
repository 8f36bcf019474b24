import { softmax, tensor } from '@softgrad/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { tfjs } from '../src/index.js';

// tfjs chooses an engine at its first use if none was set: it creates those that are registered, the best first, until one can run.

/** The engine that it chooses; the engine wasm is registered as well if another test has opened it. */
async function bestEngine(): Promise<'cpu' | 'wasm'> {
  await import('@tensorflow/tfjs-backend-cpu');
  return 'wasm' in tf.engine().registryFactory ? 'wasm' : 'cpu';
}

test.each<[string, () => unknown]>([
  ['tf.ready', () => tf.ready()],
  ['an operation', () => tf.add(tf.tensor1d([1, 2]), 1).dataSync()],
  ['tf.memory', () => tf.memory()],
])('%s, while no engine is set, uses the instance of the backend', async (_, use) => {
  tf.engine().reset();
  const engine = await bestEngine();
  const backend = await tfjs.open({ engine });
  const x = tensor([0, 0], { backend });
  await use();
  expect(tf.getBackend()).toBe(engine);
  expect(await softmax(x).array()).toEqual([0.5, 0.5]);
  expect(backend.fromTf(tf.tensor1d([1, 2])).backend).toBe(backend);
});

test('an engine that tfjs has removed is created anew', async () => {
  tf.engine().reset();
  await tfjs.open({ engine: 'cpu' });
  const before = tf.engine().registry.cpu;
  const factory = tf.findBackendFactory('cpu');
  tf.removeBackend('cpu');
  tf.registerBackend('cpu', factory);
  const again = await tfjs.open({ engine: 'cpu' });
  expect(tf.engine().registry.cpu).not.toBe(before);
  expect(await softmax(tensor([0, 0], { backend: again })).array()).toEqual([0.5, 0.5]);
});
