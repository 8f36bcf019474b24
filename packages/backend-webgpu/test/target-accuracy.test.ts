import { openedOnce } from '../../backend-tfjs/test/opened-once.js';
import { testTargetAccuracy } from '../../backend-tfjs/test/target-accuracy.js';
import { webgpu } from '../src/index.js';

testTargetAccuracy(
  'webgpu',
  openedOnce(() => webgpu.open()),
  { softmax: 3.4, loss: 2.4, gradient: 4.1, hvp: 4.4, hvpOfTemperature: 4.4 },
);
