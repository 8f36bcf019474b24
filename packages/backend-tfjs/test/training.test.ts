// tfjs-core itself has no gradients: this package registers them.
import '@tensorflow/tfjs';
import { testSecondDerivatives, testTraining } from './training.js';

for (const engine of ['cpu', 'wasm'] as const) {
  testTraining(engine);
  testSecondDerivatives(engine);
}
