import { expect, test } from 'vitest';
import { tfjs } from '../src/index.js';
import { runLazily } from '../src/verbs/lazy.js';
import { errorsOf, testAccuracy } from './accuracy.js';
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

testAccuracy(
  'engine cpu',
  openedOnce(() => tfjs.open({ engine: 'cpu' })),
  {
    softmax: 2.4,
    logSoftmax: 2.4,
    lowLogSoftmax: 1.8,
    logSumExp: 1.9,
    loss: 2.3,
    gradient: 2.7,
  },
);
const wasm = openedOnce(() => tfjs.open({ engine: 'wasm' }));

testAccuracy('engine wasm', wasm, {
  // Without a temperature it is tfjs's kernel, which rounds the gap: half an ULP of a gap of 100 is up to 64 ULP of the exponential.
  softmax: 63,
  logSoftmax: 2.4,
  lowLogSoftmax: 1.8,
  logSumExp: 2.3,
  loss: 2.3,
  gradient: 4.1,
});

test('engine wasm: softmax with a temperature or a mask is exact, too', async () => {
  for await (const [problem, { softmax }] of errorsOf(await wasm())) {
    if (problem.includes('T =')) expect.soft(softmax, problem).toBeLessThanOrEqual(3.3);
  }
});
