import { openedOnce } from '../../backend-tfjs/test/opened-once.js';
import { testTargetAccuracy } from '../../backend-tfjs/test/target-accuracy.js';
import { gpujs } from '../src/index.js';
import { openAsOnGpu } from './as-on-gpu.js';

testTargetAccuracy('GPU modes, in WebAssembly', openedOnce(openAsOnGpu), {
  softmax: 3,
  loss: 2.7,
  gradient: 4,
  hvp: 4.1,
  hvpOfTemperature: 4.1,
});
testTargetAccuracy(
  'mode webasm',
  openedOnce(() => gpujs.open({ mode: 'webasm' })),
  { softmax: 3, loss: 2.7, gradient: 4.3, hvp: 4.1, hvpOfTemperature: 4.1 },
);
testTargetAccuracy(
  'mode cpu',
  openedOnce(() => gpujs.open({ mode: 'cpu' })),
  { softmax: 1.7, loss: 1.2, gradient: 1.7, hvp: 3.2, hvpOfTemperature: 2.8 },
);
