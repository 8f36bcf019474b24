import { testSecondDerivatives, testTraining } from './training.js';

for (const engine of ['webgl', 'webgpu'] as const) {
  testTraining(engine);
  testSecondDerivatives(engine);
}
