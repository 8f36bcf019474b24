import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import type { EngineName } from '../src/index.js';

/** The numbers of live tensors and data that tfjs counts, and of all data that the engine itself holds. */
export function held(engine: EngineName) {
  const { numTensors, numDataBuffers, numBytes } = tf.memory();
  return { numTensors, numDataBuffers, numBytes, onEngine: tf.engine().registry[engine]?.numDataIds() ?? 0 };
}

/** `run`, with the assertion that it leaks nothing. */
export function leakless(engine: EngineName, run: () => Promise<void>): () => Promise<void> {
  return async () => {
    const before = held(engine);
    await run();
    expect(held(engine)).toEqual(before);
  };
}
