import { tfjs } from '../src/index.js';
import { runLazily } from '../src/verbs/lazy.js';
import { farBounds, testAccuracy } from './accuracy.js';
import { backendWith } from './executed.js';
import { testFarTemperatures } from './far-temperatures.js';
import { interpretedPrograms } from './interpreted.js';
import { openedOnce } from './opened-once.js';

const interpreted = () =>
  backendWith('cpu', (_, instance) => ({
    execute: (targets, program) => runLazily(instance, interpretedPrograms(instance), targets, program),
  }));

const asOnGpu = openedOnce(interpreted);

testAccuracy('programs as GPUs run them, interpreted', asOnGpu, {
  softmax: 2.3,
  logSoftmax: 3.1,
  lowLogSoftmax: 0.75,
  logSumExp: 2.7,
  loss: 2.5,
  gradient: 2.9,
});

testFarTemperatures('programs as GPUs run them, interpreted', asOnGpu, { float32: farBounds });

for (const engine of ['cpu', 'wasm'] as const) {
  const backendOf = openedOnce(() => tfjs.open({ engine }));
  testAccuracy(`engine ${engine}`, backendOf, {
    softmax: 1.6,
    logSoftmax: 2.4,
    lowLogSoftmax: 1.8,
    logSumExp: 1.9,
    loss: 2.3,
    gradient: 2.4,
  });
  testFarTemperatures(`engine ${engine}`, backendOf, {
    float32: { softmax: 1.6, logSoftmax: 1.6, logSumExp: 1.9, loss: 1.6, gradient: 1.9, hvp: 3.3 },
  });
}
