import { tfjs } from '../src/index.js';
import { runLazily } from '../src/verbs/lazy.js';
import { testAccuracy } from './accuracy.js';
import { backendWith } from './executed.js';
import { interpretedPrograms } from './interpreted.js';
import { openedOnce } from './opened-once.js';

const interpreted = () =>
  backendWith('cpu', (_, instance) => ({
    execute: (targets, program) => runLazily(instance, interpretedPrograms(instance), targets, program),
  }));

testAccuracy('programs as GPUs run them, interpreted', openedOnce(interpreted), {
  softmax: 2.3,
  logSoftmax: 3.1,
  lowLogSoftmax: 0.75,
  logSumExp: 2.7,
  loss: 2.5,
  gradient: 2.9,
});

for (const engine of ['cpu', 'wasm'] as const) {
  testAccuracy(
    `engine ${engine}`,
    openedOnce(() => tfjs.open({ engine })),
    { softmax: 1.6, logSoftmax: 2.4, lowLogSoftmax: 1.8, logSumExp: 1.9, loss: 2.3, gradient: 2.4 },
  );
}
