import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import type { EngineName } from '../src/index.js';

/** What is alive: tensors and data that tfjs counts, and all data that the engine itself holds. */
export function held(engine: EngineName) {
  const { numTensors, numDataBuffers, numBytes } = tf.memory();
  return { numTensors, numDataBuffers, numBytes, onEngine: tf.engine().registry[engine]?.numDataIds() ?? 0 };
}

/** `run`, after which exactly as much is alive as before. */
export function leakless(engine: EngineName, run: () => Promise<void>): () => Promise<void> {
  return async () => {
    const before = held(engine);
    await run();
    expect(held(engine)).toEqual(before);
  };
}
