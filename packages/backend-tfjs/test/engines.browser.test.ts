// tfjs-core registers its gradients only if asked, after its flags. The whole of tfjs, which does that in Node, takes longer to load.
import '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-core/dist/register_all_gradients.js';
import { inject } from 'vitest';
import { tfjs } from '../src/index.js';
import { farBounds, testAccuracy } from './accuracy.js';
import { testConformance } from './conforms-in-chromium.js';
import { testLostDevices } from './device-lost.js';
import { testEngines } from './engines.js';
import { testFarTemperatures } from './far-temperatures.js';
import { testInterop } from './interop.js';
import { testNumbers } from './numbers.js';
import { openedOnce } from './opened-once.js';
import { testOutOfMemory } from './out-of-memory.js';
import { testPrograms } from './programs.js';
import { testSeed } from './seed.js';
import { testSecondDerivatives, testTraining } from './training.js';

// One file, because each file has its own page, which loads tfjs and compiles its programs again.

testConformance();

testEngines(['cpu', 'wasm', 'webgl', 'webgpu']);

for (const engine of ['webgl', 'webgpu'] as const) {
  testInterop(engine);
  testNumbers(engine);
  testPrograms(engine);
  if (!inject('everything')) continue;

  // In Node an interpreter runs the same programs with all lengths.
  const backendOf = openedOnce(() => tfjs.open({ engine }));
  testAccuracy(`engine ${engine}`, backendOf, {
    softmax: 2.4,
    logSoftmax: 3.3,
    lowLogSoftmax: 0.75,
    logSumExp: 3.5,
    loss: 3.3,
    gradient: 3,
  });
  testFarTemperatures(`engine ${engine}`, backendOf, { float32: farBounds });
  // How a model calls a backend is the same on every engine, as in Node, and interop shows that of each: most of the time is spent compiling the programs of tfjs itself.
  testSeed(engine);
  testTraining(engine);
  testSecondDerivatives(engine);
}

testOutOfMemory();

// Last, because new devices have compiled no programs.
testLostDevices();
