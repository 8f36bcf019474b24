import { conformance, sections } from '@softgrad/core/conformance';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { describe, test } from 'vitest';
import { tfjs } from '../src/index.js';
import { leakless } from './leaks.js';

for (const engine of ['webgl', 'webgpu', 'wasm', 'cpu'] as const) {
  describe(`tfjs on engine ${engine} conforms and leaks nothing`, async () => {
    const cases = await conformance(tfjs, { required: true, open: { engine } });
    await tf.setBackend('cpu');
    const watched = cases.map((c) => ({ ...c, run: leakless(engine, c.run) }));
    for (const { name, run } of sections(watched)) test(name, run);
  });
}
