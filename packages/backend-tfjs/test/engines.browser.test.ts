import { testEngines } from './engines.js';
import { testInterop } from './interop.js';
import { testNumbers } from './numbers.js';
import { testOutOfMemory } from './out-of-memory.js';
import { testPrograms } from './programs.js';
import { testSeed } from './seed.js';
import { testSecondDerivatives, testTraining } from './training.js';

// One file, because each one has a page of its own, in which tfjs is loaded and its programs are compiled anew.

testEngines(['cpu', 'wasm', 'webgl', 'webgpu']);

for (const engine of ['webgl', 'webgpu'] as const) {
  testInterop(engine);
  testNumbers(engine);
  testSeed(engine);
  testTraining(engine);
  testSecondDerivatives(engine);
  testPrograms(engine);
}

testOutOfMemory();
