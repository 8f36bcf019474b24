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
  softmax: 4,
  logSoftmax: 3.5,
  lowLogSoftmax: 0.75,
  logSumExp: 2.7,
  loss: 3.5,
  gradient: 4.5,
});
