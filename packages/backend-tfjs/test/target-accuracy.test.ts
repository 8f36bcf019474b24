import { tfjs } from '../src/index.js';
import { runLazily } from '../src/verbs/lazy.js';
import { backendWith } from './executed.js';
import { interpretedPrograms } from './interpreted.js';
import { openedOnce } from './opened-once.js';
import { testTargetAccuracy } from './target-accuracy.js';

const interpreted = () =>
  backendWith('cpu', (_, instance) => ({
    execute: (targets, program) => runLazily(instance, interpretedPrograms(instance), targets, program),
  }));

testTargetAccuracy('programs as GPUs run them, interpreted', openedOnce(interpreted), {
  softmax: 2.3,
  loss: 2.3,
  gradient: 3.2,
  hvp: 3.3,
  hvpOfTemperature: 4,
});

for (const engine of ['cpu', 'wasm'] as const) {
  testTargetAccuracy(
    `engine ${engine}`,
    openedOnce(() => tfjs.open({ engine })),
    { softmax: 1.6, loss: 2.3, gradient: 1.8, hvp: 3.3, hvpOfTemperature: 3.6 },
  );
}
